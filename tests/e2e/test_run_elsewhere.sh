#!/bin/bash
# A run that goes on from another working folder finds its files; one whose problems or model have changed is refused.
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/e2e/run.bash"
make_strike

# here/ has recipe, data and model, all named by relative paths.
mkdir -p here other
cp train.jsonl test.jsonl "$RECIPES/tiny.yaml" here
cp -rL "$TINY" here/model
chmod -R u+w here/model
near=(--model model --train train.jsonl --test test.jsonl)
expect_exit 0 env -C here "${STRIKE[@]}" "STRIKE_COUNT=$WORK/calls" "$ESPALIER" run tiny.yaml "${near[@]}" --out whole
expect_exit 3 env -C here "${STRIKE[@]}" "STRIKE_AT=$(($(cat calls) / 2))" STRIKE_SIGNAL=2 \
    "$ESPALIER" run tiny.yaml "${near[@]}" --out stopped
case $(position_of here/stopped) in done*) fail "it was not stopped half way" ;; esac
for copy in otherwise another data weights; do cp -r here/stopped "here/$copy"; done
expect_in here/stopped/recipe.yaml '^  path: "?model"?$' # as it was written: the folder that it means is kept apart
resume() { # FOLDER CODE RUN ARGS...
    local folder=$1 code=$2 run=$3
    shift 3
    LIB_FRAME=1 expect_exit "$code" env -C "$folder" "$ESPALIER" run "$RECIPES/tiny.yaml" --out "$WORK/$run" --resume "$@"
}

# The same words mean the files that they meant, also where other files have those names.
mkdir -p other/model
echo '{"question": "What?", "answer": "#### 1"}' > other/train.jsonl
resume other 0 here/stopped "${near[@]}"
same_runs here/whole here/stopped
# Other words for the same files.
resume other 0 here/otherwise --model "$WORK/here/model" --train ../here/train.jsonl --test ../here/./test.jsonl
same_runs here/whole here/otherwise
# Other files are another recipe, with the same problems in them or not.
cp here/train.jsonl other/mine.jsonl
resume other 1 here/another --model model --train mine.jsonl --test test.jsonl
expect_in err 'the recipe has changed: .*data\.train: '
# The pairs of a run that learned nothing yet are spelled by the model's own tokenizer.
expect_exit 0 env -C here "$ESPALIER" search tiny.yaml "${near[@]}" --set sft.epochs=0 --iterations 1 --out unlearned
expect_exit 0 env -C other "$ESPALIER" pairs "$WORK/here/unlearned" --format trl

# A chat template in a file of its own: found from elsewhere, and refused when it has changed.
echo "{% for m in messages %}{{ m['content'] }}{{ '\n' }}{% endfor %}" > here/words.jinja
expect_exit 0 env -C here "$ESPALIER" run tiny.yaml "${near[@]}" --out worded --chat-template words.jinja --iterations 1
resume other 0 here/worded "${near[@]}" --chat-template words.jinja --iterations 1
echo 'Answer:' >> here/words.jinja
resume here 1 here/worded "${near[@]}" --chat-template words.jinja --iterations 1
expect_in err 'the words of the chat template \(words\.jinja\) have changed since the run began'

# Another file under the same name.
sed -i 's/It is 2\./It is two./' here/train.jsonl
resume here 1 here/data "${near[@]}"
expect_in err 'data: the training problems \(train\.jsonl\) have changed since the run began'
expect_in err 'put back what the run began with'
resume other 1 here/data "${near[@]}"
cp train.jsonl here/train.jsonl
resume here 0 here/data "${near[@]}"
same_runs here/whole here/data
# Another model: a byte of its weights.
cp -r here/model here/kept
printf '\x01' | dd of=here/model/model.safetensors bs=1 seek=100001 conv=notrunc status=none
if cmp -s here/model/model.safetensors here/kept/model.safetensors; then
    printf '\x02' | dd of=here/model/model.safetensors bs=1 seek=100001 conv=notrunc status=none
fi
resume here 1 here/weights "${near[@]}"
expect_in err "weights: the model's files \\(model\\) have changed since the run began"
rm -r here/model
mv here/kept here/model
# A run that was moved, with all its files: what is not where it was is looked for here.
mv here there
resume there 0 there/weights "${near[@]}"
same_runs there/whole there/weights
