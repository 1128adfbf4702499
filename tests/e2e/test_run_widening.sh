#!/bin/bash
# Runs by verified widening: trees are done at their first correct chain, values are on one scale, evaluation by search
# ends with an answer. Twice the same bits, also when it is killed.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

all=(--rule widening --value outcome --simulations 4 --breadth-root 3 --breadth 3 --tree-tokens 200 --pairs-at all
    --smoothing evidence --set sft.epochs=3 --set search.max_steps=4 --set search.accept=0.9 --set eval.limit=6
    --set eval.compare_search=on --set eval.compare_limit=6)
strike_tiny 0 0 9 whole "${all[@]}"
calls=$(cat calls)

python3 - << 'PYTHON'
import sqlite3
db = sqlite3.connect('whole/run.db')
correct = alone = 0
for tree, simulations in db.execute('SELECT tree, simulations FROM trees').fetchall():
    nodes = {n: row for n, *row in db.execute('SELECT node, parent, visits, r, confidence, outcome, flags FROM nodes WHERE tree = ?', (tree,))}
    ends = [n for n, row in nodes.items() if row[5] & 1 and row[4] > 0]
    assert len(ends) <= 1, (tree, ends)
    assert 1 <= simulations <= 4
    for n, (parent, visits, r, confidence, outcome, flags) in nodes.items():
        if n == 0: continue
        assert abs(r - (outcome if flags & 3 else 2 * confidence - 1)) < 1e-9, (tree, n)
        alone += not visits
    for n in ends:
        correct += 1
        assert nodes[n][1] == 1 and nodes[n][5] & 4, 'the correct chain is the answer'
assert correct and alone, ('the test shows nothing', correct, alone)
assert db.execute("SELECT count(*) FROM evals WHERE method = 'search'").fetchone()[0] == 2
PYTHON

strike_tiny 137 $((calls / 2)) 9 killed "${all[@]}"
run_tiny 0 killed --resume "${all[@]}"
same_runs whole killed
