#!/bin/bash
# Multiple choice: options scored as answers, against `espalier score` of the same texts; both accuracies by hand, in the
# store, in the report; and a run of search on problems without rationales.
# timeout: 600
. "$(dirname "$0")/../lib.sh"
need_program

# SciQ-like rows; a question with options of very different lengths; one with characters of several bytes.
cat > sciq.json << 'JSON'
[{"question": "What do lungs take in?", "distractor1": "a big red ball", "distractor2": "milk", "distractor3": "stone", "correct_answer": "air", "support": ""},
 {"question": "What did the little girl see?", "distractor1": "it", "distractor2": "a", "distractor3": "Fe", "correct_answer": "a big dog in the park", "support": ""},
 {"question": "Who was happy?", "distractor1": "the cat", "distractor2": "été, the summer", "distractor3": "naïve æ", "correct_answer": "Tom and his mom", "support": ""},
 {"question": "Where did they play?", "distractor1": "under the park", "distractor2": "in the box of the king", "distractor3": "up", "correct_answer": "in the park", "support": ""}]
JSON
cat > arc.jsonl << 'JSONL'
{"id": "a", "question": {"stem": "What falls from the sky?", "choices": [{"text": "rain", "label": "A"}, {"text": "a house", "label": "B"}, {"text": "the sun", "label": "C"}]}, "answerKey": "A"}
{"id": "b", "question": {"stem": "What floats?", "choices": [{"text": "iron", "label": "1"}, {"text": "wood", "label": "2"}]}, "answerKey": "2"}
{"id": "c", "question": "What flies?", "choices": {"text": ["a stone", "a bird"], "label": ["A", "B"]}, "answerKey": "B"}
{"id": "d", "question": "What runs?", "choices": {"text": ["a dog", "a tree", "a dog's bed"], "label": ["A", "B", "C"]}, "answerKey": "A"}
JSONL

# score_texts: the ids of texts.jsonl, after the beginning-of-sequence that begins this model's prompts, to scores in `out`.
score_texts() {
    expect_exit 0 "$ESPALIER" score --model "$TINY" --dtype f32 texts.jsonl
    python3 - << 'PYTHON' > ids.jsonl
import json
for line in open('out'): print(json.dumps({'ids': [1] + json.loads(line)['ids']}))
PYTHON
    expect_exit 0 "$ESPALIER" score --model "$TINY" --dtype f32 ids.jsonl
}

# evaluated TASK FILE FLAGS...: every log-prob equals the sum that `score` gives for the option's tokens after the prompt, and
# both accuracies are what these sums make. The plain prompt of these tasks ends in a line, after which the option begins.
evaluated() {
    local task=$1 file=$2
    shift 2
    expect_exit 0 "$ESPALIER" eval --model "$TINY" --dtype f32 --task "$task" --data "$file" --method choices --json --results "$@"
    cp out choices.json
    expect_exit 0 "$ESPALIER" problems --task "$task" "$file"
    cp out problems.jsonl
    printf 'task: %s\ndata: {test: %s}\nmodel: {path: %s}\n' "$task" "$file" "$TINY" > recipe.yaml
    : > prompts.jsonl
    for i in $(seq "$(wc -l < problems.jsonl)"); do
        expect_exit 0 "$ESPALIER" prompt recipe.yaml "$i" --json
        cat out >> prompts.jsonl
    done
    python3 - "$@" > texts.jsonl << 'PYTHON'
import json, re, sys
label = 'eval.option=label' in sys.argv
decoder, text, at, prompts = json.JSONDecoder(), open('prompts.jsonl').read(), 0, []
while text[at:].strip():
    while text[at].isspace(): at += 1
    value, at = decoder.raw_decode(text, at)
    prompts.append(re.sub('^⟦[^⟧]*⟧ ', '', value['prompt']['text']))  # beginning-of-sequence, as it is shown
for row, prompt in zip(map(json.loads, open('problems.jsonl')), prompts):
    print(json.dumps({'text': prompt}))
    for o in row['options']: print(json.dumps({'text': prompt + o['label' if label else 'text']}))
PYTHON
    score_texts
    cp out scores.jsonl
    python3 - "$@" << 'PYTHON' || fail "log-probs or accuracies of $task $file $*"
import json, sys
label = 'eval.option=label' in sys.argv
e = json.load(open('choices.json'))
rows = [json.loads(l) for l in open('problems.jsonl')]
scores = iter([json.loads(l) for l in open('scores.jsonl')])
acc = norm = 0
for i, row in enumerate(rows):
    prompt, sums, each = next(scores)['ids'], [], []
    for o in row['options']:
        s = next(scores)
        assert s['ids'][:len(prompt)] == prompt and len(s['ids']) > len(prompt)
        sums.append(sum(s['logprobs'][len(prompt):]))
        each.append(sums[-1] / len(o['label' if label else 'text']))  # characters, not bytes
    got, other = e['results'][2 * i], e['results'][2 * i + 1]
    assert all(abs(a - b) < 1e-3 for a, b in zip(got['logprobs'], sums)) and len(sums) == len(got['logprobs']), (got, sums)
    best, best_each = sums.index(max(sums)), each.index(max(each))
    assert got['answer'] == row['options'][best]['label'] and other['answer'] == row['options'][best_each]['label'], (i, got, each)
    assert got['right'] == (got['answer'] == row['gold']) and other['right'] == (other['answer'] == row['gold']), row
    acc += got['right']
    norm += other['right']
n = len(rows)
assert (e['problems'], e['right'], e['accuracy']) == (n, acc, acc / n), e
c = e['choices']
assert (c['norm_right'], c['acc_norm']) == (norm, norm / n) and c['acc_norm_interval'][0] <= norm / n < c['acc_norm_interval'][1] + 1e-9, e
assert e['tokens_sampled'] == 0 and e['tokens_computed'] < sum(len(s['ids']) for s in map(json.loads, open('scores.jsonl'))) / 2, e
json.dump([acc, norm], open('both.json', 'w'))
PYTHON
}

evaluated sciq sciq.json
python3 -c 'import json; a, n = json.load(open("both.json")); assert a != n, (a, n)' || fail "length normalization changed nothing"
evaluated arc arc.jsonl
evaluated sciq sciq.json --set eval.option=label
expect_exit 0 "$ESPALIER" eval --model "$TINY" --task arc --data arc.jsonl --method choices
expect_in out '^choices, 4 problems$'
expect_in out '^accuracy .*\(95%: '
expect_in out '^acc_norm .*\(95%: '

# A plain prompt that ends in a word is followed by a space, as lm-evaluation-harness has it.
cat > bare.yaml << 'YAML'
extends: arc
plain: "Question: {question}\nAnswer:"
YAML
expect_exit 0 "$ESPALIER" eval --model "$TINY" --dtype f32 --task bare.yaml --data arc.jsonl --method choices --json --results
cp out choices.json
expect_exit 0 "$ESPALIER" problems --task arc arc.jsonl
cp out problems.jsonl
python3 - << 'PYTHON' > texts.jsonl
import json
for row in map(json.loads, open('problems.jsonl')):
    for o in [''] + [' ' + o['text'] for o in row['options']]: print(json.dumps({'text': f"Question: {row['question']}\nAnswer:{o}"}))
PYTHON
score_texts
python3 - << 'PYTHON' || fail "the space before an option"
import json
scores, results, whole, parted = map(json.loads, open('out')), json.load(open('choices.json'))['results'], 0, 0
for i, row in enumerate(map(json.loads, open('problems.jsonl'))):
    prompt, options = next(scores)['ids'], [next(scores) for _ in row['options']]
    # This tokenizer has ": " as a token. Where some options begin with it and some do not, all are scored from there.
    n = len(prompt)
    while len({tuple(o['ids'][:n]) for o in options}) > 1: n -= 1
    whole += n == len(prompt)
    parted += n < len(prompt)
    want = [sum(o['logprobs'][n:]) for o in options]
    assert all(abs(a - b) < 1e-3 for a, b in zip(want, results[2 * i]['logprobs'])), (row, n, want, results[2 * i])
assert whole and parted, (whole, parted)
PYTHON

# What cannot be evaluated so is refused before anything is read.
expect_exit 1 "$ESPALIER" eval --model "$TINY" --task gsm8k --data sciq.json --method choices
expect_in err 'eval\.method choices needs a task of multiple choice; task gsm8k has no options'
expect_in err '^  hint: .*task\.options'
expect_exit 1 "$ESPALIER" eval --model "$TINY" --task gsm8k --data sciq.json --set eval.compare_choices=true
expect_in err 'eval\.compare_choices needs a task of multiple choice'

# A run on rows without rationales: two iterations of search; choices by its own method, and beside greedy chains.
run=(run "$ESPALIER_SOURCE_DIR/tests/e2e/recipes/tiny.yaml" --model "$TINY" --task arc --train arc.jsonl --test arc.jsonl
    --set run.iterations=2 --set sft.epochs=0 --set run.problems_per_iteration=4 --set search.max_steps=4
    --set search.max_step_tokens=16 --set search.max_chain_tokens=48 --set eval.max_tokens=32)
expect_exit 0 "$ESPALIER" "${run[@]}" --set eval.method=choices --out own
expect_in err 'with length normalization [0-9.]+% \['
expect_exit 0 "$ESPALIER" "${run[@]}" --set eval.method=greedy --set eval.compare_choices=true --out beside
for folder in own beside; do
    python3 - $folder << 'PYTHON' || fail "the store of $folder"
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1] + '/run.db')
rows = db.execute('SELECT iteration, problems, accuracy, accuracy_normalized FROM choice_evals ORDER BY iteration').fetchall()
assert [r[0] for r in rows][::len(rows) - 1] == [0, 2] and all(r[1] == 4 for r in rows), rows
for iteration, n, acc, norm in rows:
    right = [db.execute('SELECT sum("right") FROM eval_results WHERE method = ? AND iteration = ? AND sample = ?', ('choices', iteration, s)).fetchone()[0] for s in (0, 1)]
    assert [acc * n, norm * n] == right, (rows, right)
assert db.execute('SELECT count(*) FROM trees').fetchone()[0] == 8 and db.execute('SELECT count(*) FROM nodes').fetchone()[0] > 24
PYTHON
    expect_exit 0 "$ESPALIER" report $folder --out $folder.html
    python3 - $folder << 'PYTHON' || fail "the report of $folder"
import json, sys
page = open(sys.argv[1] + '.html', encoding='utf-8').read()
start = page.index('>', page.index('<script type="application/json"')) + 1
d = json.loads(page[start:page.index('</script>', start)])
assert [i['label'] for i in d['inference']] == ['before', 'after'], d['inference']
for at in d['inference']:
    c = at['choices']
    assert c['problems'] == 4 and c['low'] <= c['accuracy'] <= c['high'] and c['norm_low'] <= c['norm'] <= c['norm_high'], c
assert d['run']['method'] == ('choices' if sys.argv[1] == 'own' else 'greedy')
PYTHON
done
