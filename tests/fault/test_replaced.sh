#!/bin/bash
# A model that replaces another: killed at any call, there is always a whole model under the name, the old or the new.
# timeout: 300
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

expect_exit 0 "$ESPALIER" import "$TINY" old --dtype f32
expect_exit 0 "$ESPALIER" import "$TINY" new --dtype bf16
cmp -s old/model.safetensors new/model.safetensors && fail "the two models are the same"

# Whether the folder kept is one of the two, whole.
is_whole() { diff -r kept old > /dev/null || diff -r kept new > /dev/null; }
cp -r old kept
expect_exit 0 "${STRIKE[@]}" STRIKE_AT=0 "STRIKE_COUNT=$WORK/calls" "$ESPALIER" import "$TINY" kept --dtype bf16
diff -r kept new || fail "the model was not replaced"
[ "$(ls)" = "$(printf '%s\n' calls err kept new old out strike.c strike.so test.jsonl train.jsonl)" ] || fail "left behind: $(ls)"
calls=$(cat calls)
[ "$calls" -gt 15 ] || fail "only $calls calls were counted"
replaced=0
for ((at = 1; at <= calls; at++)); do
    rm -rf kept kept.*
    cp -r old kept
    { expect_exit 137 "${STRIKE[@]}" STRIKE_AT=$at "$ESPALIER" import "$TINY" kept --dtype bf16; } \
        2> >(grep -v ' Killed  ' >&2)
    is_whole || fail "killed at call $at of $calls: $(ls -d kept*)"
    if [ -d kept ] && diff -r kept new > /dev/null; then replaced=$((replaced + 1)); fi
    expect_exit 0 "$ESPALIER" import "$TINY" kept --dtype bf16
    diff -r kept new || fail "killed at call $at of $calls, then replaced"
done
[ $replaced -gt 0 ] && [ $replaced -lt "$calls" ] || fail "$replaced of $calls kills came after the replacement"

# A file system that cannot exchange two names: the same by two renames, and nothing is left behind.
cat > without.c << 'C'
#include <errno.h>
int renameat2(int i, const char *a, int j, const char *b, unsigned how) {
    (void)i, (void)a, (void)j, (void)b, (void)how;
    errno = EINVAL;
    return -1;
}
C
cc -shared -fPIC -o without.so without.c
rm -rf kept
cp -r old kept
expect_exit 0 env "LD_PRELOAD=$WORK/without.so" "${STRIKE[2]}" "$ESPALIER" import "$TINY" kept --dtype bf16
diff -r kept new || fail "the model was not replaced by two renames"
expect_absent kept.*
