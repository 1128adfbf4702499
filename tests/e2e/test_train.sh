#!/bin/bash
# train --pairs on the golden pairs, then score on what --out wrote: loss, gradient norm and log-probs after the step.
. "$(dirname "$0")/../lib.sh"
need_program
GOLDEN=$TEST_DATA/golden/tinystories-656k.json
ARITH=$ESPALIER_SOURCE_DIR/data/arith/policy

cat > rows.py << 'PYTHON'
"""rows.py GOLDEN pairs|paths: the golden pairs as native rows; their paths as rows to score."""
import json, sys
dpo = json.load(open(sys.argv[1]))['dpo']
for pair, reference in zip(dpo['pairs'], dpo['ref_logps']):
    if sys.argv[2] == 'pairs':
        print(json.dumps({'prompt_ids': pair['prefix'], 'chosen_ids': pair['chosen'], 'rejected_ids': pair['rejected'],
                          'n_chosen': pair['n_chosen'], 'n_rejected': pair['n_rejected'],
                          'ref_logp_chosen': reference[0], 'ref_logp_rejected': reference[1]}))
    else:
        for step in 'chosen', 'rejected':
            print(json.dumps({'ids': pair['prefix'] + pair[step]}))
PYTHON
python3 rows.py "$GOLDEN" pairs > pairs.jsonl
python3 rows.py "$GOLDEN" paths > paths.jsonl

for compute in cpu ref; do
    expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs pairs.jsonl --out trained --dtype f32 --compute $compute \
        --lr 1e-3 --beta 0.1 --clip 1 --batch 2 --steps 1 --weight-decay 0
    cp out steps
    expect_exit 0 "$ESPALIER" score --model trained --dtype f32 --compute $compute paths.jsonl
    python3 - "$GOLDEN" << 'PYTHON' || fail "$compute against the golden numbers"
import json, sys
dpo = json.load(open(sys.argv[1]))['dpo']
steps = [json.loads(line) for line in open('steps')]
assert len(steps) == 1, f'{len(steps)} steps'
step = steps[0]
assert abs(step['loss'] - dpo['loss']) < 1e-4, (step['loss'], dpo['loss'])
assert abs(step['grad_norm'] - dpo['grad_norm']) < 1e-3 * dpo['grad_norm'], (step['grad_norm'], dpo['grad_norm'])
mean = lambda name: sum(part[name] for part in dpo['parts']) / len(dpo['parts'])
assert abs(step['logp_chosen'] - mean('logp_chosen')) < 1e-3 and abs(step['logp_rejected'] - mean('logp_rejected')) < 1e-3
assert abs(step['margin'] - mean('h')) < 1e-3 and step['lr'] == 1e-3
assert step['seconds'] > 0
# The second pair's prefix is the first one with its chosen step: packed, each token occurs once.
tokens = [len(p['prefix']) * 2 + len(p['chosen']) + len(p['rejected']) for p in dpo['pairs']]
assert step['tokens'] == sum(tokens) and step['tokens_computed'] == 12 + 7 + 9 + 6 + 5, step
scored = [json.loads(line) for line in open('out')]
for i, pair in enumerate(dpo['pairs']):
    for j in range(2):
        got = sum(scored[2 * i + j]['logprobs'][len(pair['prefix']):])
        want = dpo['after_adamw_step']['logps'][i][j]
        assert abs(got - want) < 1e-2, (i, j, got, want)
PYTHON
    [ "$(ls -A trained | tr '\n' ' ')" = "config.json model.safetensors special_tokens_map.json tokenizer.json tokenizer_config.json " ] \
        || fail "trained holds $(ls -A trained)"
done

# Recomputation keeps less and changes no bit of what is learned.
for dtype in f32 bf16; do
    for recompute in false true; do
        expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs pairs.jsonl --out "recompute-$recompute" --dtype $dtype \
            --recompute=$recompute --lr 1e-3 --batch 2 --steps 3
    done
    cmp recompute-false/model.safetensors recompute-true/model.safetensors || fail "$dtype: --recompute changes the weights"
done

# The output is replaced whole; a folder with something else in it is nobody's to replace.
mkdir other
echo mine > other/notes
expect_exit 1 "$ESPALIER" train --model "$TINY" --pairs pairs.jsonl --out other --dtype f32
expect_in err 'notes, which is not part of a model'
[ "$(cat other/notes)" = mine ] || fail "other/notes has changed"

# References absent: the starting weights, so that the first loss is log 2 whatever the pairs; --steps goes round.
python3 -c "
import json
for line in open('pairs.jsonl'):
    row = json.loads(line)
    print(json.dumps({k: row[k] for k in ('prompt_ids', 'chosen_ids', 'rejected_ids')}))" > bare.jsonl
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs bare.jsonl --dtype f32 --batch 2 --steps 3 --lr 1e-3 --json
python3 - << 'PYTHON' || fail "three steps round two rows"
import json, math
steps = [json.loads(line) for line in open('out')]
assert [s['step'] for s in steps] == [1, 2, 3] and abs(steps[0]['loss'] - math.log(2)) < 1e-6
assert steps[1]['loss'] < steps[0]['loss'] and steps[2]['margin'] > 0 and steps[2]['accuracy'] == 1
PYTHON

# TRL's form: texts, followed by the end-of-sequence token; the last batch may be short.
cat > trl.jsonl << 'JSONL'
{"prompt": "Once upon a time", "chosen": ", there was a dog.", "rejected": " zebra zebra"}
{"prompt": "Once upon a time", "chosen": ", there was a cat.", "rejected": " the the the"}
{"prompt": "The boy", "chosen": " was happy.", "rejected": " was were."}
JSONL
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs trl.jsonl --dtype f32 --batch 2 --out trl --out-dtype bf16
python3 - << 'PYTHON' || fail "TRL's rows"
import json
assert [json.loads(line)['pairs'] for line in open('out')] == [2, 1]
PYTHON

# What is left out is said, and nothing but such rows is an error. The limit is the context, too.
cat > odd.jsonl << 'JSONL'
{"prompt": "Once upon a time", "chosen": ", there was a dog.", "rejected": " zebra zebra"}

{"prompt": "The boy", "chosen": " was happy.", "rejected": " was happy."}
JSONL
python3 -c "import json; print(json.dumps({'prompt': 'word ' * 400, 'chosen': ' was', 'rejected': ' were'}))" >> odd.jsonl
for limit in 512 64 9000; do
    [ $limit = 64 ] && most=64 || most=512
    expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs odd.jsonl --dtype f32 --max-length $limit
    expect_in err "1 of 3 pairs are longer than $most tokens, and are left out \\(first: line 4\\)"
    expect_in err '1 of 3 pairs have identical completions, and are left out \(first: line 3\)'
    [ "$(python3 -c "import json; print(json.loads(open('out').readline())['pairs'])")" = 1 ] || fail "pairs"
done
sed -n 3p odd.jsonl > same.jsonl
expect_exit 1 "$ESPALIER" train --model "$TINY" --pairs same.jsonl --dtype f32
expect_in err 'chosen and rejected are the same in all 1 pairs'
sed -n 4p odd.jsonl > long.jsonl
expect_exit 1 "$ESPALIER" train --model "$TINY" --pairs long.jsonl --dtype f32
expect_in err 'all 1 pairs are longer than 512 tokens'

# A word that is cut by the prompt's end: two texts, or one.
echo '{"prompt": "The d", "chosen": "og ran.", "rejected": "ay was."}' > cut.jsonl
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs cut.jsonl --dtype f32
expect_in err 'tokenized as two texts'
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs cut.jsonl --dtype f32 --boundary one
expect_in err 'the completion begins with that token'
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs cut.jsonl --dtype f32 --boundary two
expect_not_in err "tokenized as"

# Steps end in a line break, and no end-of-sequence follows them; a row can say otherwise.
echo '{"prompt": "Once", "chosen": " upon a time\n", "rejected": " the\n"}' > step.jsonl
sed 's/}$/, "continues": false}/' step.jsonl > whole.jsonl
tokens() {
    expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs "$@" --dtype f32
    python3 -c "import json; print(json.loads(open('out').readline())['tokens'])"
}
open=$(tokens step.jsonl)
expect_in err '1 of 1 pairs end in a line break'
[ "$open" = "$(tokens step.jsonl --eos=false)" ] || fail "a step was ended"
[ "$((open + 2))" = "$(tokens whole.jsonl)" ] || fail "whole answers were not ended"

# Steps as text, as a foreign trainer would write them, and as the ids that were sampled.
cat > steps-text.jsonl << 'JSONL'
{"prompt": "Max has 9 apples. Max buys 4 boxes of 9 apples. Max buys 5 apples. How many apples does Max have now?\n", "chosen": "4 * 9 = 36 apples\n", "rejected": "9 + 9 = 18 apples\n"}
{"prompt": "Ann has 9 coins. Ann finds 8 more. How many coins does Ann have now?\n", "chosen": "9 + 8 = 17 coins\n", "rejected": "9 * 8 = 72 coins\n", "continues": true}
JSONL
python3 - "$ESPALIER" "$ARITH" << 'PYTHON' || fail "ids of the steps"
import json, subprocess, sys
def ids(text):
    return json.loads(subprocess.run([sys.argv[1], 'tokenize', '--model', sys.argv[2]], input=json.dumps({'text': text}),
                                     capture_output=True, text=True, check=True).stdout)['ids']
with open('steps-ids.jsonl', 'w') as out:
    for line in open('steps-text.jsonl'):
        row = json.loads(line)
        print(json.dumps({key + '_ids': ids(row[key]) for key in ('prompt', 'chosen', 'rejected')}), file=out)
PYTHON
for form in ids text; do
    expect_exit 0 "$ESPALIER" train --model "$ARITH" --pairs steps-$form.jsonl --dtype f32
    python3 -c "
import json
row = json.loads(open('out').readline())
print({key: row[key] for key in ('tokens', 'tokens_computed', 'logp_chosen', 'logp_rejected', 'grad_norm')})" > learned-$form
done
expect_same learned-text learned-ids

# A model without a known chat template takes messages where it is told how.
cat > messages.jsonl << 'JSONL'
{"prompt": "How many?", "chosen": [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": " Ten."}], "rejected": [{"role": "user", "content": "How many?"}, {"role": "assistant", "content": " Two."}], "score_chosen": 8.5}
JSONL
expect_exit 1 "$ESPALIER" train --model "$TINY" --pairs messages.jsonl --dtype f32
expect_in err 'messages.jsonl:1: rows of messages need a chat template'
expect_in err '\(--chat-template\)'
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs messages.jsonl --dtype f32 --chat-template plain
echo '{"prompt": "How many?", "completion": " Ten.", "label": true}' > kto.jsonl
expect_exit 1 "$ESPALIER" train --model "$TINY" --pairs kto.jsonl --dtype f32
expect_in err 'kto.jsonl:1: the row is unpaired .*, as for KTO'

echo '{"text":"Once upon a time"}' | "$ESPALIER" score --model trl > /dev/null || fail "the bf16 folder does not load"
