#!/usr/bin/env python3
"""Makes peft/ and peft.json: an adapter as PEFT writes it, over TinyStories-656K, and the log-probs that PEFT gives with it.
Needs torch, transformers and peft. Usage: make_peft.py, from anywhere."""
import json
import os

import peft
import torch
import transformers

here = os.path.dirname(os.path.abspath(__file__))
base = os.path.join(here, "..", "models", "tinystories-656k")
out = os.path.join(here, "peft")
torch.manual_seed(3)
model = transformers.AutoModelForCausalLM.from_pretrained(base, torch_dtype=torch.float32)
config = peft.LoraConfig(r=8, lora_alpha=24, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"],
                         lora_dropout=0.05, task_type="CAUSAL_LM")
model = peft.get_peft_model(model, config)
for name, parameter in model.named_parameters():
    if "lora_B" in name:  # zero at first, so that an untrained adapter would change nothing
        torch.nn.init.normal_(parameter, std=0.05)
model.eval()
model.save_pretrained(out)
os.remove(os.path.join(out, "README.md"))
path = os.path.join(out, "adapter_config.json")
written = json.load(open(path, encoding="utf-8"))
written["base_model_name_or_path"] = "../../models/tinystories-656k"
written["target_modules"] = sorted(written["target_modules"])
with open(path, "w", encoding="utf-8") as file:
    json.dump(written, file, indent=2, sort_keys=True)
    file.write("\n")

ids = [1, 80, 147, 201, 33, 512, 77, 300, 260, 145, 9, 1023, 64]


def logprobs(of):
    with torch.no_grad():
        rows = torch.log_softmax(of(torch.tensor([ids])).logits[0], -1)
    return [rows[i, ids[i + 1]].item() for i in range(len(ids) - 1)]


with_adapter = logprobs(model)
with model.disable_adapter():
    without = logprobs(model)
stamp = {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__}
with open(os.path.join(here, "peft.json"), "w", encoding="utf-8") as file:
    json.dump({"made_with": stamp, "ids": ids, "logprobs": with_adapter, "base": without}, file, indent=1)
    file.write("\n")
