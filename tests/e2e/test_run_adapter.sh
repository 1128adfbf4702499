#!/bin/bash
# A run that trains an adapter: checkpoints hold the adapter alone; killed and resumed, the same bits, also with theta_0
# as the reference and a judge of its own; the policy is read by eval, generate and score, exported as it is and merged.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

all=(--set adapter.rank=8 --set adapter.targets=$'q_proj\nv_proj\ndown_proj' --set sft.epochs=1
    --reference sft --set self_eval.weights=own --set self_eval.rows=4 --set learn.lr=1e-3)
strike_tiny 0 0 9 whole "${all[@]}"
calls=$(cat calls)
for part in iteration-2 iteration-2/judge; do
    folder=whole/checkpoints/$part
    [ -f "$folder/adapter_model.safetensors" ] || fail "$folder: no adapter"
    [ ! -e "$folder/model.safetensors" ] || fail "$folder: whole weights beside the adapter"
    expect_in "$folder/adapter_base.json" weights_xxh3
done

# Killed in the middle of what it writes, and gone on with.
for share in 30 60 90; do
    rm -rf part
    strike_tiny 137 $((calls * share / 100)) 9 part "${all[@]}"
    run_tiny 0 part --resume "${all[@]}"
    cmp whole/checkpoints/iteration-2/adapter_model.safetensors part/checkpoints/iteration-2/adapter_model.safetensors
    cmp whole/checkpoints/iteration-2/judge/adapter_model.safetensors \
        part/checkpoints/iteration-2/judge/adapter_model.safetensors
done

policy=whole/checkpoints/iteration-2
echo '{"text": "One day a cat"}' > rows.jsonl
expect_exit 0 "$ESPALIER" generate --model "$policy" --prompt "One day" --max-tokens 8
expect_exit 0 "$ESPALIER" export whole adapter
expect_in out "PEFT's layout"
cmp adapter/adapter_model.safetensors "$policy/adapter_model.safetensors"
expect_exit 0 "$ESPALIER" export whole merged --merge
[ -f merged/model.safetensors ] || fail "merged: no weights"
[ ! -e merged/adapter_config.json ] || fail "merged: still an adapter"
# Merged weights score as the adapter does, but for rounding.
expect_exit 0 "$ESPALIER" score --dtype f32 --model "$policy" rows.jsonl
cp out adapter.scores
expect_exit 0 "$ESPALIER" score --dtype f32 --model merged rows.jsonl
cp out merged.scores
expect_exit 0 "$ESPALIER" score --dtype f32 --model "$TINY" rows.jsonl
cp out base.scores
python3 - << 'PYTHON'
import json
policy, merged, base = (json.load(open(f'{name}.scores'))['logprobs'][1:] for name in ('adapter', 'merged', 'base'))
assert max(abs(a - b) for a, b in zip(policy, merged)) < 1e-4, (policy, merged)
assert max(abs(a - b) for a, b in zip(policy, base)) > 1e-3, (policy, base)
PYTHON
expect_exit 0 "$ESPALIER" eval --model "$policy" --task gsm8k --test test.jsonl --limit 4 --max-tokens 16
# An adapter of weights that are in no file.
run_tiny 1 none --set adapter.rank=4 --set model.init=random --set sft.epochs=1
expect_in err 'model.init is random'
run_tiny 1 none --set adapter.rank=4 --set adapter.targets=lm_head
expect_in err 'adapter.targets: lm_head'
