#!/bin/bash
# timeout: 600
# A grid of runs: all of them, killed and continued to the same bits, with a run that fails, with a choice, and refused where
# it has changed.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

cp "$RECIPES/tiny.yaml" tiny.yaml
cat > grid.yaml << YAML
recipe: tiny.yaml
seeds: [3, 4]
set:
  model.path: $TINY
  data: {train: $WORK/train.jsonl, test: $WORK/test.jsonl}
  sft.limit: 16
  run.iterations: 1
methods:
  low:
  high: {learn.lr: 1e-3}
baseline: low
YAML
cells="low/seed-3 high/seed-3 low/seed-4 high/seed-4"

# The list runs nothing and leaves nothing.
expect_exit 0 "$ESPALIER" sweep grid.yaml --out whole --dry-run
expect_in out '^new +[0-9]+:[0-9]+ +high, seed 4 +\(whole/high/seed-4\)$'
expect_in out '^4 runs, 0 finished; the others need about [0-9]'
expect_absent whole

expect_exit 0 "$ESPALIER" sweep grid.yaml --out whole
expect_in err '^4 runs in whole, 0 of them finished$'
expect_in err '^run 2 of 4: high, seed 3 \(whole/high/seed-3\)$'
expect_in err '^high, seed 3: [0-9.]+% to [0-9.]+% in '
expect_in out '^\| high +\| 2 +\|'
expect_in out 'learn\.lr: 0\.0001 -> 0\.001'
for cell in $cells; do
    [ -s "whole/$cell/report.html" ] || fail "whole/$cell has no report"
    [ "$(count "whole/$cell" 'SELECT phase FROM position')" = 4 ] || fail "whole/$cell is not finished"
done
expect_exit 0 "$ESPALIER" curves whole
expect_in out '^high \(mean of 2 runs\): accuracy on [0-9]+ problems'
# The runs are those of `espalier run`, and differ in what the grid says.
run_tiny 0 alone --set run.seed=4 --set sft.limit=16 --set run.iterations=1 --set learn.lr=1e-3
same_runs alone whole/high/seed-4

# A finished sweep prints its table again and runs nothing.
expect_exit 0 "$ESPALIER" sweep grid.yaml --out whole
expect_in err '^4 runs in whole, 4 of them finished$'
expect_not_in err '^run '
for cell in $cells; do
    [ "$(count "whole/$cell" "SELECT count(*) FROM events WHERE kind = 'resumed'")" = 0 ] || fail "$cell was run again"
done

# same_sweeps SWEEP SWEEP: the same bits in each run.
same_sweeps() {
    for cell in $cells; do same_runs "$1/$cell" "$2/$cell"; done
}

# Every run is killed on its way (a child counts calls from where its parent was): each is reported, the next one goes on.
{
    expect_exit 1 "${STRIKE[@]}" STRIKE_AT=200 STRIKE_SIGNAL=9 "$ESPALIER" sweep grid.yaml --out struck
} 2> >(grep -v ' Killed  ' >&2)
expect_in err '^high, seed 4: failed after .*: its process was killed'
expect_in err '^failed: low, seed 3: its process was killed'
expect_in err '^espalier: error: 4 of 4 runs failed, 4 are not finished$'
for cell in $cells; do position_of "struck/$cell" > /dev/null; done
expect_exit 0 "$ESPALIER" sweep grid.yaml --out struck --dry-run
expect_in out '^failed .* low, seed 3 '
expect_exit 0 "$ESPALIER" sweep grid.yaml --out struck
same_sweeps whole struck
[ "$(count struck/low/seed-3 "SELECT count(*) FROM events WHERE kind = 'resumed'")" = 1 ] || fail "low/seed-3 was not resumed"

# begin_sweep OUT: starts it, and waits until its second run has searched. Its process is $sweep.
begin_sweep() {
    "$ESPALIER" sweep grid.yaml --out "$1" > out 2> err &
    sweep=$!
    until [ "$(count "$1/high/seed-3" 'SELECT count(*) FROM waves' 2> /dev/null)" -gt 0 ] 2> /dev/null; do
        kill -0 $sweep || fail "the sweep has ended: $(tail -n 3 err)"
        sleep 0.05
    done
}
# Kill of the sweep itself: its run ends with it.
begin_sweep killed
kill -9 $sweep
wait $sweep 2> /dev/null || true
exec 9< killed/sweep.lock
flock -w 20 9 || fail "the run goes on after its sweep was killed"
exec 9<&-
expect_exit 0 "$ESPALIER" sweep grid.yaml --out killed
expect_in err '^4 runs in killed, 1 of them finished$'
same_sweeps whole killed

# A request to stop reaches the run; while it works, a second sweep is kept out.
begin_sweep stopped
expect_exit 1 "$ESPALIER" sweep grid.yaml --out stopped
expect_in err 'another process works on this sweep'
kill -TERM $sweep
got=0
wait $sweep || got=$?
[ $got = 3 ] || fail "exit $got instead of 3"
[ "$(count stopped/high/seed-3 'SELECT phase FROM position')" -lt 4 ] || fail "the run went on to its end"
expect_absent stopped/low/seed-4
expect_exit 0 "$ESPALIER" sweep grid.yaml --out stopped
same_sweeps whole stopped

# A grid that has changed is refused before anything is run, and names the run and the key.
sed 's/1e-3/2e-3/; s/\[3, 4\]/[3, 4, 5]/' grid.yaml > changed.yaml
expect_exit 1 "$ESPALIER" sweep changed.yaml --out whole
expect_in err 'whole/high/seed-3: the recipe has changed: learn.lr: 0.001 there, 0.002 here'
expect_absent whole/low/seed-5
expect_exit 1 "$ESPALIER" sweep grid.yaml --out whole --set learn.epochs=2
expect_in err 'the recipe has changed: learn.epochs: 1 there, 2 here'
# Another seed and another method are added; a run whose folder was deleted is new.
sed 's/\[3, 4\]/[3, 4, 5]/; s/^baseline.*/  more: {learn.epochs: 2}\nbaseline: high/' grid.yaml > more.yaml
rm -r whole/low/seed-3
expect_exit 0 "$ESPALIER" sweep more.yaml --out whole --only low --only more
expect_in err '^6 runs in whole, 1 of them finished$'
expect_absent whole/high/seed-5
expect_in out '^\| more +\| 3 +\|'
expect_in out '^\| less high'
same_runs struck/low/seed-3 whole/low/seed-3
expect_exit 2 "$ESPALIER" sweep more.yaml --out whole --only lwo
expect_in err 'has no method "lwo"'
expect_exit 2 "$ESPALIER" sweep more.yaml --out whole --seed 7
expect_in err 'a grid sets run\.seed for each run'

# A run that fails is reported, and the others go on; corrected, it is run.
sed "s/^  high.*/  broken: {model.path: nowhere}/" grid.yaml > broken.yaml
expect_exit 1 "$ESPALIER" sweep broken.yaml --out broken
expect_in err '^broken, seed 3: failed after .*nowhere'
expect_in err '^low, seed 4: '
expect_in err '^espalier: error: 2 of 4 runs failed'
expect_in out '^\| low +\| 2 +\|'
expect_exit 1 "$ESPALIER" sweep broken.yaml --out early --stop-at-failure --only broken
expect_not_in err '^broken, seed 4'
sed -i "s/^  broken.*/  broken: {learn.lr: 1e-3}/" broken.yaml
expect_exit 0 "$ESPALIER" sweep broken.yaml --out broken
same_runs broken/broken/seed-4 struck/high/seed-4

# Each method chooses on dev with the first seed, and all its seeds have that choice.
sed 's/^baseline.*/choose: {learn.lr: [1e-4, 3e-3]}/; s/^  high.*//' grid.yaml > choose.yaml
expect_exit 0 "$ESPALIER" sweep choose.yaml --out chosen --set "data.dev=$WORK/train.jsonl" --json
python3 - << 'PYTHON' || fail "the choice is not the best"
import json, sqlite3
record = json.load(open('chosen/sweep.json'))
tried = [run for run in record['runs'] if run['chooses']]
assert [run['choice'] for run in tried] == ['learn.lr=1e-4', 'learn.lr=3e-3'], tried
best = max(tried, key=lambda run: run['last'])['choice']
final = [run for run in record['runs'] if not run['chooses']]
assert [(run['seed'], run['choice']) for run in final] == [(3, best), (4, best)], final
for run in record['runs']:
    sets = sqlite3.connect(f"chosen/{run['folder']}/run.db").execute('select distinct problem_set from evals').fetchall()
    assert sets == [('dev' if run['chooses'] else 'test',)], sets
    rate = {'learn.lr=1e-4': 'lr: 0.0001', 'learn.lr=3e-3': 'lr: 0.003'}[run['choice']]
    assert rate in open(f"chosen/{run['folder']}/recipe.yaml").read()
table = json.load(open('out'))
assert [m['method'] for m in table['methods']] == ['low'] and table['methods'][0]['accuracy']['n'] == 2
PYTHON
