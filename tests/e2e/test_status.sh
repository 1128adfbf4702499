#!/bin/bash
# `espalier status`: a run that works, one that was stopped, one that is done; and the command that it prints continues the run.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# said RUN KEY: a member of the JSON.
said() {
    LIB_FRAME=1 expect_exit 0 "$ESPALIER" status "$1" --json
    python3 -c 'import json, sys; print(json.load(open("out"))[sys.argv[1]])' "$2"
}

tiny run --set run.iterations=40 --set run.eval_every=1
"${TINY_RUN[@]}" > /dev/null 2> log & process=$!
for _ in $(seq 600); do
    [ -s run/recipe.yaml ] && [ "$(said run iteration)" -ge 2 ] && break
    sleep 0.1
done
[ "$(said run state)" = running ] || fail "a run that works is $(said run state)"
[ "$(said run process)" = "$process" ] || fail "process $(said run process), not $process"
[ "$(said run iterations)" = 40 ] || fail "iterations: $(said run iterations)"
[ "$(said run seconds_left)" != None ] || fail "no estimate after the first iteration"
kill -9 $process
wait $process 2> /dev/null || true
[ "$(said run state)" = stopped ] || fail "a killed run is $(said run state)"
expect_exit 0 "$ESPALIER" status run
expect_in out '^run: stopped, iteration [0-9]+ of 40, '
expect_in out '^accuracy: [0-9.]+% \[[0-9.]+, [0-9.]+\] after iteration '

# The command that it prints, with fewer iterations so that it ends.
begun=$(said run iteration)
expect_exit 0 "$ESPALIER" status run
command=$(sed -n 's/^continue it: espalier //p' out)
[ -n "$command" ] || fail "no command to continue"
# shellcheck disable=SC2086
expect_exit 0 "$ESPALIER" $command --iterations $((begun + 1))
[ "$(said run state)" = "done" ] || fail "a finished run is $(said run state)"
[ "$(said run iteration)" = $((begun + 1)) ] || fail "iteration $(said run iteration)"
expect_exit 0 "$ESPALIER" status run
expect_in out "^run: done, $((begun + 1)) iterations"
! grep -q 'continue it' out || fail "a finished run is to be continued"

expect_exit 1 "$ESPALIER" status nowhere
expect_in err 'nowhere'
