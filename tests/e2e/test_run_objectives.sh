#!/bin/bash
# timeout: 600
# Losses by name: each learns from a run's pairs, changes the weights, and has its metrics in the store, in the summary
# and in the report; and `train` learns by it from a file.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# A policy after SFT, and the pairs that it finds, as a file.
found=(--set sft.epochs=3 --iterations 1 --set eval.limit=4 --pairs-at all --smoothing evidence --breadth-root 4
    --breadth 3 --simulations 6 --set search.max_steps=4)
run_tiny 0 first "${found[@]}"
expect_exit 0 "$ESPALIER" pairs first --format native
mv out pairs.jsonl
pairs=$(wc -l < pairs.jsonl)
[ "$pairs" -gt 4 ] || fail "only $pairs pairs, the test shows nothing"

# learns LOSS METRICS [ARGS...]: by a run and by train.
learns() {
    local loss=$1 metrics=$2
    LIB_FRAME=1 learns_in_a_run "$@" "${found[@]}"
    shift 2
    # From the file, again and again over the same rows: the loss falls.
    expect_exit 0 "$ESPALIER" train --model first/checkpoints/sft --pairs pairs.jsonl --loss "$loss" "$@" --dtype f32 \
        --batch "$pairs" --steps 4 --lr 1e-4
    python3 - "$metrics" << 'PYTHON' || LIB_FRAME=1 fail "train by $loss"
import json, sys
steps = [json.loads(line) for line in open('out')]
assert len(steps) == 4 and steps[3]['loss'] < steps[0]['loss'], [s['loss'] for s in steps]
assert all(name in step for step in steps for name in sys.argv[1].split())
PYTHON
}

reference='accuracy kl logp_chosen logp_rejected margin'
learns dpo "$reference" --beta 0.2
learns ipo "$reference" --beta 0.2
learns dpop "$reference" --beta 0.2 --set learn.penalty=5

# Without a reference: none is scored, and there is no KL.
learns simpo 'accuracy logp_chosen logp_rejected margin' --set learn.gamma=0.5

learns orpo 'accuracy logp_chosen logp_rejected margin nll' --set learn.lambda=0.2

# Keys of another loss are errors.
run_tiny 1 refused --loss ipo --set learn.penalty=5
expect_in err 'learn.loss is ipo'
