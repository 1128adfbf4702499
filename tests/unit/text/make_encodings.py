"""Makes encodings.json with Python's tokenizers library: make_encodings.py OUTPUT."""

import gzip
import json
import os
import sys
import tokenizers
from tokenizers import Regex, Tokenizer, pre_tokenizers

S = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../data/")
src = {
    "smollm2": S + "tokenizers/smollm2/tokenizer.json.gz",
    "mistral": S + "tokenizers/mistral/tokenizer.json.gz",
    "tinystories": S + "models/tinystories-656k/tokenizer.json",
}
texts = [
    "",
    "a",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    "\t",
    "Hello world",
    " Hello world",
    "  leading and trailing  ",
    "Hello, y'all! It's we'll they've I'm you'd don't CAN'T",
    "3",
    "33 333 3333",
    "1,234,567.89 - $5.00 = 50%",
    "x1y22z333",
    "2024-11-22T15:01:16Z",
    "½ ² ³ ⅷ ①②③ ٣٤٥ १२३",
    "def f(x):\n    return x**2  # square\n\n\nclass A(object):\n\tpass\n",
    "for (int i = 0; i < n; ++i) { a[i] += b[i] * 0x1F; }",
    '<html><body class="x">&amp;</body></html>',
    '{"a": [1, 2.5e-3, null], "b": "\\u00e9"}',
    "我想在apple工作1314151天～",
    "日本語のテキスト。カタカナ、ひらがな",
    "한국어 텍스트입니다",
    "你好，世界！",
    "مرحبا بالعالم كيف حالك؟",
    "שלום עולם",
    "Привет, мир! Ещё раз.",
    "Ελληνικά κείμενο",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "កាន់តែពិសេសអាចខលចេញ",
    "Cửa Việt naïve café résumé Füße",
    "🚀 (normal) 😶‍🌫️ 👩‍👩‍👧‍👦 🇩🇪 ✅",
    "e\u0301 vs é, ﬁ ligature, Å",
    "\u00a0nbsp\u2003em\u3000ideographic\u202fnarrow",
    "a\u180eb \u180e c\u200bd\ufeffe",
    "tabs\t\tand\r\nwindows\r\n\r\nlines",
    "a  b   c    d     e      f",
    "end with spaces    ",
    "\n  indented\n    more\n",
    "word\n\n \n  \n\t\nword",
    "!!!!!! ... ??? ,,, ;;; --- ___ ===",
    "#### 72",
    "The answer is 42.",
    "Question: Natalia sold clips to 48 of her friends in April. How many?\nAnswer: <<48/2=24>>24 clips.\n#### 72",
    "$\\frac{a}{b} + \\sqrt{x_1^2}$ \\begin{align}",
    "http://example.com/a?b=c&d=e#f",
    "user@example.com",
    "camelCaseWord snake_case_word kebab-case",
    "ALLCAPS MiXeD",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "▁already▁marked ▁ x",
    "<0x0A> <0xFF> literal",
    "Ġthe Ċ byte alphabet",
    "\u0000nul\u0001\u001b[31m",
    "�replacement",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈 𠜎",
    "'s 't 're ''s \u2019s ' s",
    "1st 2nd 3rd 4th, No. 5/6",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|>a<|endoftext|>  b",
    "a <|im_end|> b",
    "text <s> and </s> and <unk> inside</s>",
    "<s>[INST] hi [/INST] yes</s>",
    "<|start_story|>Once<|end_story|>",
    "<repo_name>x<file_sep>",
]
# The cases of llama.cpp's vocabularies.
cases = open(S + "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf.inp", newline="").read().split("\n__ggml_vocab_test__\n")
more = [x for x in cases if x not in texts]
out = {}
for n, p in src.items():
    raw = gzip.open(p).read() if p.endswith("gz") else open(p, "rb").read()
    t = Tokenizer.from_str(raw.decode())
    t.no_truncation()
    t.no_padding()
    rows = []
    for x in texts + more:
        t.encode_special_tokens = True
        plain = t.encode(x, add_special_tokens=False).ids
        t.encode_special_tokens = False
        sp = t.encode(x, add_special_tokens=False).ids
        r = {"text": x, "ids": plain}
        r["text_back"] = t.decode(plain, skip_special_tokens=False)
        if r["text_back"] == x:
            del r["text_back"]
        if n == "tinystories" and 0 in plain:
            r["text_back"] = None  # the library writes a space before a "normalized" <unk>
        # "normalized": true makes the library look for ' <s>', space and all; Espalier takes control tokens as they are
        if sp != plain:
            r["special_ids"] = sp if n in ("smollm2", "mistral") else None
        rows.append(r)
    out[n] = rows
p = sys.argv[1]

words = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
patterns = [
    words,
    gpt2,
    r"\p{N}+",
    r"[0-9][0-9][0-9]",
    r"[\p{P}\$\+<=>\^~\|]+",
    r"\s",
    r"[\s\p{N}]+",
    r"\S+",
]
behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
cuts = []
for pattern in patterns:
    for behavior in behaviors if pattern not in (words, gpt2) else ["isolated"]:
        for invert in (False, True):
            split = pre_tokenizers.Split(Regex(pattern), behavior, invert)
            rows = [[x, [w for w, _ in split.pre_tokenize_str(x)]] for x in texts if len(x) < 60]
            if pattern not in (words, gpt2):
                rows = rows[::6] + [
                    [x, [w for w, _ in split.pre_tokenize_str(x)]] for x in (" 12  3a4 ", "\u180e1 ")
                ]
            cuts.append(
                {"pattern": pattern, "behavior": behaviors.index(behavior), "invert": invert, "rows": rows}
            )
out["cuts"] = cuts


def line(r):
    return json.dumps(r, separators=(",", ":"))


open(p, "w").write(
    '{"made_with":"Python tokenizers %s; ids: special tokens as plain text, special_ids: parsed (where they differ); text_back: decoded ids where not the text",\n'
    % tokenizers.__version__
    + ",\n".join('"%s":[\n%s]' % (k, ",\n".join(map(line, v))) for k, v in out.items())
    + "}\n"
)
