#!/bin/bash
# Tasks that a user writes: in a recipe, in a file of their own, in part; what is shown of them, kept of them and refused.
. "$(dirname "$0")/../lib.sh"
need_program

cat > mine.jsonl << 'JSONL'
{"problem": "What is 2+2?", "meta": {"solution": ["Two and two.", "It is 4."]}, "target": 4}
{"problem": "What is 2+3?", "meta": {"solution": "2 + 3 = 5\nThe answer is 5."}, "target": "#### 5"}
JSONL
cat > task.yaml << 'YAML'
about: sums
question: [prompt, problem]
gold: target
rationale: meta.solution
instruction: Add.
YAML
{ sed 's/^about.*/task:/; s/^\([a-z]\)/  \1/; s/^  task:/task:/' task.yaml; } > inline.yaml
for recipe in inline.yaml named.yaml flag.yaml; do
    case $recipe in
        named.yaml) printf 'task: task.yaml\n' > $recipe ;;
        flag.yaml) : > $recipe ;;
    esac
    printf 'data: {train: mine.jsonl}\nmodel: {path: %s}\n' "$ESPALIER_SOURCE_DIR/data/arith/policy" >> $recipe
done

# The same task from a recipe's section, from a file and by a flag.
expect_exit 0 "$ESPALIER" prompt inline.yaml 2
expect_in out '^problem 2 of train \(mine:2\), task custom$'
expect_in out '^Add\.$'
expect_in out '^Problem: What is 2\+3\?$'
expect_in out '^\| 2 \+ 3 = 5$'
expect_in out '^its answer is read as 5: equal$'
sed 1d out > inline.out
expect_exit 0 "$ESPALIER" prompt named.yaml 2
sed 1d out > named.out
expect_same named.out inline.out
expect_exit 0 "$ESPALIER" prompt flag.yaml 2 --task task.yaml
sed 1d out > flag.out
expect_same flag.out inline.out
expect_exit 0 "$ESPALIER" prompt inline.yaml --json
python3 - << 'PYTHON' || fail "the JSON of a prompt"
import json
p = json.load(open('out'))
assert p['gold'] == '4' and p['steps'] == ['Two and two.\n', 'It is 4.\n', 'The answer is 4.'], p
assert p['prompt']['text'] == 'Add.\n\nProblem: What is 2+2?\nSolution:\n', p['prompt']['text']
assert len(p['prompt']['ids']) > 8 and p['judge']['text'].endswith('Solution to check:\n'), p
PYTHON
{ cat inline.yaml; echo 'self_eval: {enabled: false}'; } > unjudged.yaml
expect_exit 0 "$ESPALIER" prompt unjudged.yaml
expect_not_in out "judge"
expect_exit 0 "$ESPALIER" prompt unjudged.yaml --json
expect_not_in out '"judge'
expect_exit 1 "$ESPALIER" problems mine.jsonl
expect_in err 'task arith \(another: --task\): mine\.jsonl:1: '
expect_exit 1 "$ESPALIER" prompt inline.yaml 3
expect_in err 'there is no problem 3: train has 2'
expect_exit 2 "$ESPALIER" prompt inline.yaml two
expect_exit 0 "$ESPALIER" problems --task task.yaml mine.jsonl
expect_in out '"id":"mine:2".*"gold":"5"'
expect_exit 0 "$ESPALIER" grade --recipe inline.yaml <(echo '{"answer": "So the answer is 4.", "gold": "#### 4"}')
expect_in out '"correct":true'

# A part of a task is changed: the rest is the task's that it extends.
printf 'task:\n  extends: task.yaml\n  instruction: Add well.\ndata: {train: mine.jsonl}\nmodel: {path: %s}\n' \
    "$ESPALIER_SOURCE_DIR/data/arith/policy" > part.yaml
expect_exit 0 "$ESPALIER" prompt part.yaml 2
expect_in out '^Add well\.$'
expect_in out '^\| 2 \+ 3 = 5$'

# Solved examples come before the question.
printf 'task:\n  examples: [{question: "1+1?", answer: 2}, {question: "1+2?", answer: 3}]\n' > shots.yaml
printf 'data: {train: bare.jsonl}\nmodel: {path: %s}\n' "$ESPALIER_SOURCE_DIR/data/arith/policy" >> shots.yaml
echo '{"question": "2+2?", "answer": "4"}' > bare.jsonl
expect_exit 0 "$ESPALIER" prompt shots.yaml --json
python3 -c '
import json
assert json.load(open("out"))["prompt"]["text"] == "".join(
    f"Problem: {q}\nSolution:\n{a}" for q, a in (("1+1?", "The answer is 2.\n\n"), ("1+2?", "The answer is 3.\n\n"), ("2+2?", "")))' \
    || fail "examples are not in the prompt: $(cat out)"
cat > rows.jsonl << 'JSONL'
{"question": "1+1?", "answer": 2}
{"question": "1+2?", "answer": 3}
JSONL
sed 's/examples:.*/examples: rows.jsonl/' shots.yaml > from_file.yaml
cp out inline.out
expect_exit 0 "$ESPALIER" prompt from_file.yaml --json
expect_same out inline.out

# A chat model gets its template's own system turn, the task's, or none; in the judge's prompt too. Its examples are turns.
mkdir chat
cp "$TINY"/* chat
python3 - << 'PYTHON'
import json
tokens = json.load(open('chat/tokenizer.json'))
for name in '<|im_start|>', '<|im_end|>':
    tokens['added_tokens'].append({'id': max([t['id'] for t in tokens['added_tokens']] + list(tokens['model']['vocab'].values())) + 1,
                                   'content': name, 'special': True, 'normalized': False, 'lstrip': False, 'rstrip': False, 'single_word': False})
json.dump(tokens, open('chat/tokenizer.json', 'w'))
config = json.load(open('chat/tokenizer_config.json'))
config['chat_template'] = ("{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\\nYou are a dog<|im_end|>\\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")
json.dump(config, open('chat/tokenizer_config.json', 'w'))
PYTHON
echo '{"question": "Is it a cat?", "answer": 1}' > cat.jsonl
asked=(prompt --json --model chat --train cat.jsonl)
turn() { # turn SYSTEM: the beginning of both prompts
    python3 - "$1" << 'PYTHON' || fail "the system turn is not: $1"
import json, sys
p = json.load(open('out'))
start, end = '⟦<|im_start|>⟧', '⟦<|im_end|>⟧'
system = f'{start}system\n{sys.argv[1]}{end}\n' if sys.argv[1] else ''
for text in p['prompt']['text'], p['judge']['text']:
    text = text[text.index(start):] # after beginning-of-sequence
    assert text.replace(' ', '').startswith((system + start + 'user\n').replace(' ', '')), text
PYTHON
}
: > none.yaml
expect_exit 0 "$ESPALIER" "${asked[@]}" none.yaml
turn 'You are a dog'
expect_exit 0 "$ESPALIER" "${asked[@]}" none.yaml --set task.system=
turn ''
expect_exit 0 "$ESPALIER" "${asked[@]}" none.yaml --set 'task.system=You saw a cat'
turn 'You saw a cat'
expect_exit 0 "$ESPALIER" "${asked[@]}" none.yaml --set 'task.system={model} and a cat'
turn 'You are a dog and a cat'
expect_exit 0 "$ESPALIER" "${asked[@]}" none.yaml --set 'task.examples={"question": "Is it a dog?", "answer": 2}'
[ "$(grep -o "⟦<|im_start|>⟧ *assistant" out | wc -l)" = 3 ] || fail "an example is not a turn: $(cat out)" # and the judge's

# Rows of messages have it too, and say when there is none; both ways without loss.
mkdir words
gzip -dc "$TEST_DATA/tokenizers/smollm2/tokenizer.json.gz" > words/tokenizer.json
cp chat/tokenizer_config.json words
cat > messages.jsonl << 'JSONL'
{"prompt": [{"role": "user", "content": "Is it a cat?"}], "chosen": [{"role": "assistant", "content": "It is."}], "rejected": [{"role": "assistant", "content": "No."}]}
{"prompt": [{"role": "system", "content": ""}, {"role": "user", "content": "Is it a cat?"}], "chosen": [{"role": "assistant", "content": "It is."}], "rejected": [{"role": "assistant", "content": "No."}]}
{"prompt": [{"role": "system", "content": "You saw it"}, {"role": "user", "content": "Is it a cat?"}], "chosen": [{"role": "assistant", "content": "It is."}], "rejected": [{"role": "assistant", "content": "No."}]}
JSONL
expect_exit 0 "$ESPALIER" pairs messages.jsonl --model words --format native
cp out native.jsonl
expect_exit 0 "$ESPALIER" pairs native.jsonl --model words --format messages
cp out again.jsonl
python3 - << 'PYTHON' || fail "system messages: $(cat again.jsonl)"
import json
wanted = ['You are a dog', '', 'You saw it']
rows = [json.loads(line) for line in open('again.jsonl')]
assert [row['prompt'][0] for row in rows] == [{'role': 'system', 'content': text} for text in wanted], rows
assert all(row['prompt'][1]['role'] == 'user' for row in rows)
PYTHON
expect_exit 0 "$ESPALIER" pairs again.jsonl --model words --format native
expect_same out native.jsonl

# Bad tasks and bad rows: one error that says where.
refused() { # refused YAML WORDS: a recipe of this text
    printf '%b' "$1" > bad.yaml
    expect_exit 1 "$ESPALIER" prompt bad.yaml
    expect_in err "$2"
}
refused 'task: gsm8' 'bad\.yaml:1:7: unknown task "gsm8" \(did you mean gsm8k\?\)'
refused 'task: no/such.yaml' 'no/such\.yaml'
refused 'task: {extends: gsm8k}\ndata: {task: arith}' 'the key data\.task is given twice'
refused 'run: {extends: gsm8k}' 'unknown key run\.extends'
refused 'task: {plase: box}' 'bad\.yaml:1:8: unknown key task.plase \(did you mean task\.place\?\)'
refused 'task: {place: boxd}' 'bad\.yaml:1:15: place: there is no place "boxd"'
refused 'task: {place: pattern}' 'bad\.yaml:1:15: place is pattern, and the key pattern is empty'
refused 'task: {place: [box, marker], marker: ""}' 'place is marker, and the key marker is empty'
refused 'task:\n  kind: number\n  turn: "{instruction}"' 'bad\.yaml:3:9: turn: the place \{question\} is missing'
refused 'task: {plain: "{{question}}"}' 'plain: the place \{question\} is missing'
refused 'task: {kind: choice}' 'bad\.yaml:1:14: kind is choice, and the task names no options'
refused 'task: {pattern: "("}' 'bad\.yaml:1:17: pattern: not a pattern: missing'
refused 'task: {turn: "{quest}"}' 'bad\.yaml:1:14: turn: there is no place \{quest\}'
refused 'task: {kind: nombre}' 'task\.kind must be one of number, '
refused 'task: {kind: number, ignore_case: false}' 'there is no task\.ignore_case where task\.kind is number'
refused 'task: {examples: [{question: x}]}' 'bad\.yaml:1:18: examples: row 1: there is no field "answer"'
refused 'task: {question: [[a]]}' 'task\.question: an entry of the list must be text'
# In a file of its own, which a recipe and a flag name, and from the command line.
printf 'extends: gsm8k\njudge_correct: A\ngold: ""\n' > other.yaml
refused 'task: other.yaml' 'other\.yaml:3:7: gold: no field is named'
expect_exit 1 "$ESPALIER" problems --task other.yaml mine.jsonl
expect_in err 'other\.yaml:3:7: gold: no field is named'
printf 'extends: gsm8k\njudge_correct: A\njudge_incorrect: A\n' > other.yaml
refused 'task: other.yaml' 'other\.yaml:[23]:[0-9]+: judge_correct, judge_incorrect: two different verdicts'
expect_exit 1 "$ESPALIER" prompt inline.yaml --set task.rationale_remove='['
expect_in err '--set: rationale_remove: not a pattern'
printf 'extends: loop.yaml\nabout: x\n' > loop.yaml
refused 'task: loop.yaml' 'extend each other'
bad_row() { # bad_row ROW WORDS
    { echo '{"problem": "a", "target": 1}'; echo "$1"; } > rows.jsonl
    expect_exit 1 "$ESPALIER" problems --task task.yaml rows.jsonl
    expect_in err "rows\.jsonl:2: $2"
}
bad_row '{"target": 1}' 'there is no field "prompt" or "problem", which holds the question'
bad_row '{"problem": "a"}' 'there is no field "target"'
bad_row '{"problem": 3, "target": 1}' 'field "prompt" or "problem": not a text'
bad_row '{"problem": "a", "target": "blue"}' 'field "target": "blue": gold is not a number'
bad_row '{"problem": "a", "target": [1]}' 'field "target": not a text, a number'
bad_row '{"problem": "a", "target": null}' 'there is no field "target"'
bad_row '{"problem": "a", "target": 1, "meta": {"solution": 7}}' 'field "meta\.solution": not a text'
bad_row '[1]' 'the row is not an object'

# A run keeps its task whole: it goes on without the file, and not with another task.
cat > train.jsonl << 'JSONL'
{"problem": "Tom has 3 pears.", "target": 3}
{"problem": "Mia has 2 pears.", "target": 2}
JSONL
run=(run named.yaml --train train.jsonl --test train.jsonl --out run --set run.problems_per_iteration=2
    --set search.max_steps=2 --set search.simulations=2 --set search.max_chain_tokens=24 --set search.max_step_tokens=8
    --set eval.max_tokens=8 --set self_eval.enabled=false --dtype f32 --threads 1)
expect_exit 0 "$ESPALIER" "${run[@]}"
expect_in run/recipe.yaml '^  instruction: "Add\."$'
expect_in run/recipe.yaml '^  task: ""$'
rm task.yaml
expect_exit 0 "$ESPALIER" run run/recipe.yaml --resume
printf 'question: problem\ngold: target\ninstruction: Subtract.\n' > task.yaml
expect_exit 1 "$ESPALIER" "${run[@]}" --resume
expect_in err 'task.instruction: "Add\." there, "Subtract\." here'
