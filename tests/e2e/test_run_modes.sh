#!/bin/bash
# Baselines and presets over the same components: each ends well, and its run holds what the mode says.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"

# at_least RUN NUMBER SQL
at_least() {
    local n
    n=$(count "$1" "$3")
    [ "$n" -ge "$2" ] || LIB_FRAME=1 fail "$1: $n instead of $2 or more: $3"
}
none() {
    local n
    n=$(count "$1" "$2")
    [ "$n" = 0 ] || LIB_FRAME=1 fail "$1: $n instead of none: $2"
}

# Own correct chains: trained on as rows, not as pairs.
run_tiny 0 rft --iterations 1 --loss rft --set sft.epochs=3
right=$(count rft 'SELECT sum(right) FROM trees')
[ "$right" -gt 0 ] || fail "rft: no correct chain was found; the test shows nothing"
[ "$(count rft "SELECT sum(rows) FROM updates WHERE phase = 'learn'")" = "$right" ] || fail "rft: not $right rows"
none rft "SELECT count(margin) FROM updates"
expect_in err "iteration 1: $right correct chains, [0-9]+ updates"

# The best chain of a tree against its worst: at most one pair per tree, from the root, both of them whole chains.
run_tiny 0 instance --iterations 1 --pairs-level instance --simulations 8 --set sft.epochs=3
at_least instance 1 'SELECT count(*) FROM pairs'
none instance 'SELECT count(*) FROM (SELECT tree FROM pairs GROUP BY tree HAVING count(*) > 1)'
none instance 'SELECT count(*) FROM pairs WHERE state <> 0 OR q_chosen <= q_rejected'
none instance "SELECT count(*) FROM pairs JOIN nodes ON nodes.tree = pairs.tree
               AND node IN (chosen, rejected) WHERE flags & 1 = 0"
none instance 'SELECT count(*) FROM pairs WHERE length(prefix_ids) + length(chosen_ids) + length(rejected_ids) > 0'

# Offline: all trees come from the policy after SFT, as those of a run whose policy does not change; on policy they do not.
# The reference `sft` is that policy too: its log-probs are those known from sampling where it sampled itself.
learned=(--dtype f32 --set learn.lr=1e-2 --reference sft)
run_tiny 0 still --dtype f32 --set learn.lr=1e-30 --set learn.max_length=110
"$ESPALIER" pairs still > pairs.jsonl
lengths() { python3 -c "
import json
rows = [json.loads(line) for line in open('pairs.jsonl')]
print(sum((len(r['prompt_ids']) + max(len(r['chosen_ids']), len(r['rejected_ids'])) > 110) == $1 for r in rows))"; }
left=$(sed -n 's/^iteration [12]: \([0-9]*\) pairs longer than 110 tokens left out$/\1/p' err | awk '{ n += $1 } END { print n + 0 }')
[ "$left" -ge 1 ] || fail "no pair was too long; the test shows nothing"
[ "$left" = "$(lengths True)" ] || fail "$left pairs were said to be too long"
[ "$(count still "SELECT sum(rows) FROM updates WHERE phase = 'learn'")" = \
    "$(lengths False)" ] || fail "not all other pairs were learned from"
run_tiny 0 offline "${learned[@]}" --set learn.offline=true
run_tiny 0 online "${learned[@]}"
trees() { dump "$1" | grep -E '^INSERT INTO "(trees|nodes|commitments)"'; }
cmp <(trees still) <(trees offline) || fail "offline: the trees are not those of the policy after SFT"
if cmp -s <(trees still) <(trees online); then fail "online: learning changed no tree; the test shows nothing"; fi
cmp -s offline/checkpoints/iteration-2/model.safetensors online/checkpoints/iteration-2/model.safetensors \
    && fail "offline and online end in the same policy"
moved='abs(ref_logp_chosen - policy_logp_chosen) > 1e-3 OR abs(ref_logp_rejected - policy_logp_rejected) > 1e-3'
none still 'SELECT count(*) FROM pairs WHERE ref_logp_chosen <> policy_logp_chosen OR ref_logp_chosen IS NULL'
none offline "SELECT count(*) FROM pairs WHERE $moved OR ref_logp_chosen IS NULL OR ref_logp_rejected IS NULL"
none online "SELECT count(*) FROM pairs WHERE iteration = 1 AND ($moved)"
at_least online 1 "SELECT count(*) FROM pairs WHERE iteration = 2 AND ($moved)"
none online 'SELECT count(*) FROM pairs WHERE ref_logp_chosen IS NULL OR ref_logp_rejected IS NULL'

# Without self-evaluation nothing is judged, and outcomes alone make pairs; with it, they do not.
run_tiny 0 unjudged --iterations 1 --set self_eval.enabled=false --set sft.judge_examples=0 --set sft.epochs=3
none unjudged 'SELECT count(*) FROM nodes WHERE confidence <> 0 OR flags & 16'
none unjudged 'SELECT sum(tokens_judged) FROM trees'
at_least online 50 'SELECT count(*) FROM nodes WHERE confidence > 0 AND confidence < 1 AND flags & 16'
at_least unjudged 1 'SELECT count(*) FROM pairs'

# Batches of problems: each update has two trees with all their pairs.
run_tiny 0 problems --iterations 1 --set self_eval.enabled=false --set sft.judge_examples=0 --set sft.epochs=3 \
    --set learn.batch=2 --set learn.batch_of=problems
[ "$(count problems "SELECT count(*) * 2 - (SELECT count(DISTINCT tree) FROM pairs) FROM updates WHERE phase = 'learn'")" -le 1 ] &&
    [ "$(count problems "SELECT sum(rows) FROM updates WHERE phase = 'learn'")" = "$(count problems 'SELECT count(*) FROM pairs')" ] ||
    fail "batches of problems"

# An iteration longer than the train set reaches a problem again, and grows another tree.
run_tiny 0 again --iterations 1 --train-limit 4 --set sft.limit=0 --set sft.epochs=3
[ "$(count again 'SELECT count(DISTINCT problem) FROM trees')" = 4 ] || fail "again: not 4 problems"
at_least again 1 "SELECT count(*) FROM trees AS a JOIN trees AS b ON a.problem = b.problem AND a.ordinal < b.ordinal
    WHERE (SELECT group_concat(hex(ids)) FROM nodes WHERE tree = a.tree)
       <> (SELECT group_concat(hex(ids)) FROM nodes WHERE tree = b.tree)"

# Presets, cut to size. Each has what only it has: simulations, references, the way it commits and pairs.
export RECIPE=$RECIPES/tiny-preset.yaml
run_tiny 0 paper --preset paper --learn-preset paper
expect_in paper/recipe.yaml '^  reference: sft'
expect_in paper/recipe.yaml '^  breadth_root: 5'
at_least paper 20 'SELECT min(simulations) FROM trees'
at_least paper 1 'SELECT count(*) FROM pairs'
none paper 'SELECT count(*) FROM pairs WHERE ref_logp_chosen IS NULL'
at_least paper 1 "SELECT count(*) FROM updates WHERE phase = 'learn'"

run_tiny 0 official --preset official-code --learn-preset official-code
at_least official 256 'SELECT min(simulations) FROM trees'
none official 'SELECT count(*) FROM nodes WHERE depth > 4'
none official 'SELECT count(*) FROM pairs WHERE alpha > 0.5 OR ref_logp_chosen IS NULL'
# only problems whose last step's best child is right have pairs
if [ "$(count official 'SELECT count(*) FROM pairs')" = 0 ]; then
    expect_in err 'iteration 1: nothing to learn from'
    none official "SELECT count(*) FROM updates WHERE phase = 'learn'"
else
    at_least official 1 "SELECT count(*) FROM updates WHERE phase = 'learn'"
fi
[ -s official/checkpoints/iteration-1/model.safetensors ] || fail "official: no policy at the end"

# A window of three waves gives every row and every bit that wave by wave gives, but for the count of tokens computed, which
# leaves out what is computed again where waves overlap.
run_tiny 0 one --iterations 1 --wave 2 --window 1
run_tiny 0 three --iterations 1 --wave 2 --window 3
for run in one three; do
    at_least "$run" 1 "SELECT count(*) FROM trees WHERE tokens_computed > 0"
    python3 -c 'import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute("UPDATE trees SET tokens_computed = 0"); d.commit()' "$run/run.db"
done
same_runs one three
