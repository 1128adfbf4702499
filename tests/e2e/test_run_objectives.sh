#!/bin/bash
# timeout: 600
# Losses by name: each learns from a run's pairs, changes the weights, and has its metrics in the store, in the summary
# and in the report; and `train` learns by it from a file.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# A policy after SFT, and the pairs that it finds, as a file.
found=(--set sft.epochs=3 --iterations 1 --set eval.limit=4 --pairs-at all --smoothing evidence --breadth-root 4
    --breadth 3 --simulations 6 --set search.max_steps=4)
run_tiny 0 first "${found[@]}"
expect_exit 0 "$ESPALIER" pairs first --format native
mv out pairs.jsonl
pairs=$(wc -l < pairs.jsonl)
[ "$pairs" -gt 4 ] || fail "only $pairs pairs, the test shows nothing"

# learns_in_a_run LOSS METRICS [ARGS...]. METRICS: all its names, by the alphabet.
learns_in_a_run() {
    local loss=$1 metrics=$2
    shift 2
    run_tiny 0 "$loss" --loss "$loss" "$@" "${found[@]}" --set learn.lr=1e-3 --json
    mv out summary.json
    ! cmp -s "$loss/checkpoints/sft/model.safetensors" "$loss/checkpoints/iteration-1/model.safetensors" ||
        LIB_FRAME=1 fail "$loss changes no weight"
    expect_exit 0 "$ESPALIER" report "$loss" --json
    python3 - "$loss" "$metrics" << 'PYTHON' || LIB_FRAME=1 fail "what $loss reports"
import json, math, sqlite3, sys
loss, metrics = sys.argv[1], sys.argv[2].split()
db = sqlite3.connect(f'{loss}/run.db')
rows = db.execute("SELECT step, loss FROM updates WHERE phase = 'learn' ORDER BY step").fetchall()
assert rows and all(math.isfinite(value) for _, value in rows), rows
told = {u['update']: u for u in json.load(open('summary.json'))['updates'] if u['phase'] == 'learn'}
page = json.load(open('out'))['data']
shown = {u['update']: u['metrics'] for u in page['updates'] if u['phase'] == 'learn'}
for step, _ in rows:
    kept = dict(db.execute("SELECT name, value FROM update_metrics WHERE phase = 'learn' AND step = ?", (step,)))
    assert sorted(kept) == metrics, (step, kept)
    assert all(math.isfinite(value) for value in kept.values()), kept
    for name, value in kept.items():
        assert told[step][name] == value, (step, name)
        assert math.isclose(shown[step][name], value, rel_tol=1e-9), (step, name)
assert sorted(page['iterations'][-1]['metrics']) == metrics
PYTHON
}

# learns LOSS METRICS [ARGS...]: by a run and by train.
learns() {
    local loss=$1 metrics=$2
    LIB_FRAME=1 learns_in_a_run "$@"
    shift 2
    # From the file, again and again over the same rows: the loss falls.
    expect_exit 0 "$ESPALIER" train --model first/checkpoints/sft --pairs pairs.jsonl --loss "$loss" "$@" --dtype f32 \
        --batch "$pairs" --steps 4 --lr 1e-4
    python3 - "$metrics" << 'PYTHON' || LIB_FRAME=1 fail "train by $loss"
import json, sys
steps = [json.loads(line) for line in open('out')]
assert len(steps) == 4 and steps[3]['loss'] < steps[0]['loss'], [s['loss'] for s in steps]
assert all(name in step for step in steps for name in sys.argv[1].split())
PYTHON
}

reference='accuracy kl logp_chosen logp_rejected margin'
learns dpo "$reference" --beta 0.2
learns ipo "$reference" --beta 0.2
learns dpop "$reference" --beta 0.2 --set learn.penalty=5

# Without a reference: none is scored, and there is no KL.
learns simpo 'accuracy logp_chosen logp_rejected margin' --set learn.gamma=0.5

learns orpo 'accuracy logp_chosen logp_rejected margin nll' --set learn.lambda=0.2

# Policy gradients and lists learn from the trees themselves: whole chains, steps, or the steps after a state. Log-probs
# are those that sampling stored, so the first update finds the policy where it was.
gradient='advantage clipped kl'
probe=(--root-probe 8 --simulations 0 --batch 16)
found+=(--root-probe 2)
learns_in_a_run tree_pg "$gradient" --set learn.min_advantage=0.01
learns_in_a_run listwise "$reference" --beta 0.2
found+=("${probe[@]}")
learns_in_a_run grpo "$gradient"
learns_in_a_run rloo "$gradient" --set learn.clip_high=0.1
python3 - << 'PYTHON' || fail "the rows of policy gradients"
import sqlite3
def one(run, query):
    return sqlite3.connect(f'{run}/run.db').execute(query).fetchone()[0]
for run in 'grpo', 'rloo', 'tree_pg':
    first = "FROM update_metrics WHERE phase = 'learn' AND step = 1 AND name ="
    assert one(run, f"SELECT value {first} 'clipped'") == 0, run
    assert one(run, f"SELECT value {first} 'kl'") < 1e-3, run
# Groups: every chain of the trees whose chains do not all have the same reward, as often as it was sampled.
for run in 'grpo', 'rloo':
    assert one(run, 'SELECT sum(simulations) FROM trees') == 0
    rows = one(run, "SELECT sum(rows) FROM updates WHERE phase = 'learn'")
    mixed = one(run, """SELECT count(*) FROM (SELECT tree FROM nodes WHERE flags & 3 AND flags >> 8
                        GROUP BY tree HAVING min(outcome) < max(outcome))""")
    assert rows == 8 * mixed > 0, (run, rows, mixed)
PYTHON
expect_exit 2 "$ESPALIER" train --model first/checkpoints/sft --pairs pairs.jsonl --loss grpo --set search.root_probe=2
expect_in err "the loss grpo learns from a run's trees, not from pairs"

# A loss on groups with a likelihood beside it, over two epochs: stopped anywhere and continued, the same bits.
both=(--loss grpo "${probe[@]}" --set sft.epochs=3 --set learn.nll=0.5 --set learn.nll_on=right_chains --set learn.epochs=2)
make_strike
strike_tiny 0 0 2 whole "${both[@]}"
expect_in err 'sampled chains, [0-9]+ correct chains, [0-9]+ updates'
calls=$(cat calls)
for part in 2 3; do
    strike_tiny 3 $((calls * part / 4)) 2 "stopped-$part" "${both[@]}"
    run_tiny 0 "stopped-$part" "${both[@]}" --resume
    same_runs whole "stopped-$part"
done

# Keys of another loss are errors.
run_tiny 1 refused --loss ipo --set learn.penalty=5
expect_in err 'learn.loss is ipo'
