#!/bin/bash
# A run of a small model by command line: its summary, and what it left serves pairs, export, train, eval and plan.
. "$(dirname "$0")/../lib.sh"
need_program

zcat "$ESPALIER_SOURCE_DIR/data/gsm8k/train.jsonl.gz" | awk 'length($0) < 450' | sed -n 1,24p > train.jsonl
zcat "$ESPALIER_SOURCE_DIR/data/gsm8k/test.jsonl.gz" | awk 'length($0) < 450' | sed -n 1,6p > test.jsonl
cat > tiny.yaml << YAML
run: {iterations: 2, problems_per_iteration: 4, wave: 1, threads: 1, seed: 3}
model: {path: $TINY, chat_template: plain, dtype: f32}
data: {task: gsm8k, train: train.jsonl, test: test.jsonl}
sft: {epochs: 1, limit: 12, batch: 4, lr: 1e-4, max_length: 448}
search: {root_probe: 0, simulations: 5, breadth_root: 4, breadth: 3, horizon: 4, max_steps: 3, max_step_tokens: 12,
    max_chain_tokens: 36, min_q_gap: 0}
learn: {batch: 4, epochs: 1, lr: 1e-4}
eval: {max_tokens: 16}
YAML

expect_exit 0 "$ESPALIER" run tiny.yaml --out whole --json
python3 - << 'PYTHON' || fail "the summary of the run"
import json
d = json.load(open('out'))
assert d['position']['phase'] == 'done' and d['position']['checkpoint'] == 'iteration-2', d['position']
assert [e['iteration'] for e in d['evaluations']] == [0, 1, 2] and all(e['problems'] == 6 for e in d['evaluations'])
phases = [(u['phase'], u['iteration']) for u in d['updates']]
assert phases.count(('sft', 0)) == 3 and ('learn', 1) in phases and ('learn', 2) in phases, phases
PYTHON
[ "$("$ESPALIER" pairs whole | wc -l)" -gt 2 ] || fail "the run found no pairs"

# A run that is there is not overwritten; another recipe does not go on with it.
sha256sum whole/checkpoints/*/* > before
expect_exit 1 "$ESPALIER" run tiny.yaml --out whole
expect_in err 'hint: resume it, or choose another folder \(--resume, or another --out\)'
expect_exit 1 "$ESPALIER" run tiny.yaml --out whole --resume --set search.simulations=7
expect_in err 'search.simulations'
sha256sum -c --quiet before || fail "the run has changed"

# What the run left serves the other verbs.
"$ESPALIER" pairs whole > native.jsonl
"$ESPALIER" pairs whole --format trl > trl.jsonl
"$ESPALIER" pairs whole --format messages > messages.jsonl
[ "$(wc -l < native.jsonl)" = "$(wc -l < trl.jsonl)" ] || fail "the two formats differ in number"
[ "$("$ESPALIER" pairs whole --iteration 1 | wc -l)" -lt "$(wc -l < native.jsonl)" ] || fail "--iteration 1 gives all pairs"
for form in native trl messages; do
    expect_exit 0 "$ESPALIER" train --model whole/checkpoints/sft --chat-template plain --pairs $form.jsonl --dtype f32 \
        --batch 8 --out trained-$form
    expect_exit 0 "$ESPALIER" generate --model trained-$form --prompt "Problem" --max-tokens 4
    expect_same trained-$form/model.safetensors trained-native/model.safetensors
done
# The words alone say the same, apart from pairs that were sampled in other tokens than their text has.
python3 - << 'PYTHON' || fail "the words of the pairs"
import json
rows = {form: [json.loads(line) for line in open(form + '.jsonl')] for form in ('native', 'trl', 'messages')}
for native, trl, messages in zip(*rows.values()):
    numbers = [key for key in native if not key.endswith('_ids')]
    assert all(row[key] == native[key] for row in (trl, messages) for key in numbers), (native, trl, messages)
    assert all(isinstance(row['continues'], bool) for row in (trl, messages))
    question, rest = messages['prompt'][0], messages['prompt'][1:]
    assert question['role'] == 'user' and [m['role'] for m in rest] in ([], ['assistant']), messages
    assert question['content'] + ''.join(m['content'] for m in rest) == trl['prompt'], (messages, trl)
    for side in 'chosen', 'rejected':
        assert [m['role'] for m in messages[side]] == ['assistant']
        assert trl[side].startswith(messages[side][0]['content']), (messages, trl)
PYTHON
expect_exit 0 "$ESPALIER" export whole exported
expect_same exported/model.safetensors whole/checkpoints/iteration-2/model.safetensors
expect_exit 0 "$ESPALIER" export whole exported --checkpoint sft --json
expect_same exported/model.safetensors whole/checkpoints/sft/model.safetensors
expect_exit 1 "$ESPALIER" export whole exported2 --checkpoint none
expect_absent exported2
expect_exit 1 "$ESPALIER" pairs nowhere
expect_absent nowhere

expect_exit 0 "$ESPALIER" eval --model exported --dtype f32 --chat-template plain --data test.jsonl --method sample --k 2 \
    --max-tokens 8 --json
python3 -c "import json; d = json.load(open('out')); assert d['problems'] == 6 and len(d['interval']) == 2 and d['k'] == 2" ||
    fail "eval"
expect_exit 0 "$ESPALIER" plan tiny.yaml --json
python3 -c "import json; d = json.load(open('out')); assert [p['name'] for p in d['phases']] == ['sft', 'search', 'learn', 'evaluate', 'compare']" || fail "plan"
