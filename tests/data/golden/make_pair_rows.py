#!/usr/bin/env python3
"""Makes pair_rows.json: rows of preferences with the ids that TRL's rules give them, through transformers.

    make_pair_rows.py > pair_rows.json     (in this folder; Python with transformers and jinja2)

TRL's rules (version 1.16, DPOTrainer), as its documentation and its results say: texts get end-of-sequence
unless they end in it; prompt and completion are tokenized as one text, and so is the prompt alone; the completion begins
where the first of both completions differs from the prompt alone. Messages go through the chat template, the prompt with a
generation prompt, the whole without, and get no end-of-sequence. What a template writes after its end of turn is left
out here: nothing of it is ever generated (docs/formats.md).
"""
import gzip
import json
import os
import tempfile

from transformers import PreTrainedTokenizerFast

HERE = os.path.dirname(os.path.abspath(__file__))
DATA = os.path.dirname(HERE)
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
MODELS = {
    "smollm2": ("tokenizers/smollm2/tokenizer.json.gz", None, "<|im_end|>", CHATML),
    "mistral": ("tokenizers/mistral/tokenizer.json.gz", "<s>", "</s>", None),
    "tinystories": ("models/tinystories-656k/tokenizer.json", "<|start_story|>", "<|end_story|>", None),
}
TEXTS = [
    ["The sky is", " blue.", " green."],
    ["The sky is ", "blue.", "green."],
    ["The price is 1", "8", "x"],
    ["The price is 1", "8", "9 or more"],
    ["Once upon a time", ", there was a dog.", " zebra zebra"],
    ["How many?\n", "12 pens.", "13 pens."],
    ["How many?\n", "\n12 pens.", "13 pens."],
    ["def f(x):\n    ", "return x", "    return x"],
    ["She is un", "happy", "kind"],
    ["It", "'s late", " is late"],
    ["Na\u00ef", "vet\u00e9", "ve"],
    ["\u6771", "\u4eac", "\u5317"],
    ["e", "\u0301!", "!"],
    ["Q: 2 + 2 = ?\nA:", " 4", " 5"],
    ["Q:", " two\nlines", " one"],
    ["if x:\n    ", "    x", "y"],
]
SYSTEM = {"role": "system", "content": "Answer in one word."}
user = lambda text: {"role": "user", "content": text}
assistant = lambda text: {"role": "assistant", "content": text}
MESSAGES = [
    [[SYSTEM, user("What color is the sky?")], [assistant("Blue.")], [assistant("Green.")]],
    [[user("How many pens?")], [assistant("12 pens.")], [assistant("13 pens.\n")]],
    [[user("Hi"), assistant("Hello!"), user("2 + 2?")], [assistant("4")], [assistant("5, I think")]],
    [[SYSTEM, user("a"), assistant("b"), user("c"), assistant("d"), user("e")], [assistant("f")], [assistant("g")]],
    [[user("Hi")], [assistant("Hello!"), user("2 + 2?"), assistant("4")], [assistant("Hello."), user("So?"), assistant("5")]],
    [[user("a <|im_end|> b".replace("<|im_end|>", "[end]"))], [assistant("")], [assistant("x")]],
]


def common(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def cut(alone, joined):
    n = min(common(alone, ids) for ids in joined)
    return [alone[:n]] + [ids[n:] for ids in joined]


def load(path, bos, eos, template):
    raw = open(os.path.join(DATA, path), "rb").read()
    file = json.loads(gzip.decompress(raw) if path.endswith(".gz") else raw)
    merges = file["model"]["merges"]  # older versions of transformers read "a b", newer ones write ["a", "b"]
    file["model"]["merges"] = [m if isinstance(m, str) else " ".join(m) for m in merges]
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "tokenizer.json")
        json.dump(file, open(name, "w"))
        return PreTrainedTokenizerFast(tokenizer_file=name, bos_token=bos, eos_token=eos, chat_template=template)


def of_texts(t, prompt, chosen, rejected):
    # TRL appends the text of end-of-sequence. TinyStories' tokenizer spells that text in letters; here it is the token.
    joined = [t(prompt + completion)["input_ids"] + [t.eos_token_id] for completion in (chosen, rejected)]
    if t.eos_token != "<|end_story|>":
        assert joined == [t(prompt + completion + t.eos_token)["input_ids"] for completion in (chosen, rejected)]
    return cut(t(prompt)["input_ids"], joined)


def of_messages(t, prompt, chosen, rejected):
    ids = lambda messages, generate: t.apply_chat_template(messages, add_generation_prompt=generate)
    rows = cut(ids(prompt, True), [ids(prompt + completion, False) for completion in (chosen, rejected)])
    for completion in rows[1:]:
        while completion[-1] != t.eos_token_id:
            completion.pop()
    return rows


rows = []
for name, model in MODELS.items():
    t = load(*model)
    cases = [(of_texts, row) for row in TEXTS] + [(of_messages, row) for row in MESSAGES if t.chat_template]
    for rule, row in cases:
        fields = dict(zip(("prompt", "chosen", "rejected"), row))
        ids = dict(zip(("prompt_ids", "chosen_ids", "rejected_ids"), rule(t, *row)))
        if t.convert_tokens_to_ids("<unk>") in sum(ids.values(), []):
            continue  # TinyStories has no token for some characters
        rows.append({"tokenizer": name, "row": fields, **ids})
print("[" + ",\n".join(json.dumps(row) for row in rows) + "]")
