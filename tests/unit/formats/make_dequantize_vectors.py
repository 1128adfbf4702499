"""Writes dequantize_vectors.json: blocks of random bytes in each of GGUF's formats, and the floats that the reference
implementation (gguf-py: pip install gguf numpy) makes of them. Scales are set to ordinary values, since random bits
would often be an infinity. Usage: python make_dequantize_vectors.py > dequantize_vectors.json"""

import json

import gguf
import numpy as np

BLOCKS = 3
HALF_SCALES = {  # offsets of the f16 scales in a block
    "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}

random = np.random.default_rng(7)
out = {}
for name, scales in HALF_SCALES.items():
    kind = gguf.GGMLQuantizationType[name]
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (BLOCKS, size), dtype=np.uint8)
    for at in scales:
        values = (random.standard_normal(BLOCKS) * 0.05).astype(np.float16)
        blocks[:, at : at + 2] = values.view(np.uint8).reshape(BLOCKS, 2)
    floats = gguf.quants.dequantize(blocks, kind).reshape(-1)
    assert floats.dtype == np.float32 and floats.size == BLOCKS * elements
    # float32 bits as integers: nothing is lost in text
    out[name] = {"bytes": blocks.tobytes().hex(), "float_bits": floats.view(np.uint32).tolist()}
lines = [f'"{name}": {json.dumps(v, separators=(",", ":"))}' for name, v in out.items()]
print("{\n" + ",\n".join(lines) + "\n}")
