#!/bin/bash
# Ways to use more of a tree, all at once: averaged weights, pairs mixed with correct chains, pairs of whole trees, the
# root probe. Twice the same bits, killed or not; and the run's rows hold what each key says.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

all=(--set sft.epochs=3 --average 0.8 --preference-weight 0.3 --nll 1 --nll-on right_chains --max-chains 2
    --pairs-at all --smoothing evidence --max-pairs 3 --root-probe 3 --breadth-root 4 --breadth 3 --simulations 6
    --set search.max_steps=4 --set search.min_q_gap=0.2 --set learn.lr=1e-3)
strike_tiny 0 0 9 whole "${all[@]}"
cp err whole.err
calls=$(cat calls)

# What one query must give.
holds() {
    local n
    n=$(count whole "$2")
    [ "$n" = "$1" ] || LIB_FRAME=1 fail "$n instead of $1: $2"
}
some() {
    local n
    n=$(count whole "$1")
    [ "$n" -gt 0 ] || LIB_FRAME=1 fail "none, the test shows nothing: $1"
}
# Pairs of every visited state: a step is rejected once, by a gap, at most three per problem, some off the path.
some 'SELECT count(*) FROM pairs'
holds 0 'SELECT count(*) FROM (SELECT tree FROM pairs GROUP BY tree HAVING count(*) > 3)'
holds 0 'SELECT count(*) FROM (SELECT tree FROM pairs GROUP BY tree, rejected HAVING count(*) > 1)'
holds 0 'SELECT count(*) FROM pairs WHERE NOT q_chosen - q_rejected > 0.2 OR alpha <= 0 OR alpha > 0.5'
holds 0 'SELECT count(*) FROM pairs JOIN nodes AS w ON w.tree = pairs.tree AND w.node = chosen
         JOIN nodes AS l ON l.tree = pairs.tree AND l.node = rejected WHERE w.parent <> l.parent OR w.parent <> state'
# The root probe: three chains are visits; problems that are all right have no simulations and no pairs.
holds 0 'SELECT count(*) FROM nodes WHERE node = 0 AND visits < 3'
some 'SELECT count(*) FROM trees WHERE simulations > 0'
holds 0 'SELECT count(*) FROM pairs JOIN trees USING (tree) WHERE simulations = 0'
holds 0 'SELECT count(*) FROM trees WHERE simulations = 0 AND right < finished'
# Updates: as many as the longer list fills, every pair and every chain in one of them.
python3 - << 'PYTHON'
import sqlite3
db = sqlite3.connect('whole/run.db')
for iteration in 1, 2:
    pairs = db.execute('SELECT count(*) FROM pairs WHERE iteration = ?', (iteration,)).fetchone()[0]
    texts = {}
    for tree, problem in db.execute('SELECT tree, problem FROM trees WHERE iteration = ? ORDER BY ordinal', (iteration,)).fetchall():
        nodes = {n: (p, t, f, o) for n, p, t, f, o in
                 db.execute('SELECT node, parent, text, flags, outcome FROM nodes WHERE tree = ?', (tree,))}
        for n, (parent, text, flags, outcome) in sorted(nodes.items()):
            if not (flags & 1 and outcome > 0): continue
            way = []
            while n > 0: way.append(nodes[n][1] or ''); n = nodes[n][0]
            words = ' '.join(''.join(reversed(way)).split())
            seen = texts.setdefault(problem, [])
            if words not in seen and len(seen) < 2: seen.append(words)
    chains = sum(map(len, texts.values()))
    rows = [r[0] for r in db.execute("SELECT rows FROM updates WHERE phase = 'learn' AND iteration = ? ORDER BY step", (iteration,))]
    assert chains > 0, 'no correct chains, the test shows nothing'
    assert sum(rows) == pairs + chains, (rows, pairs, chains)
    assert len(rows) == -(-max(pairs, chains) // 4), (rows, pairs, chains)
    assert max(rows) - min(rows) <= 1, rows
PYTHON
# The policy of a checkpoint is the average; the raw weights are optimizer state beside it, and others.
python3 - << 'PYTHON'
import json, struct
def tensors(path):
    data = open(path, 'rb').read()
    n = struct.unpack('<Q', data[:8])[0]
    head = json.loads(data[8:8 + n])
    head.pop('__metadata__', None)
    return {k: data[8 + n + v['data_offsets'][0]:8 + n + v['data_offsets'][1]] for k, v in head.items()}
state = tensors('whole/checkpoints/iteration-2/optimizer.safetensors')
model = tensors('whole/checkpoints/iteration-2/model.safetensors')
assert len(state['raw']) == len(state['moment1']) == sum(map(len, model.values()))
assert not any(weights in state['raw'] for weights in model.values() if len(weights) > 1000), 'the average is the raw weights'
PYTHON
run_tiny 0 unaveraged "${all[@]}" --average 0
same=$(cmp whole/checkpoints/iteration-1/model.safetensors unaveraged/checkpoints/iteration-1/model.safetensors || true)
[ -n "$same" ] || fail "the average of 0.8 is the last weights"

# Killed in the middle and resumed: the same bits.
RANDOM=17
resume=
before=0
for kill in 0 1 2; do
    moment=$((calls * (2 * kill + 1) / 6 + RANDOM % (calls / 6)))
    strike_tiny 137 $((moment - before + 20)) 9 killed "${all[@]}" $resume
    before=$moment
    resume=--resume
done
run_tiny 0 killed "${all[@]}" --resume
same_runs whole killed

# Weight 0 with correct chains is RFT: the same updates to the last digits, from the same trees.
rft=(--set sft.epochs=3 --iterations 1 --dtype f32 --set self_eval.enabled=false --set sft.judge_examples=0)
run_tiny 0 rft "${rft[@]}" --loss rft
run_tiny 0 mixed "${rft[@]}" --preference-weight 0 --nll 1 --nll-on right_chains
for run in rft mixed; do
    python3 -c 'import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute("SELECT step, rows, loss FROM updates WHERE phase = \"learn\""): print("%d %d %.4f" % row)' \
        $run/run.db > $run.updates
done
[ -s rft.updates ] || fail "no updates, the test shows nothing"
cmp rft.updates mixed.updates || fail "weight 0 with correct chains is not RFT"

# Whole chains without a tree: k of them a problem, each sampled once.
run_tiny 0 chains "${rft[@]}" --loss rft --set search.rest_from_depth=0 --breadth-root 6 --simulations 1
[ "$(count chains 'SELECT max(depth) FROM nodes')" = 1 ] || fail "chains are in more than one step"
[ "$(count chains 'SELECT max(n) FROM (SELECT count(*) - 1 AS n FROM nodes GROUP BY tree)')" -gt 2 ] || fail "no more than two chains"
[ "$(count chains 'SELECT count(*) FROM nodes WHERE depth = 1 AND flags & 3 = 0')" = 0 ] || fail "a chain has no end"
expect_in err 'iteration 1: [0-9]+ correct chains, [0-9]+ updates'

# What cannot be is said.
run_tiny 1 refused "${all[@]}" --loser random_sibling
expect_in err 'search: pairs_at is all'
run_tiny 2 refused --average 1
expect_in err 'learn.average'
