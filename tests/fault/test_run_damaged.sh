#!/bin/bash
# timeout: 600
# Files of a run that have changed since the run wrote them: a bit that flipped, a tail of zeros, a cut. Whoever uses such a
# file says so; nothing is trained, evaluated or exported from it.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
. "$ESPALIER_SOURCE_DIR/tests/fault/refuses.bash"

run_tiny 0 whole --iterations 1 --set sft.limit=8

# damage FILE KIND: in place.
damage() {
    python3 - "$1" "$2" << 'PYTHON'
import os, sys
path, kind = sys.argv[1:]
size = os.path.getsize(path)
with open(path, 'r+b') as f:
    if kind == 'flip':
        f.seek(size * 2 // 3)
        byte = f.read(1)[0]
        f.seek(size * 2 // 3)
        f.write(bytes([byte ^ 16]))
    elif kind == 'zeros':
        f.seek(-min(size, 512), 2)
        f.write(bytes(min(size, 512)))
    elif kind == 'cut': f.truncate(size - 1)
    else: f.seek(0, 2), f.write(b'\n')
PYTHON
}

# refused_by_all FILE: one that is damaged, by every verb that uses it.
refused_by_all() {
    local verb
    refuses "$1: is damaged" "${RESUME[@]}"
    if [ "$1" = whole/recipe.yaml ]; then
        refuses "$1: is damaged" "$ESPALIER" report whole --out place/page.html
        return
    fi
    for verb in "eval --task gsm8k --data test.jsonl --model $POLICY" "generate --model $POLICY --prompt a -n 1" \
        "export whole place/policy" "import $POLICY place/policy"; do
        # shellcheck disable=SC2086
        refuses "$1: is damaged" "$ESPALIER" $verb
    done
}
RESUME=("${TINY_RUN[@]}" --resume)
POLICY=whole/checkpoints/iteration-1
tested=0
for file in "$POLICY"/* whole/recipe.yaml; do
    cp "$file" kept
    for kind in flip zeros cut longer; do
        damage "$file" $kind
        cmp -s "$file" kept && fail "$kind did not change $file"
        refused_by_all "$file"
        cp kept "$file"
        tested=$((tested + 1))
    done
done
[ $tested -ge 20 ] || fail "only $tested damages were tried"
mv $POLICY/model.safetensors kept
refuses "$POLICY/model\.safetensors: is missing" "${RESUME[@]}"
mv kept $POLICY/model.safetensors

# Of what an earlier version left without sums, that is said, and it goes on.
cp -r whole older
forget_sums older
expect_exit 0 "$ESPALIER" eval --task gsm8k --data test.jsonl --limit 1 --model older/checkpoints/iteration-1
expect_in err 'older/checkpoints/iteration-1: was written without sums by an earlier version'
tiny older --iterations 1 --set sft.limit=8
expect_exit 0 "${TINY_RUN[@]}" --resume
expect_in err 'checkpoints/iteration-1 was written by an earlier version, without sums'

# And with nothing damaged all go on.
expect_exit 0 "${RESUME[@]}"
expect_exit 0 "$ESPALIER" export whole policy
expect_exit 0 "$ESPALIER" report whole
