#!/bin/bash
# How an iteration takes its problems: with run.choose learnable, those that earlier trees solved now and then come
# first. Twice the same bits, killed or not.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

all=(--choose learnable --iterations 3 --problems 12 --set sft.epochs=3 --root-probe 3 --set search.max_steps=4
    --set learn.lr=1e-3)
strike_tiny 0 0 9 whole "${all[@]}"
calls=$(cat calls)

python3 - << 'PYTHON'
import sqlite3
db = sqlite3.connect('whole/run.db')
def ended(tree):
    rows = db.execute('SELECT outcome FROM nodes WHERE tree = ? AND flags & 3', (tree,)).fetchall()
    return sum(o > 0 for o, in rows), sum(o < 0 for o, in rows)
order = {i: [p for p, in db.execute('SELECT problem FROM trees WHERE iteration = ? ORDER BY ordinal', (i,))] for i in (1, 2, 3)}
first = {p: ended(t) for t, p in db.execute('SELECT tree, problem FROM trees WHERE iteration = 1')}
mixed = [p for p, (right, wrong) in first.items() if right and wrong]
assert 0 < len(mixed) < 12, ('the test shows nothing', first)
assert all(len(set(o)) == 12 for o in order.values()), order
assert order[1] != order[2] != order[3]
again = [p for p in mixed if p in order[2]] # of 64 problems a shuffle would draw one in five
assert 2 * len(again) > len(mixed), (order[2], first)
PYTHON

RANDOM=7
resume=
before=0
for kill in 0 1 2; do
    moment=$((calls * kill / 3 + RANDOM % (calls / 3)))
    strike_tiny 137 $((moment - before + 20)) 9 killed $resume "${all[@]}"
    before=$moment
    resume=--resume
done
run_tiny 0 killed --resume "${all[@]}"
same_runs whole killed

run_tiny 2 other --choose best
expect_in err 'run.choose'
