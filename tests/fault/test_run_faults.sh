#!/bin/bash
# What `run` must refuse or survive: a recipe that is wrong or has changed, folders, models and data that are not what
# they should be, a second process, and a disk that fills up.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
. "$ESPALIER_SOURCE_DIR/tests/fault/refuses.bash"
make_strike

# refuses_tiny PATTERN OUT ARGS...
refuses_tiny() {
    local pattern=$1
    shift
    tiny "$@"
    refuses "$pattern" "${TINY_RUN[@]}"
}

# A recipe that is wrong: where, and the nearest known key. Nothing is made.
broken() { # PATTERN SED-SCRIPT
    sed "$2" "$RECIPES/tiny.yaml" > broken.yaml
    RECIPE=broken.yaml refuses_tiny "$1" place/run
}
line() { grep -n "^  $1" "$RECIPES/tiny.yaml" | head -n 1 | cut -d: -f1; }
broken "broken\.yaml:$(line wave):3: unknown key run\.waves.*run\.wave" 's/^  wave:/  waves:/'
broken "broken\.yaml:$(line breadth:):3: unknown key search\.breath.*search\.breadth" 's/^  breadth:/  breath:/'
broken "broken\.yaml:$(line lr):[0-9]+: .*sft\.lr" 's/^  lr: 3e-3/  lr: -1/'
broken "broken\.yaml:$(line wave):[0-9]+: .*run\.wave" 's/^  wave: 4/  wave: 0/'
broken "broken\.yaml:$(line wave):[0-9]+: .*run\.wave" 's/^  wave: 4/  wave: many/'
broken 'broken\.yaml:[0-9]+:[0-9]+: ' 's/^run:/run: [/'
refuses_tiny 'unknown task "nothing-such"' place/run --task nothing-such
RECIPE=absent.yaml refuses_tiny 'absent\.yaml.*No such file' place/run
expect_absent place/run

# What it needs is not there.
refuses 'absent/model' "$ESPALIER" run "$RECIPES/tiny.yaml" --model absent/model --train train.jsonl --out place/run
refuses_tiny 'absent\.jsonl.*No such file' place/run --train absent.jsonl
refuses_tiny 'absent\.jsonl.*No such file' place/run --test absent.jsonl
{ head -n 3 train.jsonl; echo '{"question": "half'; } > torn.jsonl
refuses_tiny 'torn\.jsonl:4' place/run --train torn.jsonl
{ head -n 3 train.jsonl; echo '{"question": "What?"}'; } > lacking.jsonl
refuses_tiny 'lacking\.jsonl:4.*answer' place/run --train lacking.jsonl
expect_absent place/run

# A folder that cannot be made or written.
echo text > place/file
refuses_tiny 'place/file' place/file
refuses_tiny '/proc/nowhere' /proc/nowhere
refuses_tiny 'place/none: no run is here' place/none --resume

# A run is not begun twice, nor gone on with by another recipe or another verb.
run_tiny 0 done --iterations 0 --test "" --set sft.limit=8
dump done > before
refuses_tiny 'done: holds a run already' done --iterations 0 --test "" --set sft.limit=8
expect_in err 'hint: .*--resume'
refuses_tiny 'recipe has changed: .*sft\.limit: 8 there, 16 here' done --iterations 0 --test "" --set sft.limit=16 --resume
refuses 'started with other phases' "$ESPALIER" sft "$RECIPES/tiny.yaml" --model "$TINY" --train "$WORK/train.jsonl" --out done \
    --iterations 0 --test "" --set sft.limit=8 --resume
run_tiny 0 done --iterations 0 --test "" --set sft.limit=8 --resume --checkpoint-every 5
expect_not_in err 'this run was started on'
cmp before <(dump done) || fail "what was refused has changed the run"

# The same bits are promised on the same machine: on another one it goes on, and says so.
python3 - << 'PYTHON'
import sqlite3
with sqlite3.connect('done/run.db') as db: db.execute("UPDATE meta SET value = 'an abacus' WHERE key = 'compute'")
PYTHON
forget_sums done
run_tiny 0 done --iterations 0 --test "" --set sft.limit=8 --resume
expect_in err 'this run was started on an abacus and continues on cpu'

# Two processes at once: the second is refused and the first goes on. Signal 19 stops the first, signal 18 lets it go.
tiny locked --iterations 0
"${STRIKE[@]}" STRIKE_AT=150 STRIKE_SIGNAL=19 "${TINY_RUN[@]}" > locked.out 2> locked.err &
first=$!
for ((i = 0; i < 6000; i++)); do
    case $(cut -d ' ' -f 3 "/proc/$first/stat") in T) break ;; esac
    sleep 0.05
done
refuses_tiny "locked: another process works on this run \(process $first\)" locked --iterations 0 --resume
kill -18 $first
wait $first || fail "the first process: $(cat locked.err)"
[ "$(position_of locked)" = "done 0 0 0 sft" ] || fail "the first process is at $(position_of locked)"

# What a person has put into checkpoints/ stays, whatever happens to the run; what is missing is said, and never taken for
# a beginning: nothing is changed, and with it put back the run ends in the same bits.
run_tiny 0 unharmed
strike_tiny 0 0 9 counted
calls=$(cat calls)
strike_tiny 137 $((calls * 2 / 3)) 9 struck
case $(position_of struck) in learn*' learn-'* | search*' iteration-1' | learn*' iteration-1' | evaluate*' iteration-1') ;;
*) fail "the kill came elsewhere: $(position_of struck)" ;; esac
mkdir -p struck/checkpoints/best-at-home struck/checkpoints/my.old struck/checkpoints/iteration-1.old
for mine in best-at-home my.old iteration-1.old; do echo mine > struck/checkpoints/$mine/optimizer.safetensors; done
listing() { (cd "$1" && find . -type f ! -name 'run.db-shm' ! -name lock ! -name 'run.db-wal' -exec sha256sum {} + | sort -k 2); }
# missing PATTERN: the run in `lost` is refused, with and without --resume where run.db is unread, and is as it was.
missing() {
    listing lost > lost.before
    refuses_tiny "$1" lost --resume
    listing lost > lost.after
    diff lost.before lost.after || fail "what was refused has changed the run"
}
checkpoint=$(position_of struck)
checkpoint=${checkpoint##* }
cp -r struck lost
find lost/checkpoints/"$checkpoint" -name optimizer.safetensors -delete
missing "lost/checkpoints/$checkpoint/optimizer\.safetensors: is missing"
cp struck/checkpoints/"$checkpoint"/optimizer.safetensors lost/checkpoints/"$checkpoint"
rm lost/checkpoints/"$checkpoint"/model.safetensors
missing "lost/checkpoints/$checkpoint/model\.safetensors: is missing"
rm -rf lost
cp -r struck lost
: > lost/run.db # as a kill leaves it whose run.db-wal is then lost
rm -f lost/run.db-wal lost/run.db-shm
missing 'lost/run\.db: is empty, but the run had begun'
refuses_tiny 'lost/checkpoints/.*record is missing' lost
rm lost/run.db
missing 'no run is here'
refuses_tiny 'lost/checkpoints/.*record is missing' lost
rm -rf lost
cp -r struck lost
python3 - << 'PYTHON'
import sqlite3
with sqlite3.connect('lost/run.db') as db: db.execute("UPDATE position SET phase = 3, iteration = 0, wave = 0, step = 0, checkpoint = ''")
PYTHON
forget_sums lost
refuses_tiny 'is later than what run\.db knows' lost --resume # which brings the tables up to date, and changes nothing else
missing 'lost/checkpoints/.* is later than what run\.db knows'
rm -rf lost
run_tiny 0 struck --resume
for mine in best-at-home my.old iteration-1.old; do
    [ "$(cat struck/checkpoints/$mine/optimizer.safetensors)" = mine ] || fail "$mine was touched"
    rm -r struck/checkpoints/$mine
done
same_runs unharmed struck

# A disk that is full at the first optimizer's state of learning, at the first weights, at the database: what was
# finished is kept, and goes on to the bits of a run that always had room.
mv unharmed whole
while read -r blocks every kept; do
    tiny full-$blocks --checkpoint-every $every
    expect_exit 1 bash -c 'ulimit -f $0 && exec "$@"' $blocks "${TINY_RUN[@]}"
    [ "$(grep -c '^espalier: error: .*full-' err)" = 1 ] || fail "not one error: $(cat err)"
    expect_in err "^espalier: error: full-$blocks/.*(File too large|refused a write)"
    expect_in err '^  hint: .*--resume'
    if ls -d full-$blocks/checkpoints/*.aside 2> /dev/null; then fail "a half-written checkpoint was left behind"; fi
    [ "$(position_of full-$blocks)" = "$kept" ] || fail "limit of $blocks KiB: it is at $(position_of full-$blocks)"
    run_tiny 0 full-$blocks --resume
    same_runs whole full-$blocks
done << 'CASES'
4000 0 learn 1 0 0 sft
2000 2 sft 0 0 0 -
64 2 sft 0 0 0 -
CASES

mkdir small
if mount -t tmpfs -o size=12m none small 2> /dev/null; then
    trap 'status=$?; umount "$WORK/small" || true; lib_cleanup $status' EXIT
    run_tiny 1 small/run
    [ "$(grep -c '^espalier: error: .*small/run.*No space left' err)" = 1 ] || fail "not one error: $(cat err)"
    expect_in err 'hint: free some disk space'
    [ "$(position_of small/run)" = "sft 0 0 2 sft-0-at-2" ] || fail "the full disk: it is at $(position_of small/run)"
    mount -o remount,size=200m small
    run_tiny 0 small/run --resume
    same_runs whole small/run
fi
