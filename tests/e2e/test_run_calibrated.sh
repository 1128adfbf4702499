#!/bin/bash
# The judge's confidence, fitted on the trees of the iteration before, and a judge at chance level switched off: what
# run.db keeps of it is what an independent fit gives, the trees follow from it, and an interrupted run ends the same.
# timeout: 900
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

# A model that is sometimes right, so that its trees have both outcomes.
expect_exit 0 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --out warm --set sft.epochs=3
TINY=$WORK/warm/checkpoints/sft
calibrated=(--set sft.epochs=0 --set search.temperature=1.3 --set search.breadth_root=4 --set search.value=outcome
    --set run.problems_per_iteration=16 --iterations 3 --set self_eval.calibrate=true --set eval.limit=4)

strike_tiny 0 0 2 whole "${calibrated[@]}"
calls=$(cat calls)
expect_in err '^iteration 2: the judge is (on|off): AUC within problems [0-9.]+ \[[0-9.]+, [0-9.]+\] in iteration 1; log-odds of C times -?[0-9.]+ plus -?[0-9.]+, fitted on [0-9]+ nodes'
[ "$(count whole 'SELECT group_concat(iteration) FROM calibrations')" = 2,3 ] || fail "calibrations of iterations 2 and 3"
run_tiny 0 whole "${calibrated[@]}" --resume --json
python3 - << 'PYTHON' || fail "run.db does not have what follows from the trees"
import json, math, sqlite3
db, summary = sqlite3.connect('whole/run.db'), json.load(open('out'))
def nodes(iteration):
    rows, sign = [], {}
    for tree, node, parent, c, o, flags in db.execute(
            'SELECT tree, node, parent, confidence, nodes.outcome, flags FROM nodes JOIN trees USING (tree) WHERE iteration = ? '
            'ORDER BY tree, node DESC', (iteration,)).fetchall():
        total = sign[tree, node] = sign.get((tree, node), 0) + ((o > 0) - (o < 0) if flags & 3 else 0)
        if parent >= 0:
            sign[tree, parent] = sign.get((tree, parent), 0) + total
            if total and flags & 16: rows.append((math.log(c / (1 - c)), total > 0))
    return rows
sigma = lambda x: 1 / (1 + math.exp(-x))
for iteration, judged, slope, offset, start, count in db.execute('SELECT * FROM calibrations'):
    rows = nodes(iteration - 1)
    assert count == len(rows) > 20
    gap = [sigma(slope * z + offset) - y for z, y in rows]  # the gradient of log-loss and ridge is 0 at the fit
    assert abs(sum(gap) + 0.01 * offset) < 1e-4 and abs(sum(g * z for g, (z, _) in zip(gap, rows)) + 0.01 * slope) < 1e-4
    low, = db.execute("SELECT within_low FROM judgements WHERE iteration = ? AND source = 'train' AND kind = 'all'", (iteration - 1,)).fetchone()
    assert judged == (low > 0.5 and slope > 0), (judged, low, slope)
    right, wrong = db.execute('SELECT sum(right), sum((SELECT count(*) FROM nodes WHERE nodes.tree = trees.tree AND flags & 3 AND outcome < 0)) '
                              'FROM trees WHERE iteration = ?', (iteration - 1,)).fetchone()
    assert abs(start - (right + 1) / (right + wrong + 2)) < 1e-12, (start, right, wrong)
    # The reward of a state that is open is on the scale of C~.
    for c, r in db.execute('SELECT confidence, r FROM nodes JOIN trees USING (tree) WHERE iteration = ? AND parent >= 0 AND NOT flags & 3', (iteration,)):
        value = sigma(slope * math.log(c / (1 - c)) + offset) if judged else start
        assert abs(r - (2 * value - 1)) < 1e-9, (r, value)
kept = [(c['iteration'], c['judged'], c['slope']) for c in summary['calibrations']]
assert kept == [(i, bool(j), s) for i, j, s in db.execute('SELECT iteration, judged, slope FROM calibrations')], kept
sources = {(j['iteration'], j['source']) for j in summary['judgements']}
assert {(1, 'train'), (2, 'train'), (2, 'calibrated'), (3, 'calibrated')} <= sources and (1, 'calibrated') not in sources, sources
PYTHON
# The trees are grown again from their rows with the map of their iteration.
expect_exit 0 "$ESPALIER" check whole
expect_exit 0 "$ESPALIER" report whole
grep -qE '"calibration":\{"judged":(true|false),"slope":-?[0-9.e-]+,' whole/report.html || fail "the report does not show it"

for at in 40 70; do
    strike_tiny 3 $((calls * at / 100)) 2 "stopped-$at" "${calibrated[@]}"
    run_tiny 0 "stopped-$at" "${calibrated[@]}" --resume
    same_runs whole "stopped-$at"
done

# At chance a judge is off, and is asked all the same: what it says next can switch it on again.
off=$(count whole 'SELECT count(*) FROM calibrations WHERE NOT judged')
[ "$off" -gt 0 ] || fail "a model that never learned to judge was never off"
[ "$(count whole 'SELECT count(*) FROM trees WHERE iteration > 1 AND tokens_judged = 0')" = 0 ] || fail "it was not asked"
