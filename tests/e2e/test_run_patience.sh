#!/bin/bash
# run.patience ends a run whose evaluations get no better, run.keep: best keeps the policy that was best, also over a kill.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike
# A learning rate at which nothing is learned: every evaluation is that of iteration 0.
still=(--set learn.lr=0 --set run.patience=2 --set run.keep=best --set eval.compare_k=2)
strike_tiny 0 0 9 still --iterations 6 "${still[@]}"
expect_in err 'iteration 2: the run ends, because 2 evaluations were no better than that of iteration 0, '
[ "$(position_of still)" = "done 2 0 0 iteration-2" ] || fail "it ended at $(position_of still)"
[ "$(count still "SELECT count(*) FROM evals WHERE method = 'sample'")" = 2 ] || fail "samples before and at the end"
strike_tiny 137 $(($(cat calls) * 9 / 10)) 9 struck --iterations 6 "${still[@]}"
run_tiny 0 struck --iterations 6 "${still[@]}" --resume
same_runs still struck
expect_exit 1 "$ESPALIER" export still policy --checkpoint best
expect_in err 'the policy before the first iteration was the best'
# With more patience it goes on.
run_tiny 1 still --iterations 6 "${still[@]}" --set run.patience=9 --resume
expect_in err 'has no optimizer state to go on with'

# One that changes: the best by its own evaluations is there, and the last.
run_tiny 0 moves --iterations 5 --set learn.lr=2e-3 --set run.keep=best
best=$(count moves "SELECT iteration FROM evals WHERE method = 'greedy' ORDER BY accuracy DESC, iteration LIMIT 1")
wanted=$(printf '%s\n' sft "iteration-$best" iteration-5 | grep -v '^iteration-0$' | sort -u | tr '\n' ' ')
[ "$(ls moves/checkpoints | sort | tr '\n' ' ')" = "$wanted" ] || fail "best is $best, there are: $(ls moves/checkpoints | tr '\n' ' ')"
if [ "$best" -gt 0 ]; then
    expect_exit 0 "$ESPALIER" export moves policy --checkpoint best
    expect_same policy/model.safetensors "moves/checkpoints/iteration-$best/model.safetensors"
fi
expect_exit 0 "$ESPALIER" check moves
