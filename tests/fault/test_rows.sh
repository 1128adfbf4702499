#!/bin/bash
# Rows that are not JSON, lack a field or do not fit: the error names file and line.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/fault/refuses.bash"
need_program

# bad_line GOOD BAD PATTERN COMMAND...: the file `rows` holds a good line, a blank one and the bad one.
bad_line() {
    local pattern=$3
    printf '%s\n\n%s\n' "$1" "$2" > rows
    shift 3
    refuses "rows:3: .*$pattern" "$@" rows
}
score=("$ESPALIER" score --model "$TINY")
for bad in '{"text":"a"' 'text' '{"text":"a"}}' '{"text":"a","text":}'; do
    bad_line '{"text":"a"}' "$bad" '' "${score[@]}"
done
bad_line '{"text":"a"}' '[]' 'text' "${score[@]}"
bad_line '{"text":"a"}' '{"words":"a"}' '"text"' "${score[@]}"
bad_line '{"text":"a"}' '{"text":7}' '"text"' "${score[@]}"
bad_line '{"ids":[1]}' '{"ids":"1"}' '"ids"' "${score[@]}"
bad_line '{"ids":[1]}' '{"ids":[1,2048]}' '"ids"\[1\] is 2048, outside the vocabulary of 2048' "${score[@]}"
bad_line '{"ids":[1]}' '{"ids":[-1]}' '"ids"' "${score[@]}"
bad_line '{"ids":[1]}' '{"ids":[1.5]}' '"ids"' "${score[@]}"
long=$(python3 -c 'print([1] * 513)')
bad_line '{"ids":[1]}' "{\"ids\":$long}" '513 tokens are more than the context of 512' "${score[@]}"
bad_line '{"text":"a"}' '{"txt":"a"}' '"text"' "$ESPALIER" tokenize --model "$TINY"
bad_line '{"ids":[1]}' '{"ids":[5000]}' '"ids"' "$ESPALIER" tokenize --model "$TINY" --decode
bad_line '{"answer":"1","gold":"1"}' '{"answer":"1"}' '"gold"' "$ESPALIER" grade
bad_line '{"answer":"1","gold":"1"}' '{"answer":"1","gold":"many"}' 'gold' "$ESPALIER" grade
bad_line '{"answer":"1","gold":"1"}' '{"answer":1,' '' "$ESPALIER" grade

train=("$ESPALIER" train --model "$TINY" --dtype f32 --out place/trained --pairs)
good='{"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3]}'
bad_line "$good" '{"prompt_ids":[1],"chosen_ids":[2]}' 'rejected_ids' "${train[@]}"
bad_line "$good" '{"prompt":"a","chosen":"b"}' 'rejected' "${train[@]}"
bad_line "$good" '{"prompt_ids":[1],"chosen_ids":[],"rejected_ids":[3]}' 'chosen' "${train[@]}"
bad_line "$good" '{"prompt_ids":[1],"chosen_ids":[4000],"rejected_ids":[3]}' 'chosen' "${train[@]}"
bad_line "$good" '{"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3],"n_chosen":1}' 'n_rejected' "${train[@]}"
bad_line "$good" '{"prompt_ids":[1],"chosen_ids":[2],"rejected_ids":[3],"ref_logp_chosen":-1}' 'ref_logp_rejected' "${train[@]}"
bad_line "$good" 'nothing' '' "${train[@]}"
: > rows
refuses 'rows: holds no pairs' "${train[@]}" rows
refuses 'absent\.jsonl' "${train[@]}" absent.jsonl

python3 -c 'print("word " * 2000)' > long
refuses 'the prompt has [0-9]+ tokens, .* context of 512' "$ESPALIER" generate --model "$TINY" --prompt-file long

eval=("$ESPALIER" eval --model "$TINY" --dtype f32 --chat-template plain --max-tokens 4 --data)
problem='{"question":"1 + 1?","answer":"1 + 1 = 2\n#### 2"}'
bad_line "$problem" '{"question":"1 + 1?"}' 'answer' "${eval[@]}"
bad_line "$problem" '{"question":"1 + 1?","answer":"none"}' 'answer' "${eval[@]}"
python3 -c 'import json; print(json.dumps({"question": "word " * 2000, "answer": "#### 2"}))' > rows
refuses 'context' "${eval[@]}" rows

# A line of 70 MB in a file of some kilobytes.
head -c 70000000 /dev/zero | tr '\0' a | gzip > bomb.jsonl.gz
for command in "grade" "score --model $TINY" "eval --model $TINY --data"; do
    # shellcheck disable=SC2086
    refuses 'bomb\.jsonl\.gz:1: the line is longer than 64 MB' "$ESPALIER" $command bomb.jsonl.gz
done
