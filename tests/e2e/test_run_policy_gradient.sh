#!/bin/bash
# timeout: 600
# Losses that learn from the trees themselves: whole chains, steps, or the steps after a state.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

small=(--set sft.epochs=3 --iterations 1 --set eval.limit=4 --set search.max_steps=4)
tree=("${small[@]}" --breadth-root 4 --breadth 3 --simulations 6 --root-probe 2)
gradient='advantage clipped kl_sampled'
learns_in_a_run tree_pg "$gradient" "${tree[@]}" --set learn.min_advantage=0.01
learns_in_a_run listwise 'accuracy kl logp_chosen logp_rejected margin' "${tree[@]}" --beta 0.2

groups=("${small[@]}" --root-probe 8 --simulations 0 --set learn.batch=16)
learns_in_a_run grpo "$gradient" "${groups[@]}"
learns_in_a_run rloo "$gradient" "${groups[@]}" --set learn.clip_high=0.1

# Log-probs are those that sampling stored, so the first update finds the policy where it was.
python3 - << 'PYTHON' || fail "the rows of policy gradients"
import sqlite3
def one(run, query):
    return sqlite3.connect(f'{run}/run.db').execute(query).fetchone()[0]
for run in 'grpo', 'rloo', 'tree_pg':
    first = "FROM update_metrics WHERE phase = 'learn' AND step = 1 AND name ="
    assert one(run, f"SELECT value {first} 'clipped'") == 0, run
    assert one(run, f"SELECT value {first} 'kl_sampled'") < 1e-3, run
# Groups: every chain of the trees whose chains do not all have the same reward, as often as it was sampled.
for run in 'grpo', 'rloo':
    assert one(run, 'SELECT sum(simulations) FROM trees') == 0
    rows = one(run, "SELECT sum(rows) FROM updates WHERE phase = 'learn'")
    mixed = one(run, """SELECT count(*) FROM (SELECT tree FROM nodes WHERE flags & 3 AND flags >> 8
                        GROUP BY tree HAVING min(outcome) < max(outcome))""")
    assert rows == 8 * mixed > 0, (run, rows, mixed)
PYTHON

# Pairs in a file are not what it learns from.
echo '{}' > pairs.jsonl
expect_exit 2 "$ESPALIER" train --model grpo/checkpoints/sft --pairs pairs.jsonl --loss grpo --set search.root_probe=2
expect_in err "the loss grpo learns from a run's trees, not from pairs"

# With a likelihood beside it, over two epochs: stopped anywhere and continued, the same bits.
both=(--loss grpo "${groups[@]}" --set learn.nll=0.5 --set learn.nll_on=right_chains --set learn.epochs=2)
make_strike
strike_tiny 0 0 2 whole "${both[@]}"
expect_in err 'sampled chains, [0-9]+ correct chains, [0-9]+ updates'
calls=$(cat calls)
for part in 2 3; do
    strike_tiny 3 $((calls * part / 4)) 2 "stopped-$part" "${both[@]}"
    run_tiny 0 "stopped-$part" "${both[@]}" --resume
    same_runs whole "stopped-$part"
done
