#!/bin/bash
# bench on a small model: one JSON document with every figure of the speed table, all of them numbers above 0.
. "$(dirname "$0")/../lib.sh"
need_program
need_shared data/models/TinyStories-656K/model.safetensors

expect_exit 0 "$ESPALIER" bench --model "$SHARED/data/models/TinyStories-656K" --repeats 1 --problems 2
python3 - << 'PYTHON' || fail "the document is not as described"
import json
d = json.load(open('out'))
assert d['load_seconds'] > 0 and d['peak_gigabytes'] > 0 and d['gemm_limit']['gflops'] > 0
assert d['gemm_limit']['tokens_per_second'] > d['gemm_limit']['tokens_per_second_with_head'] > 0
assert d['prefill']['tokens_per_second'] > 0 and d['prefill']['share_of_limit'] > 0
assert [row['sequences'] for row in d['decode']] == [1, 8, 32, 64]
assert all(row['tokens_per_second'] > 0 for row in d['decode']) and d['judge']['judgements_per_second'] > 0
assert d['search']['problems'] == 2 and d['search']['tokens_sampled'] > 0
# 4 problems, a prompt of 144 tokens and 16 steps of 24 each, computed once; 32 pairs of two paths apart.
step = d['dpo_step']
assert step['rows'] == 32 and step['tokens_computed'] == 4 * (144 + 16 * 24) and step['tokens'] == 64 * 204, step
assert d['sft_step']['rows'] == 16 and d['sft_step']['tokens'] == 16 * 224
PYTHON
