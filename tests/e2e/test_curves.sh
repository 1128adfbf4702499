#!/bin/bash
# Accuracy against compute from run directories: every number is that of SQL over run.db; text, JSON and the page agree; the
# report has the same curves. timeout: 600
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

run_tiny 0 whole --set run.eval_every=1 --set eval.compare_k=4 --set eval.compare_search=both --set eval.compare_limit=8
expect_exit 0 "$ESPALIER" curves A=whole whole --json --html page.html
cp out two.json
expect_exit 0 "$ESPALIER" curves whole --problems 1000 --json
cp out thousand.json
expect_exit 0 "$ESPALIER" report whole --json
cp out report.json
python3 - << 'PYTHON'
import json, math, sqlite3
near = lambda a, b: math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12)
two, thousand, report = (json.load(open(name)) for name in ('two.json', 'thousand.json', 'report.json'))
assert [run['label'] for run in two['runs']] == ['A', 'whole']
assert two['runs'][0]['curves'] == two['runs'][1]['curves'] == report['data']['curves']['curves']
[run] = thousand['runs']
assert run['problems'] == 8 and run['asked'] == 1000 and run['left_out'] == 0
db = sqlite3.connect('whole/run.db')
one = lambda sql, *a: db.execute(sql, a).fetchone()
curves = {(c['name'], c['iteration']): c['points'] for c in run['curves']}
last = one('SELECT max(iteration) FROM evals')[0]
assert last >= 2
def cost(iteration, method):
    return one('SELECT 1.0 * tokens_computed / problems FROM evals WHERE iteration = ? AND method = ?', iteration, method)[0]
def training(iteration):
    return one('SELECT total(tokens_computed) FROM trees WHERE iteration <= ?', iteration)[0] + \
        one('SELECT total(tokens_computed) FROM updates WHERE iteration BETWEEN 1 AND ?', iteration)[0]
first = [row[0] for row in db.execute("SELECT DISTINCT problem FROM eval_results WHERE method = 'sample' ORDER BY problem")]
places = ','.join(map(str, first))
solved, answering = set(), 0
own, any_so_far = curves['greedy, each checkpoint', None], curves['any checkpoint so far', None]
assert [p['iteration'] for p in own] == [p['iteration'] for p in any_so_far] == list(range(last + 1))
for p, q in zip(own, any_so_far):
    i = p['iteration']
    right = {row[0] for row in db.execute(f"SELECT problem FROM eval_results WHERE method = 'greedy' AND iteration = ? AND eval_results.right AND problem IN ({places})", (i,))}
    solved |= right
    answering += cost(i, 'greedy')
    assert near(p['share'], len(right) / 8) and near(q['share'], len(solved) / 8), i
    assert near(p['answering'], cost(i, 'greedy')) and near(q['answering'], answering), i
    assert p['training'] == q['training'] == training(i) and near(p['tokens'], training(i) + 1000 * p['answering']), i
    assert p['low'] <= p['share'] <= p['high']
for i in 0, last:
    passes, majorities = curves['pass@k', i], curves['maj@k', i]
    assert [p['k'] for p in passes] == [p['k'] for p in majorities] == [1, 2, 4]
    pass_at_k, maj_at_k = one("SELECT pass_at_k, maj_at_k FROM evals WHERE method = 'sample' AND iteration = ?", i)
    assert near(passes[-1]['share'], pass_at_k) and near(majorities[-1]['share'], maj_at_k)
    assert near(passes[-1]['answering'], cost(i, 'sample')) and near(passes[0]['answering'], cost(i, 'greedy'))
    assert passes[0]['answering'] <= passes[1]['answering'] <= passes[2]['answering']
    for name, method in ('search', 'search'), ('search without self-evaluation', 'search-unjudged'):
        accuracy, vote, found = one('SELECT accuracy, maj_at_k, pass_at_k FROM evals WHERE method = ? AND iteration = ?', method, i)
        for kind, value in ('', accuracy), (': vote', vote), (': any chain', found):
            [point] = curves[name + kind, i]
            assert near(point['share'], value) and near(point['answering'], cost(i, method)) and point['training'] == training(i)
page = open('page.html', encoding='utf-8').read()
start = page.index('id="data">') + len('id="data">')
assert json.loads(page[start:page.index('</script>', start)]) == two
PYTHON
expect_exit 0 "$ESPALIER" curves whole
expect_in out '^whole: accuracy on 8 problems, tokens for [0-9]+$'
expect_in out '^  greedy, each checkpoint +0 +1 +[0-9,]+ +0 +[0-9.]+% \['
expect_in out '^  pass@k +0 +4 '

# Equal labels are one method: its mean. A run has no interval over runs.
run_tiny 0 again --set run.seed=2 --set run.eval_every=1 --set eval.compare_k=4 --set eval.compare_search=both --set eval.compare_limit=8
expect_exit 0 "$ESPALIER" curves M=whole M=again other=again --problems 1000 --json
python3 - thousand.json out << 'PYTHON'
import json, sys
near = lambda a, b: abs(a - b) < 1e-4
[one], (mean, other) = (json.load(open(name))['runs'] for name in sys.argv[1:3])
assert (mean['label'], mean['runs'], other['label'], other['runs']) == ('M', 2, 'other', 1)
for a, b, m in zip(one['curves'], other['curves'], mean['curves'], strict=True):
    assert a['name'] == b['name'] == m['name']
    for p, q, r in zip(a['points'], b['points'], m['points'], strict=True):
        for key in 'share', 'training', 'answering', 'tokens':
            assert abs((p[key] + q[key]) / 2 - r[key]) < 1e-6 * max(1, r[key]), (a['name'], key)
        half = 12.706204736 * abs(p['share'] - q['share']) / 2
        assert near(r['low'], max(0, r['share'] - half)) and near(r['high'], min(1, r['share'] + half)), (r, half)
PYTHON

# Not a run; a run without evaluations.
expect_exit 1 "$ESPALIER" curves nothing
expect_in err 'nothing'
expect_exit 2 "$ESPALIER" curves
run_tiny 0 never --set run.eval_every=0 --set run.iterations=1
expect_exit 0 "$ESPALIER" curves never
expect_in out '^never: '
