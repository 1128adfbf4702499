#!/bin/bash
# Two runs of one recipe: the same bits in every checkpoint, every row and the pairs; another seed: other ones.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

digest() { python3 -c 'import json; print(json.load(open("out"))["digest"])'; }

for way in "bf16 2" "f32 1"; do
    read -r dtype threads <<< "$way"
    run_tiny 0 "first-$dtype" --dtype "$dtype" --threads "$threads" --json
    first=$(digest)
    run_tiny 0 "second-$dtype" --dtype "$dtype" --threads "$threads" --json
    second=$(digest)
    [ "$first" = "$second" ] || fail "$dtype: digests $first and $second"
    # run.out is in recipe.yaml, and nothing else differs there
    diff <(grep -v '^  out:' "first-$dtype/recipe.yaml") <(grep -v '^  out:' "second-$dtype/recipe.yaml") \
        || fail "the recipes differ"
    same_runs "first-$dtype" "second-$dtype"
    [ "$(ls "first-$dtype/checkpoints" | tr '\n' ' ')" = "iteration-1 iteration-2 sft " ] \
        || fail "checkpoints: $(ls "first-$dtype/checkpoints")"
    [ "$(position_of "first-$dtype")" = "done 2 0 0 iteration-2" ] || fail "it is at $(position_of "first-$dtype")"
    [ "$(count "first-$dtype" 'SELECT count(*) FROM trees')" = 16 ] || fail "not every problem has its tree"
    [ "$(count "first-$dtype" 'SELECT count(*) FROM evals')" = 3 ] || fail "not every evaluation is there"
    # preferences start with a fresh optimizer: it has seen the updates of learning, not those of SFT
    python3 - "first-$dtype" << 'PYTHON' || fail "the optimizer's steps"
import json, sqlite3, struct, sys
with open(f'{sys.argv[1]}/checkpoints/iteration-2/optimizer.safetensors', 'rb') as f:
    size = struct.unpack('<Q', f.read(8))[0]
    f.seek(8 + size + json.loads(f.read(size))['steps']['data_offsets'][0])
    steps = struct.unpack('<f', f.read(4))[0]
db = sqlite3.connect(f'{sys.argv[1]}/run.db')
assert steps == db.execute("SELECT count(*) FROM updates WHERE phase = 'learn'").fetchone()[0] > 0, steps
PYTHON
done

# The comparison sees what differs.
run_tiny 0 other --dtype f32 --threads 1 --seed 8 --json
[ "$(digest)" != "$first" ] || fail "another seed gives the same digest"
if (same_runs first-f32 other) > /dev/null 2>&1; then fail "another seed gives the same bits"; fi
