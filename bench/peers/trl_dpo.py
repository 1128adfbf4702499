"""TRL: optimizer steps of 32 pairs. usage: trl_dpo.py [MODEL_DIR] [PAIRS.jsonl] [BATCH]"""

import json, os, resource, sys, time, torch

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import DPOTrainer, DPOConfig
from datasets import Dataset

here = os.path.dirname(os.path.abspath(__file__))
P = os.environ.get("PEERS_DIR", "/tmp/peers")
a = sys.argv[1:] + [None] * 3
d, pairs, B = a[0] or P + "/smollm2", a[1] or here + "/dpo-32-pairs.jsonl", int(a[2] or 8)
torch.set_num_threads(os.cpu_count())
rows = [json.loads(l) for l in open(pairs)]
tok = AutoTokenizer.from_pretrained(d)
m = AutoModelForCausalLM.from_pretrained(d, dtype=torch.bfloat16)
cfg = DPOConfig(
    output_dir=P + "/trl_out",
    per_device_train_batch_size=B,
    gradient_accumulation_steps=32 // B,
    learning_rate=1e-6,
    beta=0.1,
    max_steps=2,
    bf16=True,
    use_cpu=True,
    report_to=[],
    logging_steps=1,
    save_strategy="no",
    gradient_checkpointing=False,
)
T = []


class Clock(TrainerCallback):
    def on_step_begin(self, *a, **k):
        T.append(time.time())

    def on_step_end(self, *a, **k):
        T.append(time.time())


DPOTrainer(
    model=m, args=cfg, train_dataset=Dataset.from_list(rows + rows), processing_class=tok, callbacks=[Clock()]
).train()
print(
    json.dumps(
        dict(
            peer="TRL bf16",
            step_s=[round(T[i + 1] - T[i], 2) for i in range(0, len(T), 2)],
            peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        )
    )
)
