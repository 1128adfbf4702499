#!/bin/bash
# A policy that this program wrote, and the one it comes with, load in transformers and give the same log-probs and tokens.
# timeout: 600
. "$(dirname "$0")/../lib.sh"
need_program
need_transformers
cat > compare.py << 'PYTHON'
"""compare.py FOLDER SCORED TEXTS: transformers' log-probs of the same texts, within 1e-3; and its tokens, the same."""
import json, os, sys
os.environ['HF_HUB_OFFLINE'] = '1'
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, rows = sys.argv[1], [json.loads(line) for line in open(sys.argv[2])]
texts = [json.loads(line)['text'] for line in open(sys.argv[3])]
model = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32).eval()
tokenizer = AutoTokenizer.from_pretrained(folder)
worst = 0
for text, row in zip(texts, rows):
    assert tokenizer(text, add_special_tokens=False)['input_ids'] == row['ids'], f'other tokens: {text!r}'
    ids = torch.tensor([row['ids']])
    with torch.no_grad():
        logprobs = torch.log_softmax(model(ids).logits[0, :-1].double(), -1).gather(1, ids[0, 1:, None])[:, 0].tolist()
    worst = max([worst] + [abs(a - b) for a, b in zip(logprobs, row['logprobs'][1:])])
print(f'{folder}: largest difference {worst:.2e}')
sys.exit(0 if worst < 1e-3 else 1)
PYTHON
check() { # FOLDER TEXTS
    expect_exit 0 "$ESPALIER" score --model "$1" --dtype f32 "${2:-texts.jsonl}"
    cp out scored
    "$TRANSFORMERS_PYTHON" compare.py "$1" scored "${2:-texts.jsonl}" || fail "transformers and espalier differ on $1"
}

# The embedded default, on 50 made problems and their solutions, right and flawed; and what it was started from.
ARITH=$ESPALIER_SOURCE_DIR/data/arith
expect_exit 0 "$ESPALIER" problems generate:level=mixed,split=test,count=50,flaws=1.4
python3 - << 'PYTHON' > arith.jsonl
import json
for row in map(json.loads, open('out')):
    print(json.dumps({'text': row['question'] + '\n' + row['answer']}))
PYTHON
[ "$(wc -l < arith.jsonl)" = 50 ] || fail "not 50 problems"
check "$ARITH/policy" arith.jsonl
cat > start.py << 'PYTHON'
"""A model of the starting configuration has the policy's tensors, and its tokenizer the policy's tokens."""
import json, os, sys
os.environ['HF_HUB_OFFLINE'] = '1'
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
shapes = [{name: tuple(t.shape) for name, t in model.state_dict().items()} for model in
          (AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(f'{sys.argv[1]}/start')),
           AutoModelForCausalLM.from_pretrained(f'{sys.argv[1]}/policy'))]
assert shapes[0] == shapes[1], set(shapes[0].items()) ^ set(shapes[1].items())
tokenizer = AutoTokenizer.from_pretrained(f'{sys.argv[1]}/start')
for line, scored in zip(open('arith.jsonl'), open('scored')):
    text, ids = json.loads(line)['text'], json.loads(scored)['ids']
    assert tokenizer(text, add_special_tokens=False)['input_ids'] == ids, text
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text, text
PYTHON
"$TRANSFORMERS_PYTHON" start.py "$ARITH" || fail "data/arith/start in transformers"

cat > texts.jsonl << 'JSONL'
{"text": "Once upon a time, there was a little dog who liked to run."}
{"text": "Tom has 3 apples and buys 12 more. How many apples does he have?"}
{"text": "One day, a girl named Lily saw a big, red ball."}
JSONL
cat > pairs.jsonl << 'JSONL'
{"prompt": "Once upon a time", "chosen": ", there was a dog.", "rejected": " zebra zebra"}
{"prompt": "The boy", "chosen": " was happy.", "rejected": " was were."}
JSONL
expect_exit 0 "$ESPALIER" train --model "$TINY" --pairs pairs.jsonl --dtype f32 --lr 1e-4 --out trained
check trained

# The same through a run and export.
zcat "$ESPALIER_SOURCE_DIR/data/gsm8k/train.jsonl.gz" | awk 'length($0) < 400' | sed -n 1,8p > problems.jsonl
expect_exit 0 "$ESPALIER" sft --model "$TINY" --dtype f32 --train problems.jsonl --epochs 1 --lr 1e-4 --chat-template plain --out run
expect_exit 0 "$ESPALIER" export run exported
check exported

# A model of every other architecture, as transformers writes it, and after training here.
cat > other.py << 'PYTHON'
"""other.py: random models with the tiny model's tokenizer; vectors are moved off their first numbers, so that they count."""
import os, shutil, sys
import torch
from transformers import AutoConfig, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM
tiny = sys.argv[1]
known = AutoConfig.from_pretrained(tiny)
shape = dict(vocab_size=known.vocab_size, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, bos_token_id=known.bos_token_id,
             eos_token_id=known.eos_token_id, rms_norm_eps=1e-6, initializer_range=0.2)
torch.manual_seed(5)
for folder, model in (('mistral', MistralForCausalLM(MistralConfig(**shape, sliding_window=None))),
                      ('qwen2', Qwen2ForCausalLM(Qwen2Config(**shape))),
                      ('qwen2-tied', Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True)))):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.2 * torch.randn(parameter.shape)
    model.save_pretrained(folder)
    for name in os.listdir(tiny):
        if name.endswith('.json') and name != 'config.json':
            shutil.copy(f'{tiny}/{name}', folder)
PYTHON
"$TRANSFORMERS_PYTHON" other.py "$TINY" || fail "models of other architectures could not be made"
for of in mistral qwen2 qwen2-tied; do
    check $of
    expect_exit 0 "$ESPALIER" train --model $of --pairs pairs.jsonl --dtype f32 --lr 1e-3 --out trained-$of
    cmp -s $of/model.safetensors trained-$of/model.safetensors && fail "training $of changed nothing"
    check trained-$of
done

if [ "$ESPALIER_SANITIZE" = ON ]; then exit 0; fi
need_smollm2
expect_exit 0 "$ESPALIER" import "$SMOLLM2" smollm2
check smollm2
