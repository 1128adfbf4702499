#!/bin/bash
# The command line as a whole: help and --json on every verb, exit codes, the nearest name, where things are printed.
. "$(dirname "$0")/../lib.sh"
need_program

verbs="run sft search train eval generate score tokenize grade pairs import export plan bench show report problems"
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
