#!/bin/bash
# The embedded default: recipes/quickstart.yaml, cut short, makes the policy better at problems that it has never seen,
# twice with the same bits; and the recipes that made that policy from nothing run end to end. timeout: 600
. "$(dirname "$0")/../lib.sh"
need_program
ln -s "$ESPALIER_SOURCE_DIR/data" data # the recipes' paths are relative to the project

# recipe NAME OUT ARGS...: its summary is in OUT.json, what it said in OUT.err.
recipe() {
    LIB_FRAME=1 expect_exit 0 "$ESPALIER" run "$ESPALIER_SOURCE_DIR/recipes/$1.yaml" --out "$2" --json "${@:3}"
    mv out "$2.json"
    mv err "$2.err"
}

# The same recipe twice: better by 15 points or more, the same bits, and a page.
small=(--iterations 2 --problems 96 --set run.eval_every=0 --set eval.limit=200 --set eval.compare_k=0
    --set eval.compare_search=off)
recipe quickstart first "${small[@]}"
recipe quickstart second "${small[@]}"
python3 - << 'PYTHON' || fail "the quickstart"
import json, sqlite3
first, second = (json.load(open(f'{run}.json')) for run in ('first', 'second'))
assert first['digest'] == second['digest'], (first['digest'], second['digest'])
before, after = first['evaluations']
print(f"{before['right']} and {after['right']} of {after['problems']} problems")
assert (before['iteration'], after['iteration']) == (0, 2) and before['problems'] == after['problems'] == 200
assert after['right'] - before['right'] >= 0.15 * 200
page = open(first['report']).read()
assert first['report'] == 'first/report.html' and '<script type="application/json"' in page and '</html>' in page[-20:]

# What the default preset is: one chain, no more where it is right, and where it is not pairs with a gap from the tree.
db = sqlite3.connect('first/run.db')
one = lambda sql: db.execute(sql).fetchone()[0]
assert one('SELECT count(*) FROM trees') == 192
assert one('SELECT count(*) FROM trees WHERE simulations = 0') > 20
assert one('SELECT count(*) FROM trees WHERE simulations = 0 AND (finished <> 1 OR right <> 1)') == 0
assert one('SELECT count(*) FROM trees WHERE simulations > 0 AND right > 0') > 5 # found where the first chain failed
assert one('SELECT count(*) FROM pairs') > 5
assert one('SELECT count(*) FROM pairs JOIN trees USING (tree) WHERE simulations = 0') == 0
assert one('SELECT count(*) FROM pairs WHERE NOT q_chosen - q_rejected > 0.3') == 0
PYTHON

# From random weights, and then the judge: the policy that comes of few rows is poor, and all of it is there.
if [ "$ESPALIER_SANITIZE" = ON ]; then exit 0; fi
recipe arith-warmup warm --set sft.limit=3000 --set eval.limit=50
recipe arith-judge judge --model warm/checkpoints/sft --set sft.limit=200 --set eval.limit=50
expect_in judge.err '^sft: 800 own chains, [0-9.]+% of them correct, [0-9.]+% unfinished; [1-9][0-9]* judge rows, half of them correct'
expect_in judge.err '^sft: 200 rationales, [1-9][0-9]* judge rows'
python3 - << 'PYTHON' || fail "the warm-up"
import json
warm, judge = (json.load(open(f'{run}.json')) for run in ('warm', 'judge'))
loss = [update['loss'] for update in warm['updates']]
print(f'warm-up: {len(loss)} updates, loss {loss[0]:.2f} to {loss[-1]:.2f}; judge: {judge["updates"][0]["loss"]:.2f}')
assert len(loss) == 94 and 5 < loss[0] < 7.5 # ln 451 = 6.1: nothing is known yet
assert loss[-1] < 2.5 and judge['updates'][0]['loss'] < 3 # it goes on from the warm-up's policy
assert all(run['position']['phase'] == 'done' and run['evaluations'][0]['problems'] == 50 for run in (warm, judge))
PYTHON
# What comes out has the shape of the policy that the project ships.
expect_exit 0 "$ESPALIER" export judge exported --dtype bf16
expect_same exported/config.json data/arith/policy/config.json
expect_same exported/tokenizer.json data/arith/policy/tokenizer.json
[ "$(stat -Lc %s exported/model.safetensors)" = "$(stat -Lc %s data/arith/policy/model.safetensors)" ] || fail "another size"
