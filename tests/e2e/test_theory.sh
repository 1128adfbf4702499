#!/bin/bash
# espalier theory: six tables of what theory predicts and what the program's parts compute, as text, JSON and a page.
. "$(dirname "$0")/../lib.sh"
need_program

# All of it in ten seconds of processor time at most (an instrumented build is slower).
[ "$ESPALIER_SANITIZE" = ON ] || ulimit -t 10
expect_exit 0 "$ESPALIER" theory
for table in T1 T2 T3 T4 T5 T6; do expect_in out "^$table  [A-Z]"; done
expect_in out '^  P\(not ruled out\) +e = 0\.01, M = 20 +0\.670338 +0\.670338 +[-+0-9.e]+  within 1e-09$'
expect_in out '^  E pi\(correct leaf\) +on-policy, M = 3 +0\.319616 +0\.319616 '
expect_in out '^all [0-9]+ values are as predicted$'
expect_not_in out 'DIFFERS'

# Some tables, in their order and once; the same numbers.
cp out all
expect_exit 0 "$ESPALIER" theory t5 T2 T5
expect_not_in out '^T[1346] '
[ "$(grep -c '^T[25] ' out)" = 2 ] || fail "T2 and T5, once each"
grep -E '^  .* 0\.' out > some
[ -s some ] || fail "no numbers"
while IFS= read -r line; do grep -qxF -- "$line" all || fail "not in the whole: $line"; done < some

# Another seed: another simulation, the same predictions.
expect_exit 0 "$ESPALIER" theory T3 --seed 2 --json
cp out two.json
expect_exit 0 "$ESPALIER" theory --json --html page.html
python3 - out two.json page.html << 'PYTHON'
import json
import sys
whole, other = (json.load(open(path)) for path in sys.argv[1:3])
assert [t['name'] for t in whole['tables']] == ['T1', 'T2', 'T3', 'T4', 'T5', 'T6'] and whole['differ'] == 0
assert sum(len(t['values']) for t in whole['tables']) == whole['values'] > 100
for table in whole['tables']:
    for v in table['values']:
        assert v['holds'] and v['difference'] == v['computed'] - v['prediction'], v
        if v['relation'] == '=':
            assert abs(v['difference']) <= v['allowed'], v
[confidence] = other['tables']
pairs = list(zip(whole['tables'][2]['values'], confidence['values']))
assert all(a['prediction'] == b['prediction'] for a, b in pairs)
assert any(a['computed'] != b['computed'] for a, b in pairs)
page = open(sys.argv[3], encoding='utf-8').read()
start = page.index('id="data">') + len('id="data">')
assert json.loads(page[start:page.index('</script>', start)]) == whole
PYTHON

expect_exit 2 "$ESPALIER" theory T7
expect_in err 'no table T7'
expect_in err 'T1 to T6'
expect_exit 1 "$ESPALIER" theory T2 --html absent/page.html
expect_in err 'absent/page.html'
