#!/bin/bash
# Self-evaluation in a run: taught on the policy's own chains, measured at training and at evaluation, with and without
# its use in the search; and problems whose prompts are too long for the model.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

# A model that answers at all, to sample chains from.
expect_exit 0 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --out warm --set sft.epochs=3
TINY=$WORK/warm/checkpoints/sft
own=(--set sft.judge_source=own --set sft.judge_examples=2 --set sft.judge_chains=3 --set sft.rationale_examples=0.25
    --set search.temperature=1.3 --set search.breadth_root=4 --set eval.compare_k=4 --set eval.compare_search=both --set eval.compare_limit=6)

strike_tiny 0 0 2 whole "${own[@]}"
expect_in err '^sft: 144 own chains, [0-9.]+% of them correct, [0-9.]+% unfinished; [0-9]+ judge rows, half of them correct'
expect_in err '^sft: 12 rationales, [1-9][0-9]* judge rows'
calls=$(cat calls)
# Stopped within SFT it samples the same chains again from the model as given, not from what it has become.
strike_tiny 3 $((calls / 8)) 2 stopped "${own[@]}"
[ "$(count stopped 'SELECT phase FROM position')" = 0 ] || fail "not in SFT: $(position_of stopped)"
[ "$(count stopped 'SELECT step FROM position')" -gt 0 ] || fail "no update was taken yet"
run_tiny 0 stopped "${own[@]}" --resume
same_runs whole stopped

# Both ends are compared, the middle is not; the samples' and the search's tokens are there.
rows=$(python3 -c 'import sqlite3
print(*sqlite3.connect("whole/run.db").execute("SELECT iteration, method, k, problems FROM evals ORDER BY 1, 2"))')
[ "$rows" = "(0, 'greedy', 1, 16) (0, 'sample', 4, 6) (0, 'search', 1, 6) (0, 'search-unjudged', 1, 6) (1, 'greedy', 1, 16)\
 (2, 'greedy', 1, 16) (2, 'sample', 4, 6) (2, 'search', 1, 6) (2, 'search-unjudged', 1, 6)" ] || fail "evaluations: $rows"
[ "$(count whole "SELECT count(*) FROM evals WHERE (tokens_judged > 0) <> (method = 'search')")" = 0 ] || fail "tokens judged"
[ "$(count whole "SELECT count(*) FROM trees WHERE tokens_spent <> tokens_sampled + tokens_judged OR tokens_judged <= tokens_judged_steps")" = 0 ] ||
    fail "tokens spent"
[ "$(count whole "SELECT count(DISTINCT iteration) FROM judgements WHERE source = 'train'")" = 2 ] || fail "training's judge"
[ "$(count whole "SELECT group_concat(iteration) FROM judgements WHERE source = 'eval' AND kind = 'finished'")" = 0,2 ] ||
    fail "evaluation's judge"
run_tiny 0 whole "${own[@]}" --resume --json
python3 - << 'PYTHON' || fail "the summary does not have what the store has"
import json, sqlite3
summary, db = json.load(open('out')), sqlite3.connect('whole/run.db')
stored = db.execute("SELECT iteration, source, kind, area, positives, negatives, calibration_error, bins FROM judgements "
                    "ORDER BY iteration, source, kind").fetchall()
assert len(stored) == len(summary['judgements']) >= 6
for row, j in zip(stored, summary['judgements']):
    assert (j['iteration'], j['source'], j['kind']) == row[:3] and j['auc']['area'] == row[3]
    assert (j['auc']['positives'], j['auc']['negatives']) == row[4:6] and j['calibration_error'] == row[6]
    assert [b['nodes'] for b in j['bins']] == [b[0] for b in json.loads(row[7])] and sum(b['nodes'] for b in j['bins']) == sum(row[4:6])
# AUC of training's finished nodes, by counting pairs.
for iteration in 1, 2:
    nodes = db.execute('SELECT confidence, nodes.outcome FROM nodes JOIN trees USING (tree) WHERE iteration = ? AND flags & 1 AND flags & 16',
                       (iteration,)).fetchall()
    right, wrong = [c for c, o in nodes if o > 0], [c for c, o in nodes if o < 0]
    area = sum((r > w) + (r == w) / 2 for r in right for w in wrong) / (len(right) * len(wrong)) if right and wrong else None
    kept = [j['auc']['area'] for j in summary['judgements'] if (j['iteration'], j['source'], j['kind']) == (iteration, 'train', 'finished')]
    assert kept and (kept[0] == area or abs(kept[0] - area) < 1e-9), (kept, area)

# Within problems and among siblings, of all nodes whose sign is known, by comparing two at a time.
for iteration in 1, 2:
    rows, sign = [], {}
    for tree, node, parent, problem, c, o, flags in db.execute(
            'SELECT tree, node, parent, problem, confidence, nodes.outcome, flags FROM nodes JOIN trees USING (tree) WHERE iteration = ? '
            'ORDER BY tree, node DESC', (iteration,)).fetchall():
        own = (o > 0) - (o < 0) if flags & 3 else 0
        total = sign[tree, node] = sign.get((tree, node), 0) + own
        if parent >= 0:
            sign[tree, parent] = sign.get((tree, parent), 0) + total
            if total and flags & 16: rows.append((problem, (tree, parent), total > 0, c))
    def share(group):
        won = [(a[3] > b[3]) + (a[3] == b[3]) / 2 for a in rows for b in rows if a[2] and not b[2] and a[group] == b[group]]
        return (len(won), sum(won) / len(won)) if won else (0, None)
    j = next(j for j in summary['judgements'] if (j['iteration'], j['source'], j['kind']) == (iteration, 'train', 'all'))
    for key, group in ('auc_within', 0), ('sibling_accuracy', 1):
        count, value = share(group)
        assert j[key]['comparisons'] == count, (key, j[key], count)
        assert (value is None) == (j[key]['share'] is None) and (value is None or abs(value - j[key]['share']) < 1e-9), (key, j[key], value)
e = next(e for e in summary['evaluations'] if e['method'] == 'search')
assert e['tokens_spent'] == e['tokens_sampled'] + e['tokens_judged'] > e['tokens_sampled'], e
t = summary['totals']
assert t['tokens_spent'] == t['tokens_sampled'] + t['tokens_judged'] == db.execute('SELECT sum(tokens_spent) FROM trees').fetchone()[0], t
PYTHON

# A policy that is never right cannot be taught so, and the run says what to do.
sed 's/"answer": ".*"}/"answer": "It is 987.\\n#### 987"}/' train.jsonl > never.jsonl
expect_exit 1 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train never.jsonl --out never "${own[@]:0:4}"
expect_in err "the policy's own chains cannot train a judge: of 192, 0 are correct"
expect_in err 'sft.judge_chains'
# Chains on the problems after the rationales' need such problems.
expect_exit 1 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --out none "${own[@]:0:4}" --set sft.judge_limit=17
expect_in err 'sft.judge_limit is 17, but of 64 training problems 48 are the rationales'
expect_exit 0 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --out behind "${own[@]:0:6}" --set sft.judge_limit=16
expect_in err '^sft: 48 own chains'

# Questions longer than the context: left out of the search with a note, wrong at evaluation, and the run goes on.
for set in train test; do
    python3 - $set << 'PYTHON'
import json, sys
rows = [json.loads(line) for line in open(f'{sys.argv[1]}.jsonl')]
for i in range(0, len(rows), 4): rows[i]['question'] *= 40
open(f'long-{sys.argv[1]}.jsonl', 'w').writelines(json.dumps(row) + '\n' for row in rows)
PYTHON
done
run_tiny 0 long --train long-train.jsonl --test long-test.jsonl "${own[@]}"
left=$(grep -c . <(python3 -c 'import sqlite3
for text, in sqlite3.connect("long/run.db").execute("SELECT text FROM events WHERE kind = \"left_out\""): print(*text.split(), sep="\n")'))
[ "$left" -gt 0 ] || fail "no problem was left out; the test shows nothing"
[ "$(count long 'SELECT count(*) FROM trees')" = $((16 - left)) ] || fail "$left left out of 16, but not the others searched"
expect_in err '^iteration [12]: [0-9]+ problems left out: their prompts leave no room for an answer'
expect_in err '^iteration 0: 4 problems count as incorrect: their prompts leave no room for an answer'
[ "$(count long "SELECT count(*) FROM eval_results WHERE method = 'greedy' AND iteration = 2")" = 16 ] || fail "not all 16 counted"
[ "$(count long "SELECT count(*) FROM eval_results WHERE method = 'greedy' AND iteration = 2 AND tokens = 0 AND NOT right")" = 4 ] ||
    fail "the 4 that are too long do not count as incorrect"
run_tiny 0 long --train long-train.jsonl --test long-test.jsonl "${own[@]}" --resume
expect_exit 0 "$ESPALIER" eval --model "$TINY" --chat-template plain --data long-test.jsonl --limit 8 --max-tokens 16 --json
python3 -c "import json; assert json.load(open('out'))['too_long'] == 2" || fail "eval does not count them"
