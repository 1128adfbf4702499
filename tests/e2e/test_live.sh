#!/bin/bash
# The live view of a run: on a terminal a view that is removed at the end and by Ctrl-C, plain lines elsewhere; and the
# summary after it.
# timeout: 600
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# What a run writes to a terminal: python3 live.py TERM WIDTH INTERRUPT(0 or 1) COMMAND..., standard output apart.
cat > live.py << 'PYTHON'
import fcntl, os, pty, signal, struct, subprocess, sys, termios
terminal, width, interrupt, words = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
master, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 30, width, 0, 0))
child = subprocess.Popen(words, stderr=slave, stdout=open('out', 'wb'), env={**os.environ, 'TERM': terminal})
os.close(slave)
seen = b''
while True:
    try: piece = os.read(master, 65536)
    except OSError: break
    if not piece: break
    seen += piece
    if interrupt and b'iteration 1 of' in seen:
        child.send_signal(signal.SIGINT)
        interrupt = 0
open('err', 'wb').write(seen)
sys.exit(child.wait())
PYTHON
export LC_ALL=C.UTF-8
unset NO_COLOR
on_terminal() { # CODE TERM WIDTH INTERRUPT OUT ARGS...
    local code=$1 got=0
    shift
    tiny "${@:4}"
    python3 live.py "$1" "$2" "$3" "${TINY_RUN[@]}" || got=$?
    [ "$got" = "$code" ] || { tail -c 2000 err >&2; LIB_FRAME=1 fail "exit $got instead of $code"; }
}

on_terminal 0 xterm 80 0 live
expect_in err 'iteration 2 of 2'
expect_in err 'accuracy [0-9.]+% \['
expect_in err 'about [0-9:]+ left'
python3 - << 'PYTHON' || fail "the terminal is not left clean"
import re
seen = open('err', encoding='utf-8').read()
rest = re.sub('\x1b\\[[0-9;]*[mAJ]', '', seen)
assert '\x1b' not in rest, 'a sequence that is not expected'
assert 'elapsed' not in seen[seen.rindex('\x1b[J'):], 'the view is still there at the end'
PYTHON
expect_in out '^After the warm-up: [0-9.]+% of 16 held-out problems \['
expect_in out '^After 2 iterations: '
expect_in out '^(Gain|Loss|Change): [-+][0-9.]+ points \['
expect_in out '^Page: live/report\.html$'
[ -s live/report.html ] || fail "no page"

NO_COLOR=1 on_terminal 0 xterm 80 0 plain
expect_in err 'elapsed'
expect_not_in err "$(printf '\033')\[[0-9;]*m"

for case in dumb: ; do
    on_terminal 0 "${case%:}" 80 0 "as-$case"
    expect_not_in err "$(printf '\033')"
    expect_not_in err 'elapsed'
    expect_in err '^iteration 1: search: 8 problems'
done
run_tiny 0 piped
expect_not_in err "$(printf '\033')"
same_runs live piped

# Ctrl-C: the message is the last thing, with no view above it, and the run can be continued.
on_terminal 3 xterm 80 1 stopped
python3 - << 'PYTHON' || fail "Ctrl-C leaves the view"
seen = open('err', encoding='utf-8').read()
end = seen[seen.rindex('\x1b[J'):]
assert 'elapsed' not in end and 'continue with the same command and --resume' in end, end
PYTHON
on_terminal 0 xterm 60 0 stopped --resume
expect_in out 'since it was resumed'
same_runs live stopped

# JSON: one document and nothing else; what has no number is null.
run_tiny 0 none --json --set data.test= --set eval.set=test
python3 -c "
import json
d = json.load(open('out'))
assert d['evaluations'] == [] and d['gain'] is None and d['totals']['trees'] == 16, d['totals']" || fail "the JSON summary"
