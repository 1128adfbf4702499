#!/bin/bash
# SFT learns worked solutions of a file of its own (data.sft); the problems to search have answers only.
. "$(dirname "$0")/../lib.sh"
need_program

zcat "$ESPALIER_SOURCE_DIR/data/gsm8k/train.jsonl.gz" | awk 'length($0) < 450' | sed -n 1,30p > rows.jsonl
sed -n 1,10p rows.jsonl > worked.jsonl
python3 - << 'PYTHON'
import json
rows = [json.loads(line) for line in open('rows.jsonl')]
with open('answers.jsonl', 'w') as out:
    for row in rows[10:26]:
        print(json.dumps({'question': row['question'], 'answer': row['answer'].split('####')[1].strip()}), file=out)
with open('test.jsonl', 'w') as out:
    for row in rows[26:]:
        print(json.dumps(row), file=out)
PYTHON
cat > recipe.yaml << YAML
run: {iterations: 1, problems_per_iteration: 4, wave: 2, threads: 1, eval_every: 0}
model: {path: $TINY, chat_template: plain, dtype: f32}
data: {task: gsm8k, sft: worked.jsonl, train: answers.jsonl, test: test.jsonl}
sft: {epochs: 1, batch: 4, lr: 1e-4, max_length: 448}
search: {root_probe: 0, simulations: 2, breadth_root: 2, breadth: 2, max_steps: 2, max_step_tokens: 8, max_chain_tokens: 16}
learn: {batch: 4, epochs: 1}
eval: {max_tokens: 16}
YAML

expect_exit 0 "$ESPALIER" run recipe.yaml --out a --json
expect_in err 'sft: 10 rationales, 0 judge rows'
python3 - << 'PYTHON' || fail "the updates of SFT"
import json
d = json.load(open('out'))
assert [u['phase'] for u in d['updates']].count('sft') == 3, d['updates'] # 10 rows by 4
PYTHON
expect_exit 0 "$ESPALIER" run recipe.yaml --out b --set sft.limit=4
expect_in err 'sft: 4 rationales'
expect_exit 0 "$ESPALIER" prompt recipe.yaml 2 --from sft
expect_in out "$(python3 -c 'import json; print(json.loads(open("worked.jsonl").readlines()[1])["question"][:8])')"
expect_exit 1 "$ESPALIER" prompt recipe.yaml 11 --from sft
expect_in err 'there is no problem 11: sft has 10'
expect_exit 0 "$ESPALIER" plan recipe.yaml --json
python3 -c 'import json; d = json.load(open("out"))["data"]; assert (d["sft_problems"], d["train_problems"]) == (10, 16), d' ||
    fail "the plan counts the rows of SFT"

# Without the file, the problems to search have no worked solutions to learn; another file is another run.
expect_exit 1 "$ESPALIER" run recipe.yaml --out c --set data.sft=
expect_exit 1 "$ESPALIER" run recipe.yaml --out a --resume --set data.sft=rows.jsonl
sed -i 2d worked.jsonl
expect_exit 1 "$ESPALIER" run recipe.yaml --out a --resume
expect_in err 'the problems of SFT \(worked.jsonl\) have changed since the run began'
