#!/bin/bash
# Every built-in task reads rows in the form in which they are published, and reads back what is printed of them. The rows
# here are made up; the published files are read too where they are ($ESPALIER_DATASETS).
. "$(dirname "$0")/../lib.sh"
need_program

# reads TASK FILE WANTED: the gold answers of a file are these, and printed problems are read as themselves.
reads() {
    expect_exit 0 "$ESPALIER" problems --task "$1" "$2"
    cp out printed.jsonl
    python3 -c 'import json; print(" ".join(json.loads(l)["gold"] for l in open("printed.jsonl")))' > golds
    if [ -n "$3" ]; then [ "$(cat golds)" = "$3" ] || fail "$1: golds $(cat golds), not $3"; fi
    expect_exit 0 "$ESPALIER" problems --task "$1" printed.jsonl
    expect_same out printed.jsonl
    printf 'task: %s\ndata: {test: printed.jsonl}\nmodel: {path: %s}\n' "$1" "$ESPALIER_SOURCE_DIR/data/arith/policy" > r.yaml
    expect_exit 0 "$ESPALIER" prompt r.yaml --json
    python3 - << 'PYTHON' || fail "$1: the prompt lacks the question or an option"
import json
p = json.load(open('out'))
words = lambda text: ' '.join(text.split())
assert words(p['question']) in words(p['prompt']['text']) and words(p['question']) in words(p['judge']['text']), p
assert all(words(o['text']) in words(p['prompt']['text']) for o in p['options']), p
PYTHON
}

cat > gsm8k.jsonl << 'JSONL'
{"question": "How many?", "answer": "2+3=<<2+3=5>>5\n#### 5"}
{"question": "How many?", "answer": "5"}
{"question": "How many?", "answer": 5}
{"question": "How many?", "answer": "#### 5"}
{"question": "How many?", "answer": "The answer is 1,005."}
JSONL
reads gsm8k gsm8k.jsonl '5 5 5 5 1005'
reads arith gsm8k.jsonl '5 5 5 5 1005'

cat > math.jsonl << 'JSONL'
{"problem": "Halve $x$.", "solution": "Half of it.\nThus $\\boxed{\\frac{x}{2}}$.", "answer": "\\frac{x}{2}", "subject": "Algebra", "level": 1, "unique_id": "test/a/1.json"}
{"problem": "Add 1 and 1.", "level": "Level 1", "type": "Algebra", "solution": "It is $\\boxed{2}$."}
JSONL
reads math math.jsonl '\frac{x}{2} 2'

# The published form, and the columns of the copy at Hugging Face.
cat > arc.jsonl << 'JSONL'
{"id": "a", "question": {"stem": "What falls?", "choices": [{"text": "snow", "label": "A"}, {"text": "sky", "label": "B"}, {"text": "sun", "label": "C"}]}, "answerKey": "A"}
{"id": "b", "question": {"stem": "What floats?", "choices": [{"text": "iron", "label": "1"}, {"text": "wood", "label": "2"}]}, "answerKey": "2"}
{"id": "c", "question": "What flies?", "choices": {"text": ["a stone", "a bird"], "label": ["A", "B"]}, "answerKey": "B"}
JSONL
reads arc arc.jsonl 'A 2 B'
cat > openbookqa.jsonl << 'JSONL'
{"id": "a", "question": {"stem": "Ice is", "choices": [{"text": "cold", "label": "A"}, {"text": "hot", "label": "B"}]}, "answerKey": "A"}
{"id": "b", "question_stem": "Fire is", "choices": {"text": ["cold", "hot"], "label": ["A", "B"]}, "answerKey": "B"}
JSONL
reads openbookqa openbookqa.jsonl 'A B'
cat > commonsenseqa.jsonl << 'JSONL'
{"answerKey": "B", "id": "a", "question": {"question_concept": "cup", "choices": [{"label": "A", "text": "roof"}, {"label": "B", "text": "shelf"}], "stem": "Where is a cup?"}}
{"id": "b", "question": "Where is a hat?", "question_concept": "hat", "choices": {"label": ["A", "B"], "text": ["head", "soup"]}, "answerKey": "A"}
JSONL
reads commonsenseqa commonsenseqa.jsonl 'B A'
cat > sciq.json << 'JSON'
[
    {"question": "What do lungs take in?", "distractor3": "stone", "distractor1": "wood", "distractor2": "milk",
     "correct_answer": "oxygen", "support": ""},
    {"question": "What pulls?", "distractor3": "c", "distractor1": "a", "distractor2": "b", "correct_answer": "gravity",
     "support": "Gravity pulls."}
]
JSON
reads sciq sciq.json ''
python3 - << 'PYTHON' || fail "the correct option of SciQ"
import json
for row, right in zip(map(json.loads, open('printed.jsonl')), ('oxygen', 'gravity')):
    assert [o['label'] for o in row['options']] == list('ABCD'), row
    assert {o['label']: o['text'] for o in row['options']}[row['gold']] == right, row
PYTHON
cat > ai2.csv << 'CSV'
questionID,originalQuestionID,totalPossiblePoint,AnswerKey,isMultipleChoiceQuestion,includesDiagram,examName,schoolGrade,year,question,subject,category
X_1,1,1,B,1,0,Exam,4,2015,"Which is ""hot"", of these? (A) ice (B) fire (C) snow, fresh",,Test
X_2,2,1,4,1,0,Exam,4,2015,Which is round? (1) a box (2) a book (3) a door (4) a ball,,Test
CSV
reads ai2-science ai2.csv 'B 4'
expect_in printed.jsonl '"question":"Which is \\"hot\\", of these\?".*"text":"snow, fresh"'
cat > strategyqa.json << 'JSON'
[{"qid": "a1", "term": "Whale", "description": "animal", "question": "Do whales breathe air?", "answer": true,
  "facts": ["Whales are mammals.", "Mammals breathe air."], "decomposition": ["x"]},
 {"qid": "a2", "question": "Do stones?", "answer": false}]
JSON
reads strategyqa strategyqa.json 'yes no'
expect_exit 0 "$ESPALIER" problems --task strategyqa strategyqa.json
expect_in out 'Mammals breathe air\.\\nThe answer is yes\.'
reads yesno <(python3 -c 'import json; [print(json.dumps(r)) for r in json.load(open("strategyqa.json"))]') 'yes no'

cat > svamp.json << 'JSON'
[{"ID": "chal-1", "Body": "Ann has 8 pens", "Question": "How many are left?", "Equation": "( 8.0 - 2.0 )", "Answer": 6.0, "Type": "Subtraction"}]
JSON
reads svamp svamp.json '6'
# Copies of these sets: other names of the same fields, a fact that is one text, the question in one piece.
echo '{"ID": "chal-2", "question_concat": "Ann has 8 pens. How many?", "Answer": "8.0", "Type": "Addition"}' > svamp.jsonl
reads svamp svamp.jsonl '8'
cat > asdiv.json << 'JSON'
[{"@ID": "nluds-1", "@Grade": "1", "Body": "Ann has 5 pens. Bob gives her 7 more", "Question": "How many has she?",
  "Solution-Type": "Addition", "Answer": "12 (pens)", "Formula": "5+7=12"},
 {"@ID": "nluds-2", "Body": "A cake is cut in 4.", "Question": "What part is a piece?", "Answer": "1/4", "Formula": "1/4"}]
JSON
reads asdiv asdiv.json '12 0.25'
expect_in printed.jsonl '"id":"nluds-1"'
echo '{"qid": "b1", "term": "x", "question": "Do whales swim?", "answer": true, "facts": "Whales live in water."}' > strategyqa.jsonl
reads strategyqa strategyqa.jsonl 'yes'
echo '{"id": "X_3", "question": {"stem": "Which is wet?", "choices": [{"text": "dust", "label": "A"}, {"text": "rain", "label": "B"}]}, "answerKey": "B"}' > ai2.jsonl
reads ai2-science ai2.jsonl 'B'
echo '{"iIndex": "2", "sQuestion": "Bob walks 1.5 miles twice. How far?", "lSolutions": ["3.0"], "source": "x"}' > mawps.jsonl
reads mawps mawps.jsonl '3'
echo '{"body": "Ann has 8 pens.", "question": "How many?", "answer": "8 (pens)", "formula": "8=8"}' > asdiv.jsonl
reads asdiv asdiv.jsonl '8'
echo '[{"iIndex": 1, "sQuestion": "Ann has 0.5 pens. How many?", "lEquations": ["X=0.5"], "lSolutions": [0.5]}]' > mawps.json
reads mawps mawps.json '0.5'

# All of the published files.
published() { # published TASK FILE COUNT
    [ -r "$DATASETS/$2" ] || return 0
    reads "$1" "$DATASETS/$2" ''
    [ "$(wc -l < printed.jsonl)" = "$3" ] || fail "$2: $(wc -l < printed.jsonl) problems, not $3"
}
reads gsm8k "$ESPALIER_SOURCE_DIR/data/gsm8k/test.jsonl.gz" ''
published arc arc/ARC-Challenge/ARC-Challenge-Train.jsonl 1119
published arc arc/ARC-Challenge/ARC-Challenge-Dev.jsonl 299
published arc arc/ARC-Challenge/ARC-Challenge-Test.jsonl 1172
published arc arc/ARC-Easy/ARC-Easy-Train.jsonl 2251
published arc arc/ARC-Easy/ARC-Easy-Test.jsonl 2376
published math math500/math500.jsonl 500
published openbookqa openbookqa/OpenBookQA_train.jsonl.gz 4957
published openbookqa openbookqa/test.jsonl 500
published sciq sciq/test.json 1000
published sciq sciq/valid.json 1000
published gsm8k mawps-asdiv/test.jsonl 900

# Answers to multiple choice, graded with the options of the row: by label, by text, a gold text.
fog='"options": ["a marsh", {"label": "B", "text": "a tundra"}]'
cat > graded.jsonl << JSONL
{"answer": "The answer is (B).", "gold": "B", $fog}
{"answer": "The answer is a tundra.", "gold": "B", $fog}
{"answer": "The answer is a marsh.", "gold": "a tundra", $fog}
{"answer": "The answer is (C).", "gold": "B", $fog}
JSONL
expect_exit 0 "$ESPALIER" grade --task openbookqa graded.jsonl
python3 - << 'PYTHON'
import json
rows = [json.loads(line) for line in open('out')]
assert [row['extracted'] for row in rows] == ['B', 'B', 'A', None], rows
assert [row['correct'] for row in rows] == [True, True, False, False], rows
PYTHON
expect_exit 1 "$ESPALIER" grade --task arc <(echo '{"answer": "x", "gold": "a tundra"}')
expect_in err 'add the problem.s "options" to the row'
expect_exit 1 "$ESPALIER" grade --task arc <(echo '{"answer": "x", "gold": "A", "options": [3]}')
expect_in err ':1: field "options": not a list of options'

# Files that are not read.
cp asdiv.jsonl asdiv.parquet
expect_exit 1 "$ESPALIER" problems --task asdiv asdiv.parquet
expect_in err 'Parquet files are not read'
expect_in err 'hint: convert it'
expect_exit 1 "$ESPALIER" problems --task arc <(echo '{"question": "a", "choices": ["x", "y"], "answerKey": "C"}')
expect_in err ':1: field "answerKey" or "gold": "C": names none of the row.s options'
printf 'extends: arc\ngold_form: index\n' > index.yaml
expect_exit 1 "$ESPALIER" problems --task index.yaml <(echo '{"question": "a", "choices": ["x", "y"], "answerKey": 2}')
expect_in err 'gold_form is index: places count from 0'
expect_exit 1 "$ESPALIER" problems --task arc <(echo '{"question": "a", "answerKey": "C"}')
expect_in err ':1: there is no field "question.choices" or "choices" or "options"'
expect_exit 1 "$ESPALIER" problems --task arc <(echo '{"question": "a", "choices": [["x"], "y"], "answerKey": "C"}')
expect_in err 'not a list of options'
