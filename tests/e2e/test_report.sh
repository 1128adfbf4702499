#!/bin/bash
# The page of a run: its numbers are those of `espalier eval` and of SQL over run.db, on any run, also one that is being
# written; run writes it at its end; a page that cannot be written fails no run and loses no older page. timeout: 600
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# data PAGE: the JSON document that a page holds.
data() {
    python3 - "$1" << 'PYTHON'
import sys
page = open(sys.argv[1], encoding='utf-8').read()
start = page.index('>', page.index('<script type="application/json"')) + 1
print(page[start:page.index('</script>', start)])
PYTHON
}

# eval.compare_*: samples and search at inference, before and after
run_tiny 0 whole --set eval.compare_k=4 --set eval.compare_search=both --set eval.compare_limit=8 --json
page=$(python3 -c 'import json; print(json.load(open("out"))["report"])')
[ "$page" = whole/report.html ] || fail "run names the page $page"
data whole/report.html > whole.json

# Compares the page's numbers with SQL; each is computed again.
cat > check.py << 'PYTHON'
import json, math, sqlite3, sys
run, document = sys.argv[1], json.load(open(sys.argv[2]))
db = sqlite3.connect(f'{run}/run.db')
one = lambda sql, *a: db.execute(sql, a).fetchone()
def same(a, b, what):
    ok = a == b or (a is not None and b is not None and math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12))
    assert ok, f'{what}: {a} in the page, {b} in run.db'
assert document['format'] == 2
sampled = judged = computed = 0
for it in document['iterations']:
    i = it['iteration']
    row = one("SELECT accuracy, low, high, right, problems FROM evals WHERE iteration = ? AND method = 'greedy'", i)
    assert (row is None) == (it['greedy'] is None), i
    if row:
        for key, value in zip(('accuracy', 'low', 'high', 'right', 'problems'), row): same(it['greedy'][key], value, key)
        tokens, finished = one("SELECT avg(tokens), avg(finished) FROM eval_results WHERE iteration = ? AND method = 'greedy'", i)
        same(it['greedy']['mean_tokens'], tokens, 'mean_tokens')
        same(it['greedy']['finished_share'], finished, 'finished_share')
    s, j, c, trees, right = one('SELECT total(tokens_sampled), total(tokens_judged), total(tokens_computed), count(*),'
                                ' total(outcome > 0) FROM trees WHERE iteration = ?', i)
    for key, value in (('tokens_sampled', s), ('tokens_judged', j), ('tokens_computed', c), ('trees', trees), ('trees_right', right)):
        same(it[key], value, key)
    same(it['pairs'], one('SELECT count(*) FROM pairs WHERE iteration = ?', i)[0], 'pairs')
    learned = one('SELECT total(tokens_computed) FROM updates WHERE iteration = ?', i)[0]
    sampled, judged, computed = sampled + s, judged + j, computed + c + learned
    same(it['cumulative_tokens_sampled'], sampled, 'sampled')
    same(it['cumulative_tokens_judged'], judged, 'judged')
    same(it['tokens_spent'], s + j, 'spent')
    same(it['cumulative_tokens_spent'], sampled + judged, 'all spent')
    same(it['cumulative_tokens_computed'], computed, 'computed')
    for key in 'loss', 'grad_norm', 'margin', 'accuracy', 'logp_chosen', 'logp_rejected', 'kl':
        value = one(f"SELECT sum({key} * rows) / sum(rows) FROM updates WHERE phase = 'learn' AND iteration = ? AND {key} IS NOT NULL", i)[0]
        told = it[key] if key in ('loss', 'grad_norm') else it['metrics'].get(key)
        assert (told is None and value is None) or math.isclose(told, value, rel_tol=1e-9, abs_tol=1e-12), key
    # the area by its definition, over all pairs of a correct and an incorrect finished chain
    rows = db.execute('SELECT confidence, nodes.outcome > 0 FROM nodes JOIN trees USING (tree) WHERE iteration = ? AND flags & 17 = 17', (i,)).fetchall()
    good, bad = [c for c, r in rows if r], [c for c, r in rows if not r]
    if good and bad:
        area = sum((g > b) + 0.5 * (g == b) for g in good for b in bad) / len(good) / len(bad)
        same(it['auc_finished']['area'], area, 'AUC')
    else:
        assert it['auc_finished'] is None
assert len(document['updates']) == one('SELECT count(*) FROM updates')[0]
assert document['trees_left_out'] == document['replays_left_out'] == 0
column = {name: i for i, name in enumerate(document['tree_columns'])}
for tree in document['trees']:
    rows = db.execute('SELECT parent, visits, q, v, logprob, flags, text FROM nodes WHERE tree = ? ORDER BY node', (tree['tree'],)).fetchall()
    assert len(rows) == len(tree['nodes'])
    for node, (parent, n, q, v, logprob, flags, text) in zip(tree['nodes'], rows):
        assert (node[column['parent']], node[column['N']], node[column['flags']]) == (parent, n, flags)
        assert math.isclose(node[column['Q']], q, rel_tol=1e-5, abs_tol=1e-5) and math.isclose(node[column['V']], v, rel_tol=1e-5, abs_tol=1e-5)
        assert node[column['text']] == text
    assert len(tree['replay']) == one('SELECT simulations FROM trees WHERE tree = ?', tree['tree'])[0]
    commits = [list(r) for r in db.execute('SELECT step, state, picked, chosen, rejected FROM commitments WHERE tree = ? ORDER BY step', (tree['tree'],))]
    assert tree['commits'] == commits
assert len(document['trees']) == one('SELECT count(*) FROM trees')[0]
for at in document['inference']:
    i, points = at['iteration'], at['samples']
    row = one("SELECT pass_at_k, maj_at_k, k, problems, tokens_sampled FROM evals WHERE iteration = ? AND method = 'sample'", i)
    assert points[-1]['k'] == row[2]
    same(points[-1]['pass'], row[0], 'pass@k')
    same(points[-1]['majority'], row[1], 'maj@k')
    same(points[-1]['tokens'], row[4] / row[3], 'tokens of samples')
    for method, key in ('search', 'search'), ('search-unjudged', 'search_unjudged'):
        row = one("SELECT accuracy, maj_at_k, pass_at_k, low, high, tokens_sampled, problems FROM evals WHERE iteration = ? AND method = ?", i, method)
        for name, value in zip(('committed', 'vote', 'any', 'low', 'high'), row): same(at[key][name], value, name)
        same(at[key]['tokens'], row[5] / row[6], 'tokens of search')
    n = row[6]
    right = one("SELECT total(right) FROM (SELECT right FROM eval_results WHERE iteration = ? AND method = 'greedy' ORDER BY problem LIMIT ?)", i, n)[0]
    same(at['greedy']['accuracy'], right / n, 'greedy on the same problems')
if document['gain']:
    g = document['gain']
    before, after = ({p: r for p, r in db.execute("SELECT problem, right FROM eval_results WHERE method = 'greedy' AND iteration = ?", (i,))} for i in (g['from'], g['to']))
    assert g['only_after'] == sum(after[p] > before[p] for p in before) and g['only_before'] == sum(after[p] < before[p] for p in before)
    same(g['difference'], (sum(after.values()) - sum(before.values())) / len(before), 'gain')
    assert g['low'] <= g['difference'] <= g['high']
print('fine')
PYTHON
python3 check.py whole whole.json > /dev/null || fail "the page and run.db"
python3 - << 'PYTHON' || fail "what the page of the whole run has"
import json
d = json.load(open('whole.json'))
assert d['run']['finished'] and d['gain'] and [i['label'] for i in d['inference']] == ['before', 'after']
assert d['answers'] and all(a['question'] and a['gold'] for a in d['answers']), 'questions come from the data file'
assert len(d['trees']) == 16 and d['judge'] and d['summary']['sentences'] and d['watch']
assert d['judge']['evaluated'], 'the judge at inference'
PYTHON

# The last policy evaluated by itself gives what the page says.
expect_exit 0 "$ESPALIER" eval --model whole/checkpoints/iteration-2 --chat-template plain --data test.jsonl --method greedy \
    --limit 16 --max-tokens 32 --seed 7 --threads 2 --json
python3 - << 'PYTHON' || fail "the page and espalier eval"
import json
e, page = json.load(open('out')), json.load(open('whole.json'))['iterations'][-1]['greedy']
assert (e['accuracy'], e['right'], e['problems']) == (page['accuracy'], page['right'], page['problems']), (e, page)
assert e['interval'] == [page['low'], page['high']]
for key in 'mean_tokens', 'finished_share', 'tokens_sampled': assert e[key] == page[key], (key, e[key], page[key])
PYTHON

# By hand: the same document but for the page's place; --json has it too; a baseline; fewer trees.
expect_exit 0 "$ESPALIER" report whole --out by-hand.html
[ "$(cat out)" = by-hand.html ] || fail "report prints the path"
data by-hand.html | cmp - whole.json || fail "the page that run wrote and the one made by hand differ"
expect_exit 0 "$ESPALIER" report whole --trees 3 --baseline first=whole --baseline second=whole --json --out few.html
data few.html > few.json
python3 - << 'PYTHON' || fail "--json, --trees, --baseline"
import json
out, few, whole = (json.load(open(name)) for name in ('out', 'few.json', 'whole.json'))
assert (out['report'], out['trees'], out['trees_left_out']) == ('few.html', 3, 13)
assert len(few['trees']) == 3 and few['trees_left_out'] == out['data']['trees_left_out'] == 13
assert [b['label'] for b in few['baselines']] == ['first', 'second']
assert out['data']['iterations'] == whole['iterations'] and 'trees' not in out['data']
PYTHON
expect_exit 2 "$ESPALIER" report whole --baseline =x
expect_exit 1 "$ESPALIER" report whole --baseline x=nowhere
expect_in err 'baseline x'
expect_exit 1 "$ESPALIER" report nowhere
expect_in err 'no run is here'
expect_absent nowhere

# A run in each state that a stop may leave, and while another process holds it.
run_tiny 0 search-only --set sft.epochs=0 --set learn.epochs=0 --set run.iterations=1 --set eval.limit=2
data search-only/report.html > search.json
python3 check.py search-only search.json > /dev/null || fail "the page of a run that only searches"
make_strike
strike_tiny 0 0 2 counted
calls=$(cat calls)
for part in 5 2; do
    strike_tiny 3 $((calls / part)) 2 "stopped-$part"
    [ "$(position_of "stopped-$part" | cut -d' ' -f1)" != done ] || fail "the run was not stopped"
    expect_absent "stopped-$part/report.html"
    expect_exit 0 "$ESPALIER" report "stopped-$part"
    data "stopped-$part/report.html" > stopped.json
    python3 check.py "stopped-$part" stopped.json > /dev/null || fail "the page of a run stopped within"
    grep -q 'The run is not finished' stopped.json || fail "the page does not say that the run is not finished"
done
expect_exit 0 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --out only-sft
expect_exit 0 "$ESPALIER" report only-sft
data only-sft/report.html > sft.json
python3 -c 'import json; d = json.load(open("sft.json")); assert d["updates"] and not d["trees"] and d["gain"] is None' ||
    fail "the page of SFT alone"
exec {lock}> whole/lock
flock "$lock"
expect_exit 0 "$ESPALIER" report whole --out locked.html
exec {lock}>&-

# A full disk: the run is finished all the same, and says what to do; an older page stays.
run_tiny 0 unwritten --set run.iterations=1 --set eval.limit=2
rm unwritten/report.html
mkdir unwritten/report.html
run_tiny 0 unwritten --set run.iterations=1 --set eval.limit=2 --resume
expect_in err 'its report could not be written'
expect_in err 'espalier report unwritten'
sha256sum whole/report.html > before
(ulimit -f 64; expect_exit 1 "$ESPALIER" report whole) || fail "a page over the limit"
sha256sum -c --quiet before || fail "the older page is gone"
expect_absent whole/report.html.*.tmp
