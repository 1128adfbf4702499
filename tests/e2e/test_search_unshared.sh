#!/bin/bash
# search --unshared through the program: the same trees to the last bit on ref, and what they cost without sharing.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

search() {
    expect_exit 0 "$ESPALIER" search "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --compute ref --dtype f32 \
        --problems 2 --wave 2 --out "$@"
}
search shared
search unshared --unshared
trees() {
    python3 - "$1" << 'PYTHON'
import sqlite3, sys
db = sqlite3.connect(f'{sys.argv[1]}/run.db')
for query in ('SELECT * FROM nodes ORDER BY tree, node', 'SELECT * FROM commitments ORDER BY tree, step',
              'SELECT tree, prompt_ids, final_node, outcome, simulations, tokens_sampled, tokens_judged FROM trees'):
    for row in db.execute(query): print(row)
PYTHON
}
trees shared > shared.txt
trees unshared > unshared.txt
[ "$(count shared 'SELECT count(*) FROM nodes')" -gt 8 ] || fail "too few nodes; the test shows nothing"
cmp shared.txt unshared.txt || fail "the search without sharing gave other trees"
shared=$(count shared 'SELECT sum(tokens_computed) FROM trees')
unshared=$(count unshared 'SELECT sum(tokens_computed) FROM trees')
[ "$unshared" -gt $((2 * shared)) ] || fail "unshared it computed $unshared tokens, shared $shared"

# A search is resumed in the way that it was begun in. Earlier versions called this way "plain".
resume() {
    local code=$1
    shift
    expect_exit "$code" "$ESPALIER" search "$RECIPES/tiny.yaml" --model "$TINY" --train train.jsonl --compute ref --dtype f32 \
        --problems 2 --wave 2 --resume --out "$@"
}
way_of() {
    python3 -c 'import sqlite3, sys
db = sqlite3.connect(f"{sys.argv[1]}/run.db")
with db: db.execute("UPDATE meta SET value = replace(value, ?, ?) WHERE key = ?", (*sys.argv[2:], "parts"))
print(db.execute("SELECT value FROM meta WHERE key = ?", ("parts",)).fetchone()[0])' "$@"
    forget_sums "$1"
}
for words in unshared plain; do
    [[ $(way_of unshared unshared $words) =~ ^[0-9]+\ $words$ ]] || fail "the store does not say $words"
    resume 0 unshared --unshared
    resume 1 unshared
    expect_in err 'started with other phases, or another way to search'
    resume 1 shared --unshared
done
trees unshared | cmp - unshared.txt || fail "resuming has changed the trees"
