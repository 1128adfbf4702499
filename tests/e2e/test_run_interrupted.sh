#!/bin/bash
# Ctrl-C, SIGTERM and SIGHUP: the run says how to go on, has lost nothing of what was finished, and goes on to the same
# bits.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

strike_tiny 0 0 2 whole
calls=$(cat calls)

# In SFT: every update that was taken is held by the checkpoint, also between two that were due.
strike_tiny 3 $((calls / 6)) 2 stopped
expect_in err 'stopping after the current piece of work'
expect_in err '^espalier: error: stopped; what was finished is kept in stopped$'
[ "$(count stopped 'SELECT phase FROM position')" = 0 ] || fail "not in SFT: $(position_of stopped)"
updates=$(count stopped 'SELECT count(*) FROM updates')
[ "$updates" -gt 0 ] || fail "no update was taken yet"
[ "$(count stopped 'SELECT step FROM position')" = "$updates" ] || fail "$updates updates, but $(position_of stopped)"

for signal in 15 1 2; do
    strike_tiny 3 $((calls / 5)) $signal stopped --resume
    echo "stopped by signal $signal: $(position_of stopped)"
    expect_in err 'hint: continue with the same command and --resume$'
    position_of stopped > /dev/null
done
run_tiny 0 stopped --resume
same_runs whole stopped

# Under nohup the end of the terminal is no request.
(trap '' HUP && strike_tiny 0 $((calls / 5)) 1 nohup)
same_runs whole nohup
