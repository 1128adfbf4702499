#!/bin/bash
# pairs of a file: from one form to another and back, the tokens that are learned, and what belongs to others.
. "$(dirname "$0")/../lib.sh"
need_program
MODEL=$TEST_DATA/tokenizers/smollm2/tokenizer.json.gz

cat > mixed.jsonl << 'JSONL'
{"prompt": "The sky is", "chosen": " blue.<|im_end|>", "rejected": " green.<|im_end|>", "score_chosen": 8.5, "source": "a"}
{"prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Sky?"}], "chosen": [{"role": "assistant", "content": "Blue."}], "rejected": [{"role": "assistant", "content": "Green."}], "n_chosen": 3, "n_rejected": 1}
{"chosen": [{"role": "user", "content": "Sky?"}, {"role": "assistant", "content": "Blue."}], "rejected": [{"role": "user", "content": "Sky?"}, {"role": "assistant", "content": "Green."}]}
{"prompt": "1 + 1 =", "chosen": " 2\n", "rejected": " 3\n", "continues": true}
{"prompt_ids": [504, 6376, 314], "chosen_ids": [4461, 30], "rejected_ids": [2654, 30, 2], "ref_logp_chosen": -1.25, "ref_logp_rejected": -2}
{"prompt_ids": [504, 6376, 314], "chosen_ids": [82, 82], "rejected_ids": [216, 216]}
JSONL
convert() { expect_exit 0 "$ESPALIER" pairs "$1" --model "$MODEL" --chat-template chatml --format "$2" && cp out "$3"; }
convert mixed.jsonl native native.jsonl
expect_not_in err 'line break'
python3 - << 'PYTHON' || fail "the tokens of mixed rows"
import json
rows = [json.loads(line) for line in open('native.jsonl')]
assert len(rows) == 6 and not any('prompt' in row or 'continues' in row for row in rows)
assert rows[0]['prompt_ids'] == [504, 6376, 314] and rows[0]['chosen_ids'] == [4461, 30, 2], rows[0]
assert (rows[0]['score_chosen'], rows[0]['source']) == (8.5, 'a')
assert rows[1]['chosen_ids'][-1] == 2 and rows[1]['rejected_ids'][-1] == 2 and rows[1]['n_chosen'] == 3
assert rows[3]['chosen_ids'][-1] == 198, rows[3]
assert (rows[4]['rejected_ids'], rows[4]['ref_logp_chosen']) == ([2654, 30, 2], -1.25)
PYTHON
# Texts have no turns, so that messages of them exist only for prompts that a template made.
convert native.jsonl trl trl.jsonl
convert trl.jsonl native back.jsonl
expect_same native.jsonl back.jsonl
python3 - << 'PYTHON' || fail "the words of rows"
import json
rows = [json.loads(line) for line in open('trl.jsonl')]
assert [row['continues'] for row in rows] == [False, False, False, True, True, True], rows
assert ['prompt_ids' in row for row in rows] == [False] * 5 + [True], rows
assert rows[1]['chosen'] == 'Blue.<|im_end|>' and rows[1]['prompt'].endswith('<|im_start|>assistant\n')
PYTHON
sed -n 2,3p native.jsonl > chat.jsonl
convert chat.jsonl messages messages.jsonl
convert messages.jsonl native back.jsonl
expect_same chat.jsonl back.jsonl
python3 - << 'PYTHON' || fail "the messages of rows"
import json
given = [json.loads(line) for line in open('mixed.jsonl')]
rows = [json.loads(line) for line in open('messages.jsonl')]
assert all(rows[0][key] == given[1][key] for key in ('prompt', 'chosen', 'rejected')), rows[0]
assert rows[1]['prompt'] + rows[1]['chosen'] == given[2]['chosen'] and not any('prompt_ids' in row for row in rows)
PYTHON
expect_exit 1 "$ESPALIER" pairs native.jsonl --model "$MODEL" --chat-template chatml --format messages
expect_in err "native.jsonl:1: .* does not have the form of the model's chat template"

# The settings are those of train; a file needs a model, and a row that is no pair is named.
echo '{"prompt": "The sky is ", "chosen": "blue", "rejected": "green"}' > cut.jsonl
expect_exit 0 "$ESPALIER" pairs cut.jsonl --model "$MODEL" --eos=false --boundary one
expect_in out '"prompt_ids": \[504, 6376, 314\], "chosen_ids": \[4461\], "rejected_ids": \[2654\]'
expect_in err 'the completion begins with that token'
expect_exit 0 "$ESPALIER" pairs - --model "$MODEL" --eos=false < cut.jsonl
expect_in out '"prompt_ids": \[504, 6376, 314, 216\]'
expect_exit 2 "$ESPALIER" pairs cut.jsonl
expect_in err 'give --model'
echo '{"prompt": "a", "completion": "b", "label": true}' >> cut.jsonl
expect_exit 1 "$ESPALIER" pairs cut.jsonl --model "$MODEL"
expect_in err 'cut.jsonl:2: the row is unpaired'
: > empty.jsonl
expect_exit 1 "$ESPALIER" pairs empty.jsonl --model "$MODEL"
expect_in err 'holds no pairs'
