#!/bin/bash
# docs/tasks.md does what it says: its files are written, its commands are run as they are. timeout: 600
. "$(dirname "$0")/../lib.sh"
need_program
page=$ESPALIER_SOURCE_DIR/docs/tasks.md
ln -s "$ESPALIER_SOURCE_DIR/data" data # the page's paths are relative to the project
PATH=$(dirname "$ESPALIER"):$PATH

# The page's own rows, and enough others of their form.
python3 - "$page" << 'PYTHON' || fail "docs/tasks.md: its blocks"
import re, sys
blocks = re.findall(r'^```(\w+)\n(.*?)^```$', open(sys.argv[1], encoding='utf-8').read(), re.S | re.M)
kinds = [kind for kind, _ in blocks]
assert kinds.count('yaml') == 4 and kinds.count('sh') == 3 and kinds.count('text') == 1, kinds
with open('commands.sh', 'w') as commands:
    for kind, text in blocks:
        if kind == 'yaml':
            name = re.match(r'# (\S+\.yaml)\n', text).group(1)
            open(name, 'w', encoding='utf-8').write(text)
        elif kind == 'sh':
            commands.write(text)
        else:
            open('questions.jsonl', 'w').write(text)
PYTHON
[ "$(grep -vc '^#\|^  ' mine.yaml)" -le 10 ] || fail "mine.yaml has more than ten lines"
more() { # more SPLIT COUNT
    "$ESPALIER" problems "generate:level=easy,split=$1,count=$2" |
        python3 -c 'import json, sys; [print(json.dumps({"text": r["question"], "result": int(r["gold"])})) for r in map(json.loads, sys.stdin)]'
}
more train 400 >> questions.jsonl
more test 200 > held-out.jsonl

expect_exit 0 bash -euo pipefail commands.sh
expect_in out '^Ben has 13 cards\. Ben gives 6 to Tom\.'
expect_in out '"extracted":"Paris",.*"correct":true'
[ -f trained/model.safetensors ] || fail "no trained model"

# Multiple choice: a task of one's own, and a prompt without the options; what is printed can be graded.
echo '{"ask": "What sings?", "answers": ["a stone", "a bird"], "key": "a bird"}' > choice.jsonl
expect_exit 0 "$ESPALIER" problems --task stones.yaml choice.jsonl
python3 -c 'import json; print(json.dumps(dict(json.load(open("out")), answer="The answer is a bird.")))' > graded.jsonl
expect_exit 0 "$ESPALIER" grade --task stones.yaml graded.jsonl
expect_in out '"correct":true'
echo '{"question": "What sings?", "choices": ["a stone", "a bird"], "answerKey": "B"}' > bare.jsonl
printf 'model: {path: data/arith/policy}\ndata: {train: bare.jsonl}\ntask: bare.yaml\n' > bare-prompt.yaml
expect_exit 0 "$ESPALIER" prompt bare-prompt.yaml
expect_in out '^Question: What sings\?$'
expect_in out '^Answer:'
python3 - << 'PYTHON' || fail "what was trained is not better"
import sqlite3
db = sqlite3.connect('runs/mine/run.db')
right = [r for r, in db.execute("SELECT \"right\" FROM evals WHERE method = 'greedy' ORDER BY iteration")]
print('correct of 200:', right)
assert right[-1] >= right[0] + 10, right
PYTHON
