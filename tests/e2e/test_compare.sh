#!/bin/bash
# timeout: 600
# The comparison of methods: every figure is computed again here from the runs' run.db; what cannot be compared is said.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# Two methods with the seeds 1, 2 and 1, 2, 3. Results are written over, so that they differ by more than this model can.
for seed in 1 2 3; do
    [ $seed = 3 ] || run_tiny 0 base-$seed --seed $seed --set sft.limit=16
    run_tiny 0 other-$seed --seed $seed --set sft.limit=16 --set learn.lr=1e-3
done
python3 - << 'PYTHON'
import random, sqlite3
random.seed(5)
for run, at in ('base-1', .2), ('base-2', .3), ('other-1', .5), ('other-2', .7), ('other-3', .6):
    db = sqlite3.connect(f'{run}/run.db')
    for iteration, n in db.execute('select iteration, problems from evals').fetchall():
        share, right = at * (iteration + 1) / 3, 0
        for problem, in db.execute('select problem from eval_results where iteration = ? order by problem', (iteration,)).fetchall():
            hit = random.random() < share
            right += hit
            db.execute('update eval_results set right = ? where iteration = ? and problem = ?', (hit, iteration, problem))
        db.execute('update evals set right = ?, accuracy = ? where iteration = ?', (right, right / n, iteration))
    db.commit()
PYTHON

expect_exit 0 "$ESPALIER" compare base-2 base-1 other-3 other-1 other-2 --target 20 --json
cat > check.py << 'PYTHON'
import json, math, sqlite3
t95 = {1: 12.7062, 2: 4.30265}
def near(a, b, what):
    assert (a is None and b is None) or abs(a - b) < 1e-4 * max(1, abs(b)), (what, a, b)
def student(values):
    n, mean = len(values), sum(values) / len(values)
    half = t95[n - 1] * math.sqrt(sum((v - mean) ** 2 for v in values) / (n - 1) / n)
    return mean, mean - half, mean + half
def check(estimate, values, what):
    mean, low, high = student(values)
    assert estimate['n'] == len(values), what
    near(estimate['mean'], mean, what), near(estimate['interval'][0], low, what), near(estimate['interval'][1], high, what)
def read(run):
    db = sqlite3.connect(f'{run}/run.db')
    curve = db.execute('select iteration, accuracy from evals order by iteration').fetchall()
    cost = dict(db.execute('select iteration, sum(tokens_sampled) + sum(tokens_judged) from trees group by iteration'))
    right = [r for r, in db.execute('select right from eval_results where iteration = 2 order by problem')]
    points = [(i, a, sum(c for k, c in cost.items() if k <= i)) for i, a in curve]
    return {'curve': points, 'right': right, 'accuracy': curve[-1][1], 'mean': (curve[0][1] / 2 + curve[1][1] + curve[2][1] / 2) / 2,
            'reached': next((c for i, a, c in points if a >= .2), None), 'tokens': points[-1][2],
            'updates': db.execute('select count(*) from updates').fetchone()[0],
            'trees': db.execute('select count(*) from trees').fetchone()[0]}
found = json.load(open('out'))
names = {'base-2': ['base-1', 'base-2'], 'other-3': ['other-1', 'other-2', 'other-3']}
assert [m['method'] for m in found['methods']] == list(names) and found['baseline'] == 'base-2'
runs = {run: read(run) for all in names.values() for run in all}
for m in found['methods']:
    mine = [runs[run] for run in names[m['method']]]
    assert [r['run'] for r in m['runs']] == names[m['method']]
    for one, r in zip(m['runs'], mine):
        for point, expected in zip(one['curve'], r['curve']):
            near(point['accuracy'], expected[1], 'curve'), near(point['tokens'], expected[2], 'curve tokens')
        near(one['reached_at'], r['reached'], 'reached')
    for key, own in ('accuracy', 'accuracy'), ('curve_mean', 'mean'), ('tokens', 'tokens'), ('updates', 'updates'), ('trees', 'trees'):
        check(m[key], [r[own] for r in mine], key)
    reached = [r['reached'] for r in mine if r['reached'] is not None]
    assert m['reached_at']['n'] == len(reached)
    if reached: near(m['reached_at']['mean'], sum(reached) / len(reached), 'reached')
base, other = found['methods']
assert base['less_baseline'] is None and other['recipe_changes'] == ['learn.lr: 0.0001 -> 0.001'], other['recipe_changes']
less, pairs = other['less_baseline'], [(runs[f'other-{s}'], runs[f'base-{s}']) for s in (1, 2)]
check(less['over_seeds'], [a['accuracy'] - b['accuracy'] for a, b in pairs], 'over seeds')
check(less['curve_mean'], [a['mean'] - b['mean'] for a, b in pairs], 'curve over seeds')
each = [sum(a['right'][i] - b['right'][i] for a, b in pairs) / 2 for i in range(16)]
near(less['over_problems']['difference'], sum(each) / 16, 'over problems')
deviation = math.sqrt(sum((d - sum(each) / 16) ** 2 for d in each) / 16 / 16)  # of the bootstrap's means
low, high = less['over_problems']['interval']
assert abs((high - low) / (2 * 1.96 * deviation) - 1) < 0.12, (low, high, deviation)
for (a, b), pair in zip(pairs, less['each_seed']):
    only_a, only_b = (sum(x and not y for x, y in zip(p['right'], q['right'])) for p, q in ((a, b), (b, a)))
    tail = sum(math.comb(only_a + only_b, k) for k in range(min(only_a, only_b) + 1)) / 2 ** (only_a + only_b)
    assert (pair['only_a'], pair['only_b']) == (only_a, only_b)
    near(pair['p'], min(1, 2 * tail), 'McNemar')
assert len(found['warnings']) == 1 and 'have no run of base-2 with the same seed' in found['warnings'][0], found['warnings']
PYTHON
python3 check.py || fail "a figure is not that of the runs"

expect_exit 0 "$ESPALIER" compare base-1 base-2 other-1 other-2 --target 99 --by-iteration
expect_in out '^\| base-1 +\| 2 +\| [0-9.]+ \[[-0-9.]+, [0-9.]+\] +\| [0-9.]+, [0-9.]+ +\|'
expect_in out '^\| other-1 .*\| not reached'
expect_in out '^\| less base-1 '
expect_in out '^\| iteration: % \(tokens\) \| base-1 +\| other-1 +\|$'
python3 - << 'PYTHON' || fail "the curve is not that of the runs"
import sqlite3
row = next(line for line in open('out') if line.startswith('| 2 ')).split('|')[2:4]
for cell, runs in zip(row, (('base-1', 'base-2'), ('other-1', 'other-2'))):
    dbs = [sqlite3.connect(f'{run}/run.db') for run in runs]
    accuracy = sum(db.execute('select accuracy from evals where iteration = 2').fetchone()[0] for db in dbs) / 2
    tokens = sum(db.execute('select sum(tokens_sampled) + sum(tokens_judged) from trees').fetchone()[0] for db in dbs) / 2
    shown, spent = cell.split()
    assert abs(float(shown) - 100 * accuracy) < 0.051 and abs(int(spent[1:-1].replace(',', '')) - tokens) < 1, cell
PYTHON
expect_in out '^    learn\.lr: 0\.0001 -> 0\.001$'
expect_not_in out '^warning'

# Labels, the baseline by name, and methods that differ in more than the seed under one label.
expect_exit 0 "$ESPALIER" compare A=base-1 B=other-1 A=base-2 --baseline B
expect_in out '^\| less B +\|'
expect_in out '^\| A +\| 1 '
expect_exit 0 "$ESPALIER" compare A=base-1 A=other-2
expect_in out '^warning: the runs of A differ in more than their seed$'
expect_exit 0 "$ESPALIER" compare A=base-1 A=base-1
expect_in out '^warning: A has several runs of seed 1'
expect_exit 1 "$ESPALIER" compare base-1 other-1 --baseline C
expect_in err 'the methods are base-1, other-1'

# Other problems, another number of them, another way to answer, another model, no end.
mv test.jsonl kept.jsonl && sed 's/How/Say how/; s/how/HOW/' kept.jsonl > test.jsonl
cmp -s test.jsonl kept.jsonl && fail "the problems have not changed"
run_tiny 0 reworded --seed 1 --set sft.limit=16
mv kept.jsonl test.jsonl
expect_exit 0 "$ESPALIER" compare base-1 X=reworded
expect_in out '^warning: X was evaluated on other problems than base-1'
expect_in out '^\| X +\| 0 +\|  '
run_tiny 0 fewer --seed 1 --set sft.limit=16 --set eval.limit=8 --set eval.max_tokens=24
expect_exit 0 "$ESPALIER" compare base-1 fewer
expect_in out '^warning: fewer was evaluated on other problems than base-1'
expect_in out '^warning: fewer was evaluated otherwise than base-1: eval\.max_tokens \(32, 24\)$'
run_tiny 0 again --seed 1 --set sft.limit=16 --set sft.epochs=0 --set learn.lr=0 --model base-1/checkpoints/sft
expect_exit 0 "$ESPALIER" compare base-1 again
expect_in out '^warning: again began with another model than base-1$'
mkdir begun && cp fewer/run.db fewer/recipe.yaml begun
python3 -c "import sqlite3; db = sqlite3.connect('begun/run.db'); db.execute('update position set phase = 2'); db.commit()"
expect_exit 0 "$ESPALIER" compare base-1 begun
expect_in out '^warning: begun is left out: it is not finished'
expect_exit 1 "$ESPALIER" compare begun
expect_in err 'there is no finished run to compare'
expect_exit 1 "$ESPALIER" compare nowhere
expect_in err 'nowhere: there is neither a run'
expect_exit 2 "$ESPALIER" compare
