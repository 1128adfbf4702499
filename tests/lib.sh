# Shared by the shell tests. A test sources this first:
#
#   . "$(dirname "$0")/../lib.sh"
#   need_program
#   expect_exit 2 "$ESPALIER" run
#   expect_in err 'RECIPE'
#
# The test then runs in an empty folder ($WORK), which is removed at the end. ctest sets ESPALIER (the program),
# ESPALIER_BUILD_DIR, ESPALIER_SOURCE_DIR and ESPALIER_SANITIZE; the default is build/.
# shellcheck shell=bash
set -euo pipefail

ESPALIER_SOURCE_DIR=${ESPALIER_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)}
ESPALIER_BUILD_DIR=${ESPALIER_BUILD_DIR:-$ESPALIER_SOURCE_DIR/build}
ESPALIER=${ESPALIER:-$ESPALIER_BUILD_DIR/espalier}
ESPALIER_SANITIZE=${ESPALIER_SANITIZE:-OFF}
TEST_DATA=$ESPALIER_SOURCE_DIR/tests/data
TINY=$TEST_DATA/models/tinystories-656k
SMOLLM2=${ESPALIER_SMOLLM2:-$ESPALIER_SOURCE_DIR/models/smollm2-135m-instruct.gguf}
TRANSFORMERS_PYTHON=${ESPALIER_TRANSFORMERS_PYTHON:-$ESPALIER_SOURCE_DIR/build/transformers/bin/python3}
# Published data sets that may not be part of this repository; tests read them where they are.
DATASETS=${ESPALIER_DATASETS:-$ESPALIER_SOURCE_DIR/../shared/data}
TEST_NAME=$(basename "$0" .sh)

WORK=$(mktemp -d "${TMPDIR:-/tmp}/espalier-$TEST_NAME-XXXXXX")
# lib_cleanup [STATUS]: removes the folder and exits. A test with a trap of its own passes on the status that it got there.
lib_cleanup() {
    local status=${1:-$?}
    cd /
    chmod -R u+rwx "$WORK" 2> /dev/null || true
    rm -rf "$WORK"
    exit $status
}
trap lib_cleanup EXIT
trap 'exit 130' INT TERM
cd "$WORK"

# fail WHY...: the test failed here.
fail() {
    echo "FAILED: $TEST_NAME line ${BASH_LINENO[${LIB_FRAME:-0}]}: $*" >&2
    exit 1
}

# skip WHY...: what the test needs is not there. In CI that is a failure.
skip() {
    if [ -n "${CI:-}" ]; then fail "$* (in CI nothing may be skipped)"; fi
    echo "SKIPPED: $TEST_NAME: $*" >&2
    exit 77
}

# Each checks for one thing that the test needs. What is not part of this repository may be absent: then the test skips.
need_program() { [ -x "$ESPALIER" ] || fail "there is no program at $ESPALIER; run make"; }
need_smollm2() { [ -r "$SMOLLM2" ] || skip "needs the model at $SMOLLM2; run tools/get-smollm2"; }
need_transformers() {
    [ -x "$TRANSFORMERS_PYTHON" ] || skip "needs a Python with transformers; run tools/setup-transformers"
}

# expect_exit CODE COMMAND...: runs it, output into the files out and err of $WORK, and fails on another exit code.
expect_exit() {
    local wanted=$1 got=0
    shift
    "$@" > "$WORK/out" 2> "$WORK/err" || got=$?
    if [ "$got" != "$wanted" ]; then
        echo "--- the last lines it wrote (out, then err)" >&2
        tail -n 20 "$WORK/out" >&2
        tail -n 20 "$WORK/err" >&2
        LIB_FRAME=1 fail "exit $got instead of $wanted: $*"
    fi
}

# expect_in FILE PATTERN: a line of the file matches the extended regular expression.
expect_in() {
    grep -qE -- "$2" "$1" || {
        tail -n 20 "$1" >&2
        LIB_FRAME=1 fail "$1 has no line that matches: $2"
    }
}

# expect_not_in FILE PATTERN
expect_not_in() {
    if grep -E -- "$2" "$1" >&2; then LIB_FRAME=1 fail "$1 has a line that matches: $2"; fi
}

# expect_same FILE FILE: the same bytes.
expect_same() { cmp "$1" "$2" || LIB_FRAME=1 fail "$1 and $2 differ"; }

# expect_absent PATH...: nothing half-written was left behind.
expect_absent() {
    local path
    for path in "$@"; do
        if [ -e "$path" ]; then LIB_FRAME=1 fail "$path was left behind"; fi
    done
}

# forget_sums RUN: after a test has changed rows of run.db: from here on it is one of a version that kept no sums of them.
forget_sums() {
    python3 - "$1" << 'PYTHON'
import sqlite3, sys
db = sqlite3.connect(f'{sys.argv[1]}/run.db')
for sql in ('DROP TABLE calibrations', 'DROP TABLE sums', 'DROP TABLE files', 'ALTER TABLE position DROP COLUMN moves', 'PRAGMA user_version = 7'):
    db.execute(sql)
db.commit()
PYTHON
    rm -f "$1/lock"
}
