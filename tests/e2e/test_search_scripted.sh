#!/bin/bash
# The 24 scripted searches of golden/search through the program: every number within 1e-6.
. "$(dirname "$0")/../lib.sh"
need_program

cat > compare.py << 'PYTHON'
import json, sys
def same(got, want, where):
    if isinstance(want, dict):
        assert isinstance(got, dict) and set(want) <= set(got), f'{where}: {sorted(got)} instead of {sorted(want)}'
        for key in want: same(got[key], want[key], f'{where}.{key}')
    elif isinstance(want, list):
        assert isinstance(got, list) and len(got) == len(want), f'{where}: lengths'
        for i, (a, b) in enumerate(zip(got, want)): same(a, b, f'{where}[{i}]')
    elif isinstance(want, (int, float)) and not isinstance(want, bool):
        assert abs(got - want) <= 1e-6, f'{where}: {got} instead of {want}'
    else:
        assert got == want, f'{where}: {got} instead of {want}'
case = json.load(open(sys.argv[1]))
same(json.load(open(sys.argv[2])), case['expected'], 'result')
PYTHON
count=0
for case in "$TEST_DATA"/golden/search/case-*.json; do
    expect_exit 0 "$ESPALIER" search --json --policy scripted "$case"
    python3 compare.py "$case" out || fail "$case"
    count=$((count + 1))
done
[ $count = 24 ] || fail "$count cases, not 24"
echo "$count cases"

# A case that is none names the member.
sed 's/"breadth"/"breath"/' "$TEST_DATA/golden/search/case-1-00.json" > case.json
expect_exit 1 "$ESPALIER" search --policy scripted case.json
expect_in err '^espalier: error: case.json.*"?breadth"?'
expect_exit 2 "$ESPALIER" search --policy scripted
