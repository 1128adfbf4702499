#!/bin/bash
# A run goes on with another recipe: more iterations are the same bits as if they had been asked for at once; other keys
# count from where the run is; what cannot change is refused, and nothing is lost.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike
# A schedule over the whole run would be another one for another number of iterations.
more=(--set learn.schedule=constant --set learn.warmup=0 --set eval.compare_k=0)

# Done after two iterations, then two more.
run_tiny 0 whole --iterations 4 "${more[@]}"
run_tiny 0 longer --iterations 2 "${more[@]}"
run_tiny 0 longer --iterations 4 "${more[@]}" --resume
expect_in err 'the recipe has changed: run.iterations: 2 before, 4 from here on'
diff -r whole/checkpoints longer/checkpoints || fail "two and two iterations are not four"
rows() { dump "$1" | grep -v '^INSERT INTO "meta"\|^INSERT INTO "files" VALUES(.recipe'; }
rows whole > rows-1
rows longer > rows-2
expect_same rows-1 rows-2
expect_in longer/recipe.yaml '  iterations: 2'
expect_in longer/recipe-2.yaml '  iterations: 4'
# The present recipe is what the others read.
expect_exit 0 "$ESPALIER" check longer
expect_exit 0 "$ESPALIER" report longer --json
python3 - << 'PYTHON'
import json
run = json.load(open('out'))['data']['run']
assert run['changes'] == [{'iteration': 2, 'text': 'run.iterations: 2 before, 4 from here on'}], run['changes']
assert 'iterations: 4' in run['recipe_yaml']
PYTHON
run_tiny 0 longer --iterations 4 "${more[@]}" --resume # nothing to do, and nothing changes
expect_absent longer/recipe-3.yaml

# A kill at any call of the change leaves the old recipe or the new one; the same command then ends in the same bits.
calls_of() {
    rm -rf struck
    cp -r two struck
    strike_tiny "$1" "$2" 9 struck --iterations 3 --set learn.lr=2e-4 "${more[@]}" --resume
}
run_tiny 0 two --iterations 2 "${more[@]}"
calls_of 0 0
mv struck undisturbed
for at in 2 6 14; do
    calls_of 137 $at
    run_tiny 0 struck --iterations 3 --set learn.lr=2e-4 "${more[@]}" --resume
    diff -r undisturbed/checkpoints struck/checkpoints || fail "killed at call $at of a change"
    [ "$(count struck "SELECT count(*) FROM events WHERE kind = 'changed'")" = 1 ] || fail "killed at call $at: events"
done
! cmp -s whole/checkpoints/iteration-3/model.safetensors undisturbed/checkpoints/iteration-3/model.safetensors ||
    fail "the new learning rate changes nothing"

# In the middle of learning: its keys are in use.
run_tiny 0 counted --iterations 2 "${more[@]}"
strike_tiny 0 0 9 again --iterations 2 "${more[@]}"
for at in $(seq $(($(cat calls) / 2)) 3 "$(cat calls)"); do
    rm -rf middle
    strike_tiny 137 "$at" 9 middle --iterations 2 "${more[@]}"
    case $(position_of middle) in
    "learn "*" 0 0 "*) ;;
    "learn "*) break ;;
    esac
done
case $(position_of middle) in "learn "*) ;; *) fail "no kill in the middle of learning: $(position_of middle)" ;; esac
run_tiny 1 middle --iterations 2 "${more[@]}" --resume --set learn.lr=2e-4
expect_in err 'learn.lr cannot change in the middle of the learning of iteration'
run_tiny 0 middle --iterations 2 "${more[@]}" --resume
same_runs counted middle

# What cannot be: fewer iterations than were begun; a change of which nothing comes; keys that decide what was done.
run_tiny 1 longer --iterations 3 "${more[@]}" --resume
expect_in err 'run.iterations is 3, and iteration 4 has begun'
run_tiny 1 longer --iterations 4 "${more[@]}" --resume --set learn.lr=2e-4
expect_in err 'the run is done, so nothing would come of this change'
run_tiny 1 longer --iterations 5 "${more[@]}" --resume --set search.breadth=3
expect_in err 'the recipe has changed: search.breadth: 2 there, 3 here'
run_tiny 0 last --iterations 2 "${more[@]}" --set run.keep=last
run_tiny 1 last --iterations 3 "${more[@]}" --set run.keep=last --resume
expect_in err 'has no optimizer state to go on with'
expect_exit 0 "$ESPALIER" check longer

# A name of a recipe from a stranger is not followed.
python3 -c 'import sqlite3
db = sqlite3.connect("longer/run.db"); db.execute("UPDATE meta SET value = \"../two/recipe.yaml\" WHERE key = \"recipe\""); db.commit()'
expect_exit 1 "$ESPALIER" report longer --json

# A new run from the policy of another: without SFT, and what is given besides counts more.
expect_exit 0 "$ESPALIER" run "$RECIPES/tiny.yaml" --from two --train train.jsonl --test test.jsonl --out next --iterations 1 "${more[@]}"
expect_in next/recipe.yaml '  path: "two/checkpoints/iteration-2"'
expect_in next/recipe.yaml '  epochs: 0'
