#!/bin/bash
# Log-probs by command line: the independent numbers of golden/, on both compute implementations and in bf16; texts and
# ids alike; the order of the lines; and greedy continuations.
# timeout: 600
. "$(dirname "$0")/../lib.sh"
need_program

cat > check.py << 'PYTHON'
"""check.py GOLDEN OUT LIMIT [mean]: every log-prob within LIMIT, or their mean absolute difference."""
import json, sys
golden = json.load(open(sys.argv[1]))['score']
rows = [json.loads(line) for line in open(sys.argv[2])]
limit, mean = float(sys.argv[3]), len(sys.argv) > 4
assert len(rows) == 2 * len(golden), f'{len(rows)} lines out of {2 * len(golden)}'
differences = []
for i, row in enumerate(rows):
    want = golden[i // 2]  # each text occurs twice: as text, as ids
    assert row['ids'] == want['ids'], f'line {i + 1}: ids differ'
    assert row['logprobs'][0] is None and len(row['logprobs']) == len(row['ids']), f'line {i + 1}: one log-prob an id'
    differences += [abs(a - b) for a, b in zip(row['logprobs'][1:], want['logprobs'])]
worst = sum(differences) / len(differences) if mean else max(differences)
print(f'{len(differences)} log-probs, {"mean" if mean else "largest"} difference {worst:.2e}')
sys.exit(0 if worst <= limit else f'difference {worst} is over {limit}')
PYTHON
cat > lines.py << 'PYTHON'
import json, sys
for s in json.load(open(sys.argv[1]))['score']:
    print(json.dumps({'text': s['text']}))
    print(json.dumps({'ids': s['ids']}))
PYTHON

check_model() { # GOLDEN MODEL COMPUTE...
    local golden=$TEST_DATA/golden/$1 model=$2 compute
    shift 2
    python3 lines.py "$golden" > lines.jsonl
    for compute in "$@"; do
        expect_exit 0 "$ESPALIER" score --model "$model" --dtype f32 --compute "$compute" lines.jsonl
        python3 check.py "$golden" out 1e-3 || fail "$compute f32 against $golden"
    done
    expect_exit 0 "$ESPALIER" score --json --model "$model" - < lines.jsonl # bf16 is the default
    python3 check.py "$golden" out 0.03 mean || fail "bf16 against $golden"
}

check_model tinystories-656k.json "$TINY" cpu ref

# A batch of one token is a line a time: same numbers, same order.
expect_exit 0 "$ESPALIER" score --model "$TINY" --dtype f32 lines.jsonl
cp out together
expect_exit 0 "$ESPALIER" score --model "$TINY" --dtype f32 --batch-tokens 1 lines.jsonl
python3 - << 'PYTHON' || fail "batched and single lines differ"
import json
for a, b in zip(open('together'), open('out'), strict=True):
    a, b = json.loads(a), json.loads(b)
    assert a['ids'] == b['ids']
    assert all(abs(x - y) < 1e-4 for x, y in zip(a['logprobs'][1:], b['logprobs'][1:]))
PYTHON

# An empty text is an empty line of numbers, in its place.
printf '{"text":""}\n\n{"ids":[80]}\n' | "$ESPALIER" score --model "$TINY" > out
printf '{"ids":[],"logprobs":[]}\n{"ids":[80],"logprobs":[null]}\n' > wanted
expect_same out wanted

cat > greedy.py << 'PYTHON'
import json, subprocess, sys
golden, program, model = json.load(open(sys.argv[1])), sys.argv[2], sys.argv[3]
for text, want in zip(golden['score'], golden['greedy']):
    out = subprocess.run([program, 'generate', '--model', model, '--dtype', 'f32', '--greedy', '--no-bos', '--json',
                          '--max-tokens', str(len(want['continuation'])), '--prompt', text['text']],
                         check=True, stdout=subprocess.PIPE)
    got = json.loads(out.stdout)['ids']
    for i, (a, b, margin) in enumerate(zip(got, want['continuation'], want['margin'])):
        if a != b:
            assert margin <= 0.05, f'token {i} is {a}, not {b}, at a margin of {margin}'
            break  # what follows goes on from another text
PYTHON
python3 greedy.py "$TEST_DATA/golden/tinystories-656k.json" "$ESPALIER" "$TINY" || fail "greedy continuations"

# Sampling is a function of the seed, and -n samples differ from each other.
sample() { "$ESPALIER" generate --model "$TINY" --prompt "Once upon a time" --max-tokens 12 -n 3 --json "$@"; }
sample --seed 7 > a
sample --seed 7 > b
expect_same a b
sample --seed 8 > b
if cmp -s a b; then fail "another seed gives the same samples"; fi
[ "$(sort -u a | wc -l)" = 3 ] || fail "the samples are the same"

if [ -r "$SMOLLM2" ] && [ "$ESPALIER_SANITIZE" = OFF ]; then
    check_model smollm2-135m.json "$SMOLLM2" cpu
    python3 greedy.py "$TEST_DATA/golden/smollm2-135m.json" "$ESPALIER" "$SMOLLM2" || fail "greedy continuations of SmolLM2"
elif [ "$ESPALIER_SANITIZE" = OFF ]; then
    need_smollm2
fi
