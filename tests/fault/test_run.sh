#!/bin/bash
# Runs that cannot be: recipes with mistakes, places that cannot be written to, a disk that fills up half way.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/fault/refuses.bash"
need_program

for i in 1 2 3 4 5 6; do
    printf '{"question":"Ann has %d apples and buys %d. How many?","answer":"%d + %d = %d\\n#### %d"}\n' \
        $i $i $i $i $((i + i)) $((i + i))
done > problems.jsonl
cat > good.yaml << YAML
run: {iterations: 1, problems_per_iteration: 2, wave: 1, threads: 1}
model: {path: $TINY, chat_template: plain, dtype: f32}
data: {train: problems.jsonl, test: problems.jsonl}
sft: {epochs: 1, batch: 4}
search: {max_steps: 2, max_step_tokens: 8, max_chain_tokens: 16}
eval: {max_tokens: 4}
YAML

# mistake PATTERN SED: the good recipe with one change.
mistake() {
    sed "$2" good.yaml > bad.yaml
    refuses "$1" "$ESPALIER" run bad.yaml --out place/run
    refuses "$1" "$ESPALIER" plan bad.yaml
}
mistake '^espalier: error: bad\.yaml:5:24: .*max_step_tokns.*max_step_tokens' 's/max_step_tokens/max_step_tokns/'
mistake 'bad\.yaml:4:1: .*sfft' 's/^sft:/sfft:/'
mistake 'bad\.yaml:1:19: .*run\.iterations' 's/iterations: 1,/iterations: many,/'
mistake 'bad\.yaml:1:19: .*run\.iterations' 's/iterations: 1,/iterations: -1,/'
mistake 'bad\.yaml:[56]:[0-9]+: ' 's/^search: .*/search: {max_steps: 2/'
mistake 'absent\.jsonl' 's/train: problems/train: absent/'
mistake 'nowhere: no such' "s#path: [^,]*#path: nowhere#"
refuses 'absent\.yaml' "$ESPALIER" run absent.yaml
expect_exit 2 "$ESPALIER" run good.yaml --set nothing
expect_exit 2 "$ESPALIER" run good.yaml --iterations many
printf '{"question":"1 + 1?"}\n' >> problems.jsonl
refuses 'problems\.jsonl:7: .*answer' "$ESPALIER" run good.yaml --out place/run
sed -i '$d' problems.jsonl

: > place/file
refuses 'place/file' "$ESPALIER" run good.yaml --out place/file/run
refuses '/proc' "$ESPALIER" run good.yaml --out /proc/run

# A disk that is full when the first checkpoint is written: the run says so, and with room it goes on to the bits of a
# run that had room from the start.
expect_exit 0 "$ESPALIER" run good.yaml --out whole
code=0
(ulimit -f 2000 && exec "$ESPALIER" run good.yaml --out limited) > out 2> err || code=$?
[ $code = 1 ] || fail "exit $code on the full disk"
[ "$(grep -c '^espalier: error: limited/.*File too large' err)" = 1 ] || fail "the error: $(cat err)"
expect_absent limited/checkpoints/*
expect_exit 0 "$ESPALIER" run good.yaml --out limited --resume
for checkpoint in sft iteration-1; do
    expect_same whole/checkpoints/$checkpoint/model.safetensors limited/checkpoints/$checkpoint/model.safetensors
done
