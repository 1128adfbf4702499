#!/bin/bash
# timeout: 600
# Runs whose answers a program judges: verdicts are kept, a killed run asks nothing twice and ends with the same bits, and what
# cannot be judged is counted wherever results are shown. A grader that runs unit tests works from end to end.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
cp "$ESPALIER_SOURCE_DIR/tests/e2e/graders/grader.py" .

# A grader that ends espalier by SIGKILL at the n-th question that it has not been asked before.
cat > killer.py << 'PYTHON'
import json, os, sys
exec(open("grader.py").read().replace("\nmain()\n", "\n"))
judge = answer
def known():
    return set(open(os.environ["ASKED"])) if os.path.exists(os.environ["ASKED"]) else set()
def answer(question):
    before = known()
    out = judge(question)
    if len(known()) > len(before) and len(known()) == int(os.environ.get("KILL_AT", "0")):
        os.kill(int(os.environ["ESPALIER_KEEPER"]), 9)
    return out
main()
PYTHON
sed -i 's/word.strip(".").lstrip("-").isdigit()/word.strip(".")[-1:].isdigit()/' grader.py # a model this small runs words together

digest() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["digest"])' "$1"; }
graded=(--set task.grader=command --set task.grader_command=$'python3\nkiller.py' --set task.grader_in_flight=3 --json)

export ASKED=$WORK/asked-whole
run_tiny 0 whole "${graded[@]}"
cp out whole.json
[ -s "$ASKED" ] || fail "the grader was asked nothing"
[ "$(sort "$ASKED" | uniq -d | wc -l)" = 0 ] || fail "a question was asked twice in one run"
verdicts=$(python3 -c 'import sqlite3; print(sqlite3.connect("whole/run.db").execute("SELECT count(*) FROM verdicts").fetchone()[0])')
[ "$verdicts" = "$(wc -l < "$ASKED")" ] || fail "$verdicts verdicts are kept of $(wc -l < "$ASKED")"

all=$(wc -l < "$ASKED")
export ASKED=$WORK/asked-killed
kills=0
for at in $((all / 6)) $((all / 3)) $((all / 2 + 4)) $((all - 2)); do
    resume=()
    if [ $kills -gt 0 ]; then resume=(--resume); fi
    KILL_AT=$at run_tiny 137 killed "${graded[@]}" "${resume[@]}"
    kills=$((kills + 1))
done
run_tiny 0 killed "${graded[@]}" --resume
cp out killed.json
[ "$(digest whole.json)" = "$(digest killed.json)" ] || fail "the killed run has another digest"
diff <(sort asked-whole) <(sort -u asked-killed) > difference || fail "the killed run asked other questions"
# Only what was not answered yet at a kill is asked again.
again=$(($(wc -l < asked-killed) - all))
[ $again -le $((3 * kills)) ] || fail "$again questions were asked again after $kills kills"

# With verdicts in any order and at any time, the same bits.
export ASKED=$WORK/asked-other
run_tiny 0 other --set task.grader=command --set task.grader_command=$'python3\nkiller.py' --set task.grader_workers=3 --json
[ "$(digest whole.json)" = "$(digest out)" ] || fail "another number of graders changed the run"

# What cannot be judged: in no silence, and worth what the recipe says.
cat > shrug.py << 'PYTHON'
import json, sys, zlib
for line in sys.stdin:
    q = json.loads(line)
    known = [True, False, None][zlib.crc32(q["answer"].encode()) % 3]
    print(json.dumps({"id": q["id"], "correct": known}), flush=True)
PYTHON
for worth in skip incorrect -0.5; do
    run_tiny 0 "unknown$worth" --set task.grader=command --set task.grader_command=$'python3\nshrug.py' --set task.unknown=$worth
    expect_in err 'answers? could not be judged and counts? as not correct; [0-9.]+% of the others are correct'
    python3 - "unknown$worth" "$worth" << 'PYTHON'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + '/run.db')
one = lambda query: db.execute(query).fetchone()[0]
nodes = one('SELECT count(*) FROM nodes WHERE flags & 32')
assert (nodes > 0) == (sys.argv[2] == 'skip'), nodes
assert one('SELECT total(unknown) FROM trees') == nodes
assert one('SELECT min(outcome) FROM nodes WHERE flags & 32') in (None, 0)
assert one('SELECT total(unknown) FROM evals') > 0
assert one('SELECT total(unknown) FROM evals') == one('SELECT total(unknown) FROM eval_results')
assert one('SELECT count(*) FROM eval_results WHERE unknown AND right') == 0
assert one('SELECT count(*) FROM verdicts WHERE correct IS NULL') > 0
if sys.argv[2] == '-0.5':
    assert one('SELECT count(*) FROM nodes WHERE flags & 1 AND outcome = -0.5') > 0
PYTHON
done
expect_exit 0 "$ESPALIER" report unknownskip --json
python3 -c 'import re; assert re.search("solutions? of the searches could not be judged; task.unknown is skip", open("unknownskip/report.html").read())'
expect_exit 0 "$ESPALIER" eval --model unknownskip/checkpoints/iteration-2 --data test.jsonl --limit 16 --max-tokens 32 --set task.grader=command \
    --set task.grader_command=$'python3\nshrug.py' --set model.chat_template=plain --json
python3 -c 'import json; d = json.load(open("out")); assert d["unknown"] > 0 and d["unknown"] + d["right"] <= 16, d'

# A grader that is broken stops the run with one error, and the run goes on when it is mended.
echo 'import sys; sys.exit("not today")' > moody.py
run_tiny 1 mended --set task.grader=command --set task.grader_command=$'python3\nmoody.py'
expect_in err 'the grader python3 ended with status 1; it said: not today'
expect_in err -- '--resume'
cp shrug.py moody.py
run_tiny 0 mended --set task.grader=command --set task.grader_command=$'python3\nmoody.py' --resume

# Unit tests of code, from the rows to a run. The example names its files from the source folder.
cp -r "$ESPALIER_SOURCE_DIR/examples" .
cat > code.jsonl << 'ROWS'
{"question": "Write a function add(a, b).", "gold": "", "answer": "def add(a, b):\n    return a + b", "tests": "assert add(1, 2) == 3"}
{"question": "Write a function add(a, b).", "gold": "", "answer": "Here it is:\n```python\ndef add(a, b): return a - b\n```\nDone.", "tests": "assert add(1, 2) == 3, 'add'"}
{"question": "Write a function add(a, b).", "gold": "", "answer": "```python\ndef add(a, b): return b + a\n```", "tests": "assert add(1, 2) == 3"}
{"question": "Write a function add(a, b).", "gold": "", "answer": "def add(a, b:", "tests": "assert add(1, 2) == 3"}
{"question": "Write a function add(a, b).", "gold": "", "answer": "def add(a, b): return 3", "tests": ""}
ROWS
expect_exit 0 "$ESPALIER" grade --task examples/graders/code.yaml code.jsonl
python3 - << 'PYTHON'
import json
rows = [json.loads(line) for line in open('out')]
assert [row['verdict'] for row in rows] == ['equal', 'different', 'equal', 'different', 'unknown'], rows
assert [row['reason'] for row in rows][1:] == ['AssertionError: add', 'all tests pass', "SyntaxError: '(' was never closed", 'the row has no tests']
PYTHON
python3 - << 'PYTHON'
import json
for split in 'train', 'test':
    with open(f'code-{split}.jsonl', 'w') as out:
        for i in range(24):
            name, use = [('math', 'math.pi'), ('json', 'json.dumps(1)')][i % 2]
            print(json.dumps({'question': f'Import what problem {i} needs.', 'answer': f'import {name}', 'tests': use}), file=out)
PYTHON
expect_exit 0 "$ESPALIER" run "$RECIPES/tiny.yaml" --model "$TINY" --task examples/graders/code.yaml --train code-train.jsonl \
    --test code-test.jsonl --out code --set sft.judge_examples=0 --set sft.epochs=12 --iterations 1 --set eval.limit=8 --json
python3 - << 'PYTHON'
import sqlite3
db = sqlite3.connect('code/run.db')
asked = db.execute('SELECT count(*), count(correct), sum(correct) FROM verdicts').fetchone()
finished = db.execute('SELECT count(*) FROM nodes WHERE flags & 1').fetchone()[0]
assert finished > 0 and asked[0] == asked[1] and 0 < asked[2] < asked[0], (asked, finished)
PYTHON
