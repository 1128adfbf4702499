#!/bin/bash
# bench on a small model: one JSON document with every figure of docs/speed.md, each beside the limit of its run; the
# parts that are asked for alone; and errors that come from a part's own process.
. "$(dirname "$0")/../lib.sh"
need_program

expect_exit 0 "$ESPALIER" bench --model "$TINY" --repeats 1 --problems 3 --unshared-seconds 0
python3 - << 'PYTHON' || fail "the document is not as described"
import json, math
d = json.load(open('out'))
groups = ['products', 'attention', 'vocabulary', 'other_operations', 'outside', 'idle']

# On a busy machine an operation of a small model counts the time that it was not let run, and so does idle.
def timed(part, extra=()):
    shares = [part['time'][name] for name in groups + list(extra)]
    assert all(0 <= s <= 1.05 for s in shares) and 0.8 < sum(shares) < 2.1, part['time']
    assert {'linear_forward', 'attention'} <= {o['name'] for o in part['time']['operations']}
    assert all(o['calls'] > 0 and o['seconds'] > 0 for o in part['time']['operations'])

def rated(part, key='tokens_per_second'):
    assert part[key] >= part[key + '_median'] > 0 and part['share_of_limit'] > 0

names = ['limit', 'load', 'prefill', 'decode', 'judge', 'search', 'unshared', 'sft', 'dpo', 'arith']
assert list(d['parts']) == names, list(d['parts'])
peaks = [p['peak_gigabytes'] for p in d['parts'].values()]
assert min(peaks) > 0.003 and d['peak_gigabytes'] == max(peaks)
assert 0 < d['load']['seconds'] <= d['load']['seconds_median']
assert d['gemm_limit']['gflops'] >= d['gemm_limit']['gflops_median'] > 0
assert [row['rows'] for row in d['gemm_limit']['by_rows']] == [1, 8, 32, 64, 512, 2048]
for row in d['gemm_limit']['by_rows']:
    assert row['tokens_per_second'] > row['tokens_per_second_with_head'] > 0
# Shares are of the best limit of the run, whichever part it was measured beside.
seen = [part[when] for part in d['parts'].values() for when in ('limit', 'limit_after') if when in part] + [d['gemm_limit']]
assert len(seen) == 15 and d['limit'] == {key: max(l[key] for l in seen) for key in d['limit']} and len(d['limit']) == 3
assert math.isclose(d['prefill']['limit_tokens_per_second'], d['limit']['tokens_per_second'], rel_tol=1e-4)
assert math.isclose(d['decode'][0]['limit_tokens_per_second'], d['limit']['tokens_per_second_with_head'], rel_tol=1e-4)
# Of a search's tokens, only those before a sampled one go through the head.
read = d['search']['share_read']
assert math.isclose(read, d['search']['tokens_sampled'] / d['search']['tokens_computed'], rel_tol=1e-4) and 0 < read < 1
assert math.isclose(1 / d['search']['limit_tokens_per_second'], (1 - read) / d['limit']['tokens_per_second'] +
                    read / d['limit']['tokens_per_second_with_head'], rel_tol=1e-4)
assert math.isclose(d['prefill']['share_of_limit'] * d['limit']['tokens_per_second'], d['prefill']['tokens_per_second'],
                    rel_tol=1e-4)
rated(d['prefill']), timed(d['prefill'])
assert [row['sequences'] for row in d['decode']] == [1, 8, 32, 64]
for row in d['decode'] + [d['judge']]:
    rated(row), timed(row)
s, p = d['search'], d['unshared']
assert s['problems'] == 3 and s['tokens_sampled'] > 0 and len(s['trees']) == 3
assert s['tokens_computed'] <= 1.05 * s['tokens_distinct'] + s['suffix_tokens'] + s['tokens_recomputed'], s
timed(s, ['tree']), rated(s, 'problems_per_minute')
assert s['time']['tree'] > 0
# --unshared-seconds 0 stops it after the two problems that it always does.
assert p['problems'] == 2 and 0 <= p['trees_equal'] <= 2 and p['tokens_sampled'] > 0, p
assert p['tokens_computed'] > 3 * p['tokens_distinct'] and p['search_is_times_as_fast'] > 0
# 4 problems, a prompt of 144 tokens and 16 steps of 24 each, computed once; 32 pairs of two paths apart.
step = d['dpo_step']
assert step['rows'] == 32 and step['tokens_computed'] == 4 * (144 + 16 * 24) and step['tokens'] == 64 * 204, step
assert step['pairs'] == 'made up' and step['reference']['seconds'] > 0
assert d['sft_step']['rows'] == 16 and d['sft_step']['tokens'] == 16 * 224
for step in d['dpo_step'], d['sft_step']:
    rated(step), timed(step)
    # A step is 6 N operations per token.
    assert math.isclose(step['limit_tokens_per_second'] * step['share_of_limit'], step['tokens_per_second'], rel_tol=1e-4)
sizes = [10**i for i in range(2, 7)]
for row, size in zip(d['search_arithmetic'], sizes, strict=True):
    assert size * 0.5 < row['nodes'] <= size and row['visited'] > 0.5 * row['nodes'], row
    assert 0 < row['ns_per_visit'] < 20000 and 50 < row['bytes_per_node'] < 1000, row
PYTHON

# If sums do not depend on the height of a batch, the search without sharing gives the same tree.
expect_exit 0 "$ESPALIER" bench --model "$TINY" --compute ref --dtype f32 --repeats 1 --problems 1 --only search,unshared
python3 - << 'PYTHON' || fail "without sharing the tree is another one"
import json
d = json.load(open('out'))
s, p = d['search'], d['unshared']
assert p['trees_equal'] == 1 and p['tokens_sampled'] == s['tokens_sampled'], (s, p)
assert p['tokens_distinct'] == s['tokens_distinct'] and p['tokens_computed'] > 3 * s['tokens_computed']
PYTHON

# Parts alone, and pairs from a file: a prefix of 4 ids, two steps of 3, shared prefix and all.
for i in 1 2; do
    echo "{\"prompt_ids\": [5, 6, 7, 8], \"chosen_ids\": [9, 10, 1$i], \"rejected_ids\": [12, 13, 14]}"
done > pairs.jsonl
expect_exit 0 "$ESPALIER" bench --model "$TINY" --repeats 1 --only dpo,load --pairs pairs.jsonl
python3 - << 'PYTHON' || fail "parts alone are not as described"
import json
d = json.load(open('out'))
assert list(d['parts']) == ['load', 'dpo'] and 'prefill' not in d, d
step = d['dpo_step']
# 2 pairs as paths: 4 * 7 tokens; in a tree 4 + 2 + 2 + 3.
assert (step['rows'], step['tokens'], step['tokens_computed'], step['pairs']) == (2, 28, 11, 'pairs.jsonl'), step
PYTHON

expect_exit 2 "$ESPALIER" bench --only prefil
expect_in err 'no part "prefil"'
expect_in err 'hint: the parts are limit, load, prefill'

echo '{"prompt": "a", "chosen": 3, "rejected": "b"}' > bad.jsonl
expect_exit 1 "$ESPALIER" bench --model "$TINY" --only dpo --pairs bad.jsonl
expect_in err 'bad.jsonl:1'
[ ! -s out ] || fail "something was printed beside the error"
expect_exit 1 "$ESPALIER" bench --model "$TINY" --only dpo --pairs nowhere.jsonl
expect_in err 'nowhere.jsonl: cannot open'
expect_exit 1 "$ESPALIER" bench --model nowhere --only prefill
expect_in err 'nowhere: no such model'

# bench/compare, with peers that only say figures: the ratios, the better way round for rates and for seconds alike.
mkdir -p peers/venv/bin peers/llama/bin scripts
touch peers/llama/bin/llama-bench peers/llama/bin/llama-batched-bench peers/smollm2-bf16.gguf scripts/trl_dpo.py
cp pairs.jsonl scripts/dpo-32-pairs.jsonl
cat > scripts/llama.sh << 'SH'
echo '{"peer": "llama.cpp", "prefill_tok_s": 0.5}'
echo '{"peer": "llama.cpp", "sequences": 8, "decode_tok_s": 1000000000}'
SH
cat > peers/venv/bin/python << 'SH'
#!/bin/sh
echo noise
echo "{'loss': 0.69}"
echo '{"step_s": [9e9, 7200], "peak_gb": 1000}'
SH
chmod +x peers/venv/bin/python
COMPARE="$ESPALIER_SOURCE_DIR/bench/compare"
expect_exit 0 "$COMPARE" --espalier "$ESPALIER" --model "$TINY" --peers peers --scripts scripts --repeats 1 \
    --rounds 2 --part llama --part dpo --json
python3 - << 'PYTHON' || fail "the comparison is not as described"
import json, math
d = json.load(open('out'))
rows = {r['figure']: r for r in d['rows']}
assert list(rows) == ['prefill', 'decode 8', 'DPO step, reference known', 'DPO step and reference', 'DPO peak memory']
assert len(rows['prefill']['espalier_rounds']) == 2 and len(rows['DPO peak memory']['espalier_rounds']) == 1
for row in d['rows']:
    own, other = row['espalier'], row['peer_value']
    assert own > 0 and math.isclose(row['ratio'], own / other if row['unit'] == 'tokens/s' else other / own), row
assert rows['prefill']['ratio'] > 1 > rows['decode 8']['ratio'] and rows['DPO peak memory']['ratio'] > 1
assert rows['DPO step and reference']['peer_value'] == 7200
PYTHON
rm peers/llama/bin/llama-bench
expect_exit 1 "$COMPARE" --espalier "$ESPALIER" --model "$TINY" --peers peers --scripts scripts --part llama
expect_in err 'llama-bench is missing'
expect_in err 'setup.sh'
echo 'echo broken >&2; exit 3' > scripts/llama.sh
touch peers/llama/bin/llama-bench
expect_exit 1 "$COMPARE" --espalier "$ESPALIER" --model "$TINY" --peers peers --scripts scripts --part llama --repeats 1
expect_in err 'ended with 3'
expect_in err '^broken'
