#!/bin/bash
# A sweep over what is damaged: what is finished is kept, and each thing that is wrong is said by name.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

cp "$RECIPES/tiny.yaml" tiny.yaml
cat > grid.yaml << YAML
recipe: tiny.yaml
seeds: [3, 4]
set:
  model.path: $TINY
  data: {train: $WORK/train.jsonl, test: $WORK/test.jsonl}
  sft.limit: 16
  run.iterations: 1
methods: {one: {}, two: {learn.lr: 1e-3}}
YAML
expect_exit 0 "$ESPALIER" sweep grid.yaml --out runs
cp out table
cp -r runs whole

# The record is made again from the runs.
for record in '' '{' '[]' '{"runs": [{"folder": 5, "error": 7, "seconds": "x"}, 3]}'; do
    printf '%s' "$record" > runs/sweep.json
    expect_exit 1 "$ESPALIER" compare runs
    expect_exit 0 "$ESPALIER" sweep grid.yaml --out runs
    expect_in err '^4 runs in runs, 4 of them finished$'
    expect_same out table
done
rm runs/sweep.json
expect_exit 1 "$ESPALIER" compare runs
expect_in err 'runs: there is neither a run'

# A run that is damaged fails, and says what is wrong; the table is that of the others.
truncate -s 3000 runs/two/seed-4/run.db
rm -f runs/two/seed-4/run.db-wal
rm runs/one/seed-4/recipe.yaml
expect_exit 1 "$ESPALIER" sweep grid.yaml --out runs
expect_in err '^4 runs in runs, 2 of them finished$'
expect_in err '^failed: one, seed 4: .*recipe\.yaml: is gone'
expect_in err '^failed: two, seed 4: .*run\.db'
expect_in out '^\| two +\| 1 +\|'
for run in one/seed-4 two/seed-4; do
    rm -r runs/$run
done
expect_exit 0 "$ESPALIER" sweep grid.yaml --out runs
expect_same out table
for run in one/seed-3 one/seed-4 two/seed-3 two/seed-4; do same_runs runs/$run whole/$run; done

# The folder cannot be made; the record cannot be written: nothing is run.
echo text > file
expect_exit 1 "$ESPALIER" sweep grid.yaml --out file
expect_in err '^espalier: error: file'
mkdir -p full/sweep.json/in-the-way
expect_exit 1 "$ESPALIER" sweep grid.yaml --out full
expect_in err '^espalier: error: full/sweep\.json'
expect_absent full/one
