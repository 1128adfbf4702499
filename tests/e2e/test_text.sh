#!/bin/bash
# tokenize both ways, grade, and import of a GGUF file: what was imported scores as the file does.
. "$(dirname "$0")/../lib.sh"
need_program

# TinyStories has no bytes to fall back on: what its vocabulary lacks is lost there.
cat > plain.jsonl << 'JSONL'
{"text": "Once upon a time, there was a dog."}
{"text": "  two  spaces\n<|im_end|>"}
{"text": "end\n"}
JSONL
cat > any.jsonl << 'JSONL'
{"text": "déjà vu 日本 \ud83d\ude42 \t tab"}
{"text": "12,345 + 6.7 = $12,351.70"}
JSONL
cat plain.jsonl >> any.jsonl

round_trip() { # MODEL TEXTS
    cp "$2" texts.jsonl
    expect_exit 0 "$ESPALIER" tokenize --model "$1" texts.jsonl
    cp out ids.jsonl
    expect_exit 0 "$ESPALIER" tokenize --json --model "$1" --decode - < ids.jsonl
    python3 -c "
import json
a, b = ([json.loads(line)['text'] for line in open(f)] for f in ('texts.jsonl', 'out'))
assert a == b, (a, b)" || fail "$1: texts come back changed"
}
round_trip "$TINY" plain.jsonl
expect_exit 0 "$ESPALIER" tokenize --model "$TINY" --text 'Once upon a time'
cp out one
printf 'Once upon a time' | "$ESPALIER" tokenize --model "$TINY" --plain > out
expect_same one out
expect_in one '^\{"ids":\[80,147,201,282,57\]\}$'
expect_exit 2 "$ESPALIER" tokenize --model "$TINY" --text a --decode

cat > answers.jsonl << 'JSONL'
{"answer": "48 / 2 = 24\n#### 1,234", "gold": "1234"}
{"answer": "The answer is $5.50.", "gold": 5.5}
{"answer": "I do not know", "gold": "3"}
{"answer": "#### 7", "gold": "8"}
JSONL
expect_exit 0 "$ESPALIER" grade --task gsm8k --json answers.jsonl
cat > wanted << 'JSONL'
{"extracted":"1234","verdict":"equal","correct":true,"reason":"equal"}
{"extracted":"5.5","verdict":"equal","correct":true,"reason":"equal"}
{"extracted":null,"verdict":"different","correct":false,"reason":"no answer found"}
{"extracted":"7","verdict":"different","correct":false,"reason":"different number"}
JSONL
expect_same out wanted

# Made problems: the same again, read back from a file as they were, their own answers right, and each word, digit and
# sign of them one token of the policy they were made for.
expect_exit 0 "$ESPALIER" problems generate:level=rare,split=dev,count=20,seed=4
cp out made.jsonl
expect_exit 0 "$ESPALIER" problems --json generate:seed=4,count=20,split=dev,level=rare
expect_same made.jsonl out
expect_exit 0 "$ESPALIER" problems made.jsonl
expect_same made.jsonl out
expect_exit 0 "$ESPALIER" problems --task gsm8k made.jsonl
expect_same made.jsonl out
expect_exit 0 "$ESPALIER" grade --task arith made.jsonl
[ "$(grep -c '"correct":true' out)" = 20 ] || fail "the answers of made problems are not all right"
python3 -c "
import json
for row in map(json.loads, open('made.jsonl')): print(json.dumps({'text': row['question'] + '\n' + row['answer']}))" > texts.jsonl
expect_exit 0 "$ESPALIER" tokenize --model "$ESPALIER_SOURCE_DIR/data/arith/start" texts.jsonl
python3 - << 'PYTHON' || fail "tokens of made problems"
import json, re
for text, row in zip(open('texts.jsonl'), open('out')):
    pieces = re.findall(r' ?[A-Za-z]+| ?[0-9]|#+| ?[^\sA-Za-z0-9#]|\s', json.loads(text)['text'])
    assert len(json.loads(row)['ids']) == len(pieces) > 60, (text, row)
PYTHON
expect_exit 1 "$ESPALIER" problems generate:level=hard,count=3
expect_in err '"level=hard" is not understood'
expect_in err '^  hint: .*easy, rare, mixed'
expect_exit 1 "$ESPALIER" problems --task gsm8k generate:count=3
expect_in err 'generate:count=3: task gsm8k has no generator'
expect_exit 1 "$ESPALIER" problems absent.jsonl
expect_in err 'absent.jsonl'
expect_exit 2 "$ESPALIER" problems
expect_exit 1 "$ESPALIER" eval --model "$TINY" --task arith --data generate:count=0
expect_in err '"count=0" is not understood'

# Import of a Hugging Face folder: the same weights and the same cuts.
expect_exit 0 "$ESPALIER" import --json "$TINY" copy
expect_in out '"folder": ?"copy"'
echo '{"text":"Once upon a time, there was a dog."}' > line
"$ESPALIER" score --model "$TINY" --dtype f32 line > a
"$ESPALIER" score --model copy --dtype f32 line > b
expect_same a b

if [ "$ESPALIER_SANITIZE" = ON ]; then exit 0; fi
need_smollm2
round_trip "$SMOLLM2" any.jsonl
expect_exit 0 "$ESPALIER" import "$SMOLLM2" smollm2
for dtype in bf16 f32; do
    "$ESPALIER" score --model "$SMOLLM2" --dtype $dtype line > a
    "$ESPALIER" score --model smollm2 --dtype $dtype line > b
    expect_same a b
done
cp texts.jsonl line
"$ESPALIER" tokenize --model "$SMOLLM2" line > a
"$ESPALIER" tokenize --model smollm2 line > b
expect_same a b
# JSON cannot contain a part of a character: it becomes U+FFFD, and the program continues.
printf '{"text":"\\ud83d\\ude42"}\n' | "$ESPALIER" tokenize --model smollm2 |
    python3 -c 'import json, sys; print(json.dumps({"ids": json.load(sys.stdin)["ids"][:1]}))' > piece
expect_exit 0 "$ESPALIER" tokenize --model smollm2 --decode piece
python3 -c 'import json; assert "\ufffd" in json.load(open("out"))["text"]' || fail "half a character: $(cat out)"
