"""transformers: prefill and batched sampling, bf16. usage: hf_generate.py [MODEL_DIR]"""

import json, os, sys, time, torch

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoModelForCausalLM

d = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PEERS_DIR", "/tmp/peers") + "/smollm2"
torch.set_num_threads(os.cpu_count())
m = AutoModelForCausalLM.from_pretrained(d, dtype=torch.bfloat16).eval()


def say(**k):
    print(json.dumps(dict(peer="transformers bf16", **k)), flush=True)


with torch.no_grad():
    ids = torch.randint(100, 40000, (4, 512))
    m(ids)
    t = time.time()
    m(ids)
    m(ids)
    say(prefill_tok_s=2 * 2048 / (time.time() - t))
    for B in (1, 8, 32, 64):
        x = torch.randint(100, 40000, (B, 128))

        def gen(n):
            t = time.time()
            m.generate(
                input_ids=x,
                attention_mask=torch.ones_like(x),
                max_new_tokens=n,
                min_new_tokens=n,
                do_sample=True,
                pad_token_id=2,
            )
            return time.time() - t

        gen(4)
        p = gen(1)
        say(sequences=B, decode_tok_s=B * 32 / (gen(33) - p))
