#!/bin/bash
# A judge that is taught in the loop: with weights of its own it is kept in every checkpoint and read again at the same
# bits, judges at inference, and cannot be missing; with shared weights its rows join the policy's updates.
# timeout: 900
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

# A model that is sometimes right, so that its trees have both outcomes.
expect_exit 0 "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --out warm --set sft.epochs=3
TINY=$WORK/warm/checkpoints/sft
taught=(--set sft.epochs=0 --set self_eval.rows=2 --set search.temperature=1.3 --set search.breadth_root=4
    --set run.problems_per_iteration=16 --set eval.compare_search=on --set eval.compare_limit=6)
own=("${taught[@]}" --set self_eval.weights=own)

strike_tiny 0 0 2 whole "${own[@]}"
calls=$(cat calls)
[ "$(count whole "SELECT count(DISTINCT iteration) FROM updates WHERE phase = 'judge'")" = 2 ] || fail "the judge learned nothing"
[ "$(count whole "SELECT count(*) FROM update_metrics WHERE phase <> 'judge' AND name LIKE 'verdict%'")" = 0 ] ||
    fail "the judge's rows are in the policy's updates"
for i in 1 2; do
    [ -s "whole/checkpoints/iteration-$i/judge/model.safetensors" ] || fail "iteration $i has no judge"
    cmp -s "whole/checkpoints/iteration-$i/model.safetensors" "whole/checkpoints/iteration-$i/judge/model.safetensors" &&
        fail "the judge of iteration $i is the policy"
done
[ ! -e whole/checkpoints/iteration-1/judge/optimizer.safetensors ] || fail "a state that nobody needs was kept"
[ -s whole/checkpoints/iteration-2/judge/optimizer.safetensors ] || fail "the judge's optimizer was not kept"

# Stopped and killed at several moments, it ends with the same bits, the judge's too.
for at in 35 60 85; do strike_tiny 3 $((calls * at / 100)) 2 "stopped-$at" "${own[@]}" && run_tiny 0 "stopped-$at" "${own[@]}" --resume; done
for at in 35 60 85; do same_runs whole "stopped-$at"; done
strike_tiny 137 $((calls * 7 / 10)) 9 killed "${own[@]}"
run_tiny 0 killed "${own[@]}" --resume
same_runs whole killed

# At inference the judge in the checkpoint judges: the same figures as the run's last evaluation by search.
area() { python3 -c 'import json, sys; d = json.load(open("out")); print(json.dumps(d["search"], sort_keys=True))'; }
evaluate() {
    expect_exit 0 "$ESPALIER" eval whole/recipe.yaml --model "$1" --method search --limit 6 --json
}
evaluate whole/checkpoints/iteration-2
area > with
tokens=$(python3 -c 'import json; print(json.load(open("out"))["tokens_judged"])')
[ "$tokens" = "$(count whole "SELECT tokens_judged FROM evals WHERE method = 'search' AND iteration = 2")" ] ||
    fail "judged $tokens tokens, the run another number"
cp -r whole/checkpoints/iteration-2 alone
rm -r alone/judge
evaluate alone
area > without
cmp -s with without && fail "the judge beside the policy changed nothing"

# A judge that is missing is not made up.
strike_tiny 3 $((calls * 85 / 100)) 2 missing2 "${own[@]}"
rm -r missing2/checkpoints/*/judge
run_tiny 1 missing2 "${own[@]}" --resume
expect_in err 'judge/[a-z.]*: is missing'

# The first judge on the same nodes: in the first iteration it is the judge itself, later it is what a judge that learns
# nothing says there; and comparing changes nothing else.
first="SELECT count(*) FROM judgements a JOIN judgements b USING (iteration, kind) WHERE a.source = 'train' AND b.source = 'frozen'
    AND a.within_comparisons = b.within_comparisons AND a.positives = b.positives"
same="AND abs(a.calibration_error - b.calibration_error) < 1e-4"
run_tiny 0 compared "${own[@]}" --set self_eval.compare_frozen=true
expect_in err 'iteration 2: the first judge on the same steps: AUC within problems'
run_tiny 0 untaught "${own[@]}" --set self_eval.rows=0 --set self_eval.compare_frozen=true
[ "$(count compared "$first AND iteration = 1 $same AND kind = 'all'")" = 1 ] || fail "iteration 1: not the same judge"
[ "$(count compared "$first AND iteration = 2 AND kind = 'all'")" = 1 ] || fail "iteration 2: not the same nodes"
[ "$(count compared "$first AND iteration = 2 $same AND kind = 'all'")" = 0 ] || fail "iteration 2: the judge learned nothing"
[ "$(count untaught "$first $same AND kind = 'all'")" = 2 ] || fail "a judge that is not taught is not the first one"
cmp -s whole/checkpoints/iteration-2/model.safetensors compared/checkpoints/iteration-2/model.safetensors || fail "comparing changed the run"

# Without a prompt the policy judges where it samples: no token is read for it, in training and at inference, and it learns.
free=("${taught[@]}" --set self_eval.kind=next_token --set self_eval.calibrate=true)
run_tiny 0 free "${free[@]}"
[ "$(count free 'SELECT sum(tokens_judged) + (SELECT sum(tokens_judged) FROM evals) FROM trees')" = 0 ] || fail "tokens judged"
[ "$(count free "SELECT count(*) FROM nodes WHERE parent >= 0 AND NOT (flags & 16 AND confidence > 0 AND confidence < 1)")" = 0 ] ||
    fail "nodes that were not judged"
[ "$(count free "SELECT count(DISTINCT iteration) FROM judgements WHERE source = 'train'")" = 2 ] || fail "judgements"
[ "$(count free "SELECT count(*) FROM update_metrics WHERE phase = 'learn' AND name = 'verdict_margin'")" -gt 0 ] ||
    fail "it learned nothing"
expect_exit 0 "$ESPALIER" check free
run_tiny 1 never "${free[@]}" --set self_eval.weights=own
expect_in err 'next_token the policy itself judges'
run_tiny 1 never "${free[@]}" --set search.gold_injection=true
expect_in err 'next_token cannot judge'

# Shared weights: the rows are in the policy's updates, and its checkpoints have no second model.
run_tiny 0 shared "${taught[@]}"
[ "$(count shared "SELECT count(*) FROM update_metrics WHERE phase = 'learn' AND name = 'verdict_margin'")" -gt 0 ] ||
    fail "no rows in the policy's updates"
[ "$(count shared "SELECT count(*) FROM updates WHERE phase = 'judge'")" = 0 ] || fail "updates of a judge of its own"
[ ! -e shared/checkpoints/iteration-2/judge ] || fail "a judge of its own"
