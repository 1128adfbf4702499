#!/bin/bash
# What an interrupted run has evaluated is not evaluated again.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike
several=(--iterations 1 --set eval.compare_k=4 --set eval.compare_search=on)
seconds="SELECT count(*) FROM metrics WHERE key LIKE 'evaluate%_seconds'"

strike_tiny 0 0 9 whole "${several[@]}"
wanted=$(count whole "$seconds")
[ "$wanted" -ge 4 ] || fail "$wanted evaluations"
before=
for part in 82 90 97; do # of the calls, in the evaluations after the last iteration
    rm -rf struck
    strike_tiny 137 $(($(cat calls) * part / 100)) 9 struck "${several[@]}"
    before="$before $(count struck 'SELECT count(*) FROM evals')"
    run_tiny 0 struck "${several[@]}" --resume
    same_runs whole struck
    [ "$(count struck "$seconds")" = "$wanted" ] || fail "after a kill at $part%: $(count struck "$seconds") evaluations, not $wanted"
done
echo "evaluations that were there after the kill:$before"
