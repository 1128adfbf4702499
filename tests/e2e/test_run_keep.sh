#!/bin/bash
# run.keep: last: the same run, killed or not, with fewer files.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

# The last policy and all rows are those of a run that keeps everything, but for the rows of the files that are gone.
same_but_files() {
    expect_same "$1/checkpoints/iteration-3/model.safetensors" "$2/checkpoints/iteration-3/model.safetensors"
    dump "$1" | grep -v '^INSERT INTO "files"' > rows-1
    dump "$2" | grep -v '^INSERT INTO "files"' > rows-2
    expect_same rows-1 rows-2
    [ "$(ls "$2/checkpoints" | tr '\n' ' ')" = "iteration-3 sft " ] || fail "$2 has $(ls "$2/checkpoints")"
    expect_absent "$2/checkpoints/iteration-3/optimizer.safetensors"
}

# What needs the policy after SFT until the end has it.
run_tiny 0 all --set run.iterations=3 --set learn.offline=true --set learn.reference=sft
[ "$(ls all/checkpoints | tr '\n' ' ')" = "iteration-1 iteration-2 iteration-3 sft " ] || fail "all has $(ls all/checkpoints)"
[ -s all/checkpoints/iteration-3/optimizer.safetensors ] || fail "the state of the last one is gone"
strike_tiny 0 0 9 last --set run.iterations=3 --set learn.offline=true --set learn.reference=sft --set run.keep=last
same_but_files all last
run_tiny 0 last --set run.iterations=3 --set learn.offline=true --set learn.reference=sft --set run.keep=last --resume
same_but_files all last

calls=$(cat calls)
resume=
before=0
for part in 4 6 8; do
    strike_tiny 137 $((calls * part / 10 - before + 20)) 9 killed --set run.iterations=3 --set learn.offline=true \
        --set learn.reference=sft --set run.keep=last $resume
    before=$((calls * part / 10))
    resume=--resume
done
# The key may change on the way: it decides no result.
run_tiny 0 killed --set run.iterations=3 --set learn.offline=true --set learn.reference=sft --resume
run_tiny 0 killed --set run.iterations=3 --set learn.offline=true --set learn.reference=sft --set run.keep=last --resume
same_but_files all killed
