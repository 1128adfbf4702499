#!/bin/bash
# A run that is killed again and again, and resumed each time, ends in the bits of the run left alone.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

strike_tiny 0 0 9 whole
calls=$(cat calls)
[ "$calls" -gt 500 ] || fail "only $calls calls were counted: the strike does not see the program's"

# No folder under its last name is half-written: what the whole run has too is equal, the others load.
check_kill() {
    local folder name file at
    at=$(position_of "$1") || fail "run.db is damaged"
    echo "killed at call $2: $at"
    [ -d "$1/checkpoints" ] || return 0
    for folder in "$1"/checkpoints/*; do
        name=$(basename "$folder")
        case $name in
            '*' | *.aside | *.old) ;;
            *-at-*)
                echo '{"ids":[1,5,9]}' > ids.jsonl
                expect_exit 0 "$ESPALIER" score --model "$folder" ids.jsonl
                [ -s "$folder/optimizer.safetensors" ] || fail "$folder has no optimizer state"
                ;;
            *)
                for file in model.safetensors config.json tokenizer.json tokenizer_config.json special_tokens_map.json; do
                    expect_same "$folder/$file" "whole/checkpoints/$name/$file"
                done
                ;;
        esac
    done
    case $at in
        *' -') ;;
        *) [ -d "$1/checkpoints/${at##* }" ] || fail "the position names a checkpoint that is not there: $at" ;;
    esac
}

# Five moments, one in each fifth of the run: what a resumed run repeats is about twenty calls.
RANDOM=405
resume=
before=0
for kill in 0 1 2 3 4; do
    moment=$((calls * kill / 5 + RANDOM % (calls / 5)))
    strike_tiny 137 $((moment - before + 20)) 9 killed $resume
    check_kill killed $moment
    before=$moment
    resume=--resume
done
run_tiny 0 killed --resume
same_runs whole killed
[ "$(count killed "SELECT count(*) FROM events WHERE kind = 'resumed'")" = 5 ] || fail "it was not resumed five times"

# In the first calls, before there is anything to go on from; and a finished run is left as it is.
for at in 2 5 9 14 27; do
    strike_tiny 137 $at 9 early-$at
    if [ -e "early-$at/run.db" ]; then check_kill early-$at $at; fi
done
again=
if [ -e early-14/run.db ]; then again=--resume; fi
strike_tiny 137 $((calls / 10)) 9 early-14 $again
run_tiny 0 early-14 --resume
same_runs whole early-14
run_tiny 0 early-14 --resume
same_runs whole early-14
