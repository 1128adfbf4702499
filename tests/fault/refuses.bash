# What the fault tests share: a command that must be refused. Sourced after lib.sh.
# shellcheck shell=bash

# refuses PATTERN COMMAND...: exit 1, exactly one error, which matches PATTERN, with a hint; and the folder
# `place`, where all outputs are asked for, is as it was.
mkdir -p place
refuses() {
    local pattern=$1 before after
    shift
    before=$(find place -printf '%P %s\n' | sort)
    LIB_FRAME=1 expect_exit 1 "$@"
    after=$(find place -printf '%P %s\n' | sort)
    [ "$before" = "$after" ] || LIB_FRAME=1 fail "left behind by $*: $after"
    [ "$(grep -c '^espalier: error: ' err)" = 1 ] || {
        cat err >&2
        LIB_FRAME=1 fail "not exactly one error: $*"
    }
    grep -E '^espalier: error: ' err | grep -qE -- "$pattern" || {
        cat err >&2
        LIB_FRAME=1 fail "the error does not match: $pattern"
    }
    grep -qE '^  hint: .' err || {
        cat err >&2
        LIB_FRAME=1 fail "the error says not what to do: $*"
    }
    if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error' err; then
        cat err >&2
        LIB_FRAME=1 fail "a sanitizer speaks: $*"
    fi
}
