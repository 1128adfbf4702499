#!/bin/bash
# An adapter that PEFT wrote gives the log-probs that PEFT gives with it (tests/data/golden/make_peft.py).
. "$(dirname "$0")/../lib.sh"
need_program
GOLDEN=$ESPALIER_SOURCE_DIR/tests/data/golden
python3 -c 'import json, sys; json.dump({"ids": json.load(open(sys.argv[1]))["ids"]}, open("row.jsonl", "w"))' "$GOLDEN/peft.json"

# near MEMBER: the log-probs in out are those of this member of the golden file.
near() {
    python3 - "$GOLDEN/peft.json" "$1" << 'PYTHON' || LIB_FRAME=1 fail "log-probs are not PEFT's ($1)"
import json, sys
wanted = json.load(open(sys.argv[1]))[sys.argv[2]]
given = json.load(open('out'))['logprobs'][1:]
assert len(wanted) == len(given)
worst = max(abs(a - b) for a, b in zip(wanted, given))
assert worst < 1e-4, worst
PYTHON
}
for compute in ref cpu; do
    expect_exit 0 "$ESPALIER" score row.jsonl --model "$GOLDEN/peft" --dtype f32 --compute $compute
    near logprobs
    expect_exit 0 "$ESPALIER" score row.jsonl --model "$TINY" --dtype f32 --compute $compute
    near base
done
python3 - "$GOLDEN/peft.json" << 'PYTHON' || fail "the adapter changes nothing"
import json, sys
golden = json.load(open(sys.argv[1]))
assert max(abs(a - b) for a, b in zip(golden['logprobs'], golden['base'])) > 0.1
PYTHON
