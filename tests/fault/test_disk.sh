#!/bin/bash
# Outputs that cannot be written, or not to their end: one error, and nothing half-written.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/fault/refuses.bash"
need_program
echo '{"prompt_ids":[80],"chosen_ids":[39],"rejected_ids":[40]}' > pairs
echo '{"ids":[80,39]}' > line
train=("$ESPALIER" train --model "$TINY" --dtype f32 --pairs pairs --out)

# limited BLOCKS COMMAND...: no file may grow beyond BLOCKS KiB; the weights have 2.6 MB.
limited() {
    local blocks=$1
    shift
    (ulimit -f "$blocks" && exec "$@")
}
for blocks in 1 100 1000; do
    refuses 'place/imported\..*(File too large|No space left)' limited $blocks "$ESPALIER" import "$TINY" place/imported
    refuses 'place/trained\..*(File too large|No space left)' limited $blocks "${train[@]}" place/trained
    refuses 'place/deep' limited $blocks "$ESPALIER" import "$TINY" place/deep/er/imported
done

# What was there stays whole.
expect_exit 0 "$ESPALIER" import "$TINY" place/kept
refuses 'place/kept' limited 1000 "${train[@]}" place/kept
expect_exit 0 "$ESPALIER" score --model place/kept line
cp -r place/kept before
diff -r before place/kept || fail "place/kept has changed"

# A file in the way, a place that is none, and standard output on a full disk.
echo text > place/file
refuses 'place/file' "${train[@]}" place/file
refuses 'place/file' "${train[@]}" place/file/trained
refuses '/proc/nowhere' "${train[@]}" /proc/nowhere/trained
for command in "score --model $TINY line" "tokenize --model $TINY --text word" "generate --model $TINY --prompt word" --help; do
    refuses 'standard output: cannot write: No space left on device' bash -c "exec \"\$0\" $command > /dev/full" "$ESPALIER"
done

# A real full disk, where we may make one.
mkdir small
if mount -t tmpfs -o size=1m none small 2> /dev/null; then
    trap 'status=$?; umount "$WORK/small" || true; lib_cleanup $status' EXIT
    expect_exit 1 "$ESPALIER" import "$TINY" small/imported
    expect_in err 'No space left'
    [ -z "$(ls -A small)" ] || fail "left on the full disk: $(ls -A small)"
fi
