#!/bin/bash
# The command line as a whole: help and --json on every verb, exit codes, the nearest name, where things are printed.
. "$(dirname "$0")/../lib.sh"
need_program

verbs="run sft search train eval generate score tokenize prompt grade pairs import export plan bench show status report check problems sweep compare theory curves"
expect_exit 0 "$ESPALIER" --help
cp out help
expect_exit 0 "$ESPALIER" --version
expect_in out '^espalier [0-9]+\.[0-9]+\.[0-9]+$'
for verb in $verbs; do
    expect_in help "^  $verb +[^ ]"
    expect_exit 0 "$ESPALIER" $verb --help
    expect_in out "^espalier $verb \[options\]"
    expect_in out '^  --json'
    [ -s err ] && fail "$verb --help writes to standard error"
    expect_exit 2 "$ESPALIER" $verb --no-such-option
    [ -s out ] && fail "$verb: a usage error writes to standard output"
    expect_in err '^espalier: error: espalier '$verb': unknown option --no-such-option'
    expect_in err '^  hint: '
done

expect_exit 2 "$ESPALIER"
expect_in err 'a verb is missing'
expect_exit 2 "$ESPALIER" scroe
expect_in err 'unknown verb scroe \(did you mean score\?\)'
expect_exit 2 "$ESPALIER" score
expect_in err '--model is missing'
expect_exit 2 "$ESPALIER" score --modle x
expect_in err 'did you mean --model\?'
expect_exit 2 "$ESPALIER" score --model x --dtype f16
expect_in err '--dtype must be one of bf16, f32'
expect_exit 2 "$ESPALIER" train --model x --pairs y --lr fast
expect_exit 2 "$ESPALIER" run
expect_exit 2 "$ESPALIER" export onlyone
expect_exit 1 "$ESPALIER" grade --task nothing /dev/null
expect_in err 'gsm8k'

# Threads that wait for each other give up the processor soon (main.c), unless somebody has said otherwise.
waits() { # EXPECTED [NAME=VALUE]...: what the environment of a program that waits for its input says
    local expected=$1 pid found
    shift
    mkfifo input
    env -u OMP_WAIT_POLICY -u GOMP_SPINCOUNT "$@" "$ESPALIER" grade --task gsm8k input > out 2> err &
    pid=$!
    exec 7> input # it has begun again by now: it reads
    found=$(tr '\0' '\n' < /proc/$pid/environ | grep -E '^(GOMP_SPINCOUNT|OMP_WAIT_POLICY)=' | tr '\n' ' ')
    exec 7>&-
    wait $pid || true
    rm input
    [ "$found" = "$expected" ] || fail "the environment says '$found', not '$expected'"
}
waits 'GOMP_SPINCOUNT=1000 '
waits 'GOMP_SPINCOUNT=7 ' GOMP_SPINCOUNT=7
waits 'OMP_WAIT_POLICY=active ' OMP_WAIT_POLICY=active
