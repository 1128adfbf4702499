#!/bin/bash
# timeout: 300
# espalier check: a whole run, and each kind of damage as a line of its own.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

run_tiny 0 whole
expect_exit 0 "$ESPALIER" check whole
expect_in out '^[0-9]+ files \([0-9.]+ MB\), 16 trees, 16 of them searched again: all as it was written$'
expect_exit 0 "$ESPALIER" check whole --json
python3 - << 'PYTHON' || fail "the JSON of a whole run"
import hashlib, json, os, sqlite3
found, db = json.load(open('out')), sqlite3.connect('whole/run.db')
files = db.execute('SELECT path, bytes, sha256 FROM files').fetchall()
assert found['whole'] and found['findings'] == [] and found['trees'] == found['replayed'] == 16
assert found['files'] == len(files) >= 10 and found['bytes'] == sum(row[1] for row in files)
# Every file of the checkpoints and the recipe is known, with the sum that sha256sum gives.
there = {f'{folder}/{name}'[6:] for folder, _, names in os.walk('whole/checkpoints') for name in names}
assert {row[0] for row in files} == there | {'recipe.yaml'}, there ^ {row[0] for row in files}
for path, size, sum in files:
    data = open(f'whole/{path}', 'rb').read()
    assert len(data) == size and hashlib.sha256(data).hexdigest() == sum, path
PYTHON

# fault PATTERN: one fault in `bad`, as a line and as the exit code; the folder is copied again for the next.
fault() {
    expect_exit 1 "$ESPALIER" check bad
    expect_in out "^fault: .*$1"
    expect_in err '^espalier: error: bad: [0-9]+ faults?$'
    rm -rf bad
    cp -r whole bad
}
sql() { python3 -c 'import sqlite3, sys; db = sqlite3.connect("bad/run.db"); db.executescript(sys.argv[1]); db.commit()' "$1"; }
cp -r whole bad
for file in checkpoints/sft/model.safetensors checkpoints/iteration-1/config.json checkpoints/iteration-2/optimizer.safetensors recipe.yaml; do
    printf '\0' >> "bad/$file"
    fault "bad/$file: is damaged"
done
rm bad/checkpoints/iteration-1/tokenizer.json
fault 'bad/checkpoints/iteration-1/tokenizer\.json: is missing'
sql 'UPDATE nodes SET q = q + 0.25 WHERE tree = 3 AND node = 1'
fault 'tree 3 .*: searched again from its rows, it is another tree'
sql 'UPDATE judgements SET positives = positives + 1'
fault 'rows are not those that were written, in: judgements'
sql "UPDATE position SET checkpoint = 'iteration-1', iteration = 1"
fault 'is later than what run\.db knows'
python3 - << 'PYTHON'
import sqlite3
db = sqlite3.connect('bad/run.db')
page, size = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'pairs_by_iteration'").fetchone()[0], db.execute('PRAGMA page_size').fetchone()[0]
db.close()
with open('bad/run.db', 'r+b') as f: f.seek((page - 1) * size), f.write(bytes(size))
PYTHON
fault 'run\.db'

# What an earlier version left is whole as far as anybody knows, and that is said.
forget_sums bad
expect_exit 0 "$ESPALIER" check bad
expect_in out '^note: run\.db: an earlier version wrote it without sums'
expect_in out '^note: checkpoints/iteration-2: was written without sums'
expect_exit 1 "$ESPALIER" check nowhere
expect_in err 'nowhere: no run is here'
