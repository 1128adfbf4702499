#!/bin/bash
# A task whose answers are no numbers and whose steps are sentences, from its rows to a run: yes/no questions. A model is
# taught two stories, so its chains finish, its votes are of yes and no, and no step goes beyond a sentence's end.
. "$(dirname "$0")/../lib.sh"
need_program

python3 - << 'PYTHON'
import json
for name, count in ('train', 24), ('test', 6):
    with open(f'{name}.jsonl', 'w') as out:
        for i in range(count):
            ends = 'It ran.' if i % 2 == 0 else 'It sat.'
            print(json.dumps({'question': f'Did dog number {i} run?', 'answer': i % 2 == 0,
                              'rationale': f'The dog was happy. The dog saw the ball. {ends}'}), file=out)
PYTHON

# Rows are read back from what is printed of them.
expect_exit 0 "$ESPALIER" problems --task yesno test.jsonl
cp out printed.jsonl
expect_in printed.jsonl '"answer":"The dog was happy[^"]*\\nThe answer is no\.","gold":"no"'
expect_exit 0 "$ESPALIER" problems --task yesno printed.jsonl
expect_same printed.jsonl out
cat > answers.jsonl << 'JSONL'
{"answer": "It ran.\nThe answer is yes.", "gold": true}
{"answer": "No, it sat.", "gold": "yes"}
{"answer": "It may be.", "gold": "no"}
JSONL
expect_exit 0 "$ESPALIER" grade --task yesno answers.jsonl
cat > wanted << 'JSONL'
{"extracted":"yes","verdict":"equal","correct":true,"reason":"equal"}
{"extracted":"no","verdict":"different","correct":false,"reason":"different answer"}
{"extracted":null,"verdict":"different","correct":false,"reason":"no answer found"}
JSONL
expect_same out wanted

run=(run "$ESPALIER_SOURCE_DIR/tests/e2e/recipes/tiny.yaml" --model "$TINY" --task yesno --train train.jsonl
    --test test.jsonl --set run.iterations=1 --set sft.limit=24 --set sft.epochs=20 --set search.max_steps=8
    --set search.max_step_tokens=20 --set search.max_chain_tokens=60 --set eval.method=sample --set eval.k=4
    --set eval.max_tokens=60)

# The task has no rule for mistakes, so judge rows of them are refused before anything is learned.
expect_exit 1 "$ESPALIER" "${run[@]}" --set sft.judge_examples=1 --out refused
expect_in err 'task yesno has no rule that puts a mistake into a solution'
expect_in err '^  hint: .*sft\.judge_source: own'

expect_exit 0 "$ESPALIER" "${run[@]}" --set sft.judge_examples=0 --out run
python3 - << 'PYTHON' || fail "the run is not one of sentences and of yes and no"
import re, sqlite3
db = sqlite3.connect('run/run.db')
steps = [text for text, in db.execute('SELECT text FROM nodes WHERE depth > 0')]
assert len(steps) > 20, len(steps)
# A token may hold a sentence's end and the words after it; beyond that no step has two ends.
ends = [len(re.findall(r'[.?!]\s|\n', text.rstrip())) for text in steps]
assert max(ends) == 1 and sum(ends) > 10, list(zip(steps, ends))
answers = [answer for answer, in db.execute('SELECT answer FROM eval_results WHERE iteration = 0')]
assert len(answers) == 24 and set(answers) == {'yes', 'no'}, answers
right = db.execute("""SELECT r.problem, sum(r."right"), count(*) FROM eval_results r WHERE iteration = 0
                      GROUP BY r.problem""").fetchall()
for problem, correct, n in right:
    answers = [a for a, in db.execute('SELECT answer FROM eval_results WHERE iteration = 0 AND problem = ?', (problem,))]
    assert n == 4 and correct == answers.count('yes' if problem % 2 == 0 else 'no'), (problem, correct, answers)
PYTHON
