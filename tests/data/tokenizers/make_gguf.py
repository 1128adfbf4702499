#!/usr/bin/env python3
"""Writes a vocabulary as a GGUF file without tensors, for tests of the GGUF reader.

make_gguf.py sentencepiece tokenizer.model OUT.gguf.gz
make_gguf.py byte-level PRE tokenizer.json.gz OUT.gguf.gz     PRE: the name of the pre-tokenizer in GGUF
"""

import gzip
import json
import struct
import sys

UINT32, INT32, FLOAT32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
NORMAL, CONTROL = 1, 3


def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def scalar(kind, value):
    return (
        text(value)
        if kind == STRING
        else struct.pack({UINT32: "<I", INT32: "<i", FLOAT32: "<f", BOOL: "<?"}[kind], value)
    )


def array(kind, values):
    return struct.pack("<IQ", kind, len(values)) + b"".join(scalar(kind, v) for v in values)


def write(path, entries):
    """entries: (key, kind, value), or (key, ARRAY, (kind, values))."""
    out = struct.pack("<4sIQQ", b"GGUF", 3, 0, len(entries))
    for key, kind, value in entries:
        out += text(key) + struct.pack("<I", kind) + (array(*value) if kind == ARRAY else scalar(kind, value))
    with open(path, "wb") as f:
        f.write(gzip.compress(out, 9, mtime=0))


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """The fields of a protobuf message: (number, value)."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(tag & 7)
            if length is None:
                length, at = varint(data, at)
            value, at = data[at : at + length], at + length
        yield tag >> 3, value


def sentencepiece(path):
    """Pieces of a ModelProto (field 1): text (1), score (2), type (3), whose numbers GGUF took over."""
    pieces = []
    for number, value in fields(open(path, "rb").read()):
        if number == 1:
            piece = dict(fields(value))
            pieces.append((piece[1].decode(), struct.unpack("<f", piece[2])[0], piece.get(3, NORMAL)))
    return [
        ("tokenizer.ggml.model", STRING, "llama"),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, [p[0] for p in pieces])),
        ("tokenizer.ggml.scores", ARRAY, (FLOAT32, [p[1] for p in pieces])),
        ("tokenizer.ggml.token_type", ARRAY, (INT32, [p[2] for p in pieces])),
        ("tokenizer.ggml.bos_token_id", UINT32, 1),
        ("tokenizer.ggml.eos_token_id", UINT32, 2),
        ("tokenizer.ggml.unknown_token_id", UINT32, 0),
        ("tokenizer.ggml.add_bos_token", BOOL, True),
        ("tokenizer.ggml.add_eos_token", BOOL, False),
    ]


def byte_level(pre, path):
    source = json.load(gzip.open(path))
    ids = dict(source["model"]["vocab"])
    special = set()
    for token in source["added_tokens"]:
        ids[token["content"]] = token["id"]
        special.add(token["content"])
    tokens = sorted(ids, key=ids.get)
    assert [ids[t] for t in tokens] == list(range(len(tokens)))
    merges = [m if isinstance(m, str) else " ".join(m) for m in source["model"]["merges"]]
    return [
        ("tokenizer.ggml.model", STRING, "gpt2"),
        ("tokenizer.ggml.pre", STRING, pre),
        ("tokenizer.ggml.tokens", ARRAY, (STRING, tokens)),
        ("tokenizer.ggml.token_type", ARRAY, (INT32, [CONTROL if t in special else NORMAL for t in tokens])),
        ("tokenizer.ggml.merges", ARRAY, (STRING, merges)),
        ("tokenizer.ggml.bos_token_id", UINT32, 1),
        ("tokenizer.ggml.eos_token_id", UINT32, 2),
        ("tokenizer.ggml.add_bos_token", BOOL, False),
    ]


if sys.argv[1:2] == ["sentencepiece"] and len(sys.argv) == 4:
    entries = sentencepiece(sys.argv[2])
elif sys.argv[1:2] == ["byte-level"] and len(sys.argv) == 5:
    entries = byte_level(sys.argv[2], sys.argv[3])
else:
    sys.exit(__doc__)
write(sys.argv[-1], [("general.architecture", STRING, "llama")] + entries)
