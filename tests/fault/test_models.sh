#!/bin/bash
# Models that are damaged, unsupported or too large: one clear error from every verb that opens them.
# timeout: 600
. "$(dirname "$0")/../lib.sh"
. "$ESPALIER_SOURCE_DIR/tests/fault/refuses.bash"
need_program
echo '{"ids":[80,39]}' > line
echo '{"prompt_ids":[80],"chosen_ids":[39],"rejected_ids":[40]}' > pairs

# broken PATTERN: the model in the folder `model` is refused by score, import and train alike.
broken() {
    refuses "$1" "$ESPALIER" score --model model line
    refuses "$1" "$ESPALIER" import model place/imported
    refuses "$1" "$ESPALIER" train --model model --pairs pairs --out place/trained
    rm -rf model
}
fresh() {
    rm -rf model
    mkdir model
    cp "$TINY"/*.json "$TINY"/model.safetensors model
    chmod u+w model/*
}
# edit_header SCRIPT: changes the tensors' table `h` of the safetensors header, the data left as they are.
edit_header() {
    python3 - "$1" << 'PYTHON'
import json, struct, sys
data = open('model/model.safetensors', 'rb').read()
n = struct.unpack('<Q', data[:8])[0]
h = json.loads(data[8:8 + n])
exec(sys.argv[1])
head = json.dumps(h).encode()
open('model/model.safetensors', 'wb').write(struct.pack('<Q', len(head)) + head + data[8 + n:])
PYTHON
}

# --- safetensors
for bytes in 0 5 100 2000 1000000; do
    fresh
    truncate -s $bytes model/model.safetensors
    broken 'model\.safetensors'
done
fresh
edit_header "t = h['model.layers.1.mlp.up_proj.weight']; t['shape'] = t['shape'][::-1]"
broken 'model\.safetensors: tensor model\.layers\.1\.mlp\.up_proj\.weight has shape \[128, 384\], .*\[384, 128\]'
fresh
edit_header "h['model.norm.weight']['dtype'] = 'I32'"
broken 'model\.norm\.weight.*I32|I32.*model\.norm\.weight'
fresh
edit_header "h['model.norm.weight']['dtype'] = 'BF16'"
broken 'model\.norm\.weight'
fresh
edit_header "del h['model.layers.0.self_attn.q_proj.weight']"
broken 'model\.layers\.0\.self_attn\.q_proj\.weight|not covered|gap'
fresh
rm model/model.safetensors
broken 'model'

# --- configuration
fresh
sed -i 's/LlamaForCausalLM/GPT2LMHeadModel/' model/config.json
broken 'config\.json.*GPT2LMHeadModel'
fresh
sed -i 's/"model_type": "llama"/"model_type": "gpt2"/; s/LlamaForCausalLM/FalconForCausalLM/' model/config.json
broken 'config\.json.*Falcon'
fresh
truncate -s 100 model/config.json
broken 'config\.json'
fresh
sed -i '/hidden_size/d' model/config.json
broken 'config\.json.*hidden_size'
refuses 'nowhere: no such model' "$ESPALIER" score --model nowhere line

# --- tokenizer
fresh
truncate -s 5000 model/tokenizer.json
refuses 'tokenizer\.json' "$ESPALIER" tokenize --model model --text word
refuses 'tokenizer\.json' "$ESPALIER" generate --model model --prompt word
refuses 'tokenizer\.json' "$ESPALIER" import model place/imported
echo '{"text":"word"}' > text
refuses 'tokenizer\.json' "$ESPALIER" score --model model text
expect_exit 0 "$ESPALIER" score --model model line # ids need none

# --- numbers that are not finite: no verb gives figures or a copy of such weights
printf '{"question":"1+1?","answer":"1 + 1 = 2\\n#### 2"}\n' > problems
# set_number TENSOR INDEX BITS: one number of the model's weights, which are f32.
set_number() {
    python3 - "$@" << 'PYTHON'
import json, struct, sys
name, index, bits = sys.argv[1], int(sys.argv[2]), int(sys.argv[3], 16)
data = bytearray(open('model/model.safetensors', 'rb').read())
n = 8 + struct.unpack('<Q', data[:8])[0]
header = json.loads(data[8:n])
at = n + header[name]['data_offsets'][0] + 4 * index
assert header[name]['dtype'] == 'F32'
data[at:at + 4] = struct.pack('<I', bits)
open('model/model.safetensors', 'wb').write(data)
PYTHON
}
not_finite() { # TENSOR INDEX BITS
    fresh
    set_number "$@"
    local error="model\.safetensors: tensor \"${1//./\\.}\": element $2 is"
    refuses "$error" "$ESPALIER" generate --model model --prompt Once --max-tokens 4
    refuses "$error" "$ESPALIER" eval --model model --task gsm8k --chat-template plain --data problems --max-tokens 4
    refuses "$error" "$ESPALIER" import model place/imported --dtype bf16
    refuses "$error" "$ESPALIER" plan quick.yaml
    refuses "$error" "$ESPALIER" bench --model model --only decode
    expect_exit 1 "$ESPALIER" run quick.yaml --out run-$2
    expect_in err "$error"
    expect_exit 1 "$ESPALIER" search quick.yaml --out search-$2
    expect_in err "$error"
    broken "$error"
}
cat > quick.yaml << 'YAML'
run: {iterations: 1, problems_per_iteration: 1, wave: 1, threads: 1}
model: {path: model, chat_template: plain, dtype: f32}
data: {train: problems, test: problems}
search: {max_steps: 2, max_step_tokens: 8, max_chain_tokens: 16}
eval: {max_tokens: 4}
YAML
not_finite model.norm.weight 5 7fc00000
not_finite model.layers.1.mlp.down_proj.weight 40000 ff800000
not_finite lm_head.weight 100000 7f800001

# Finite weights whose sums are not: the log-probs are refused.
fresh
for i in 0 1 2 3 4 5 6 7; do set_number model.norm.weight $i 7f7fff00; done
refuses 'log-probs are not finite' "$ESPALIER" generate --model model --dtype f32 --prompt Once --max-tokens 4
refuses 'log-probs are not finite' "$ESPALIER" eval --model model --dtype f32 --task gsm8k --chat-template plain --data problems --max-tokens 4

# --- GGUF: a header that promises more than there is
mkdir gguf
printf 'GGUF\3\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0' > gguf/short.gguf
refuses 'short\.gguf' "$ESPALIER" score --model gguf/short.gguf line
refuses 'short\.gguf' "$ESPALIER" import gguf/short.gguf place/imported
if [ -r "$SMOLLM2" ]; then
    for bytes in 10 4000 2000000 90000000; do
        head -c $bytes "$SMOLLM2" > gguf/cut.gguf
        refuses 'cut\.gguf' "$ESPALIER" score --model gguf/cut.gguf line
        refuses 'cut\.gguf' "$ESPALIER" import gguf/cut.gguf place/imported
    done
    rm gguf/cut.gguf
elif [ -n "${CI:-}" ]; then
    need_smollm2
fi

# --- what is no file: refused at once, not waited for and not read without an end
for kind in fifo zero folder; do
    for name in config.json tokenizer.json model.safetensors; do
        rm -rf odd
        cp -r "$TINY" odd
        chmod -R u+w odd
        rm odd/$name
        case $kind in
        fifo) mkfifo odd/$name ;;
        zero) ln -s /dev/zero odd/$name ;;
        folder) mkdir odd/$name ;;
        esac
        refuses "odd/$name: .*(regular file|directory)" timeout 20 "$ESPALIER" generate --model odd --prompt a
    done
done

# --- memory: two trillion bytes of weights in a file of holes; said before loading, with the figures
mkdir huge
cp "$TINY"/tokenizer*.json huge
python3 - << 'PYTHON' || skip "this file system has no files of two terabytes with holes"
import json, struct
D, F, V, L, H = 32768, 4 * 32768, 2048, 64, 256
config = dict(architectures=['LlamaForCausalLM'], model_type='llama', hidden_size=D, intermediate_size=F, vocab_size=V,
              num_hidden_layers=L, num_attention_heads=H, num_key_value_heads=H, max_position_embeddings=512,
              rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True, hidden_act='silu', torch_dtype='bfloat16')
json.dump(config, open('huge/config.json', 'w'))
shapes = {'model.embed_tokens.weight': [V, D], 'model.norm.weight': [D]}
for i in range(L):
    p = f'model.layers.{i}.'
    for n in 'qkvo': shapes[p + f'self_attn.{n}_proj.weight'] = [D, D]
    shapes[p + 'mlp.gate_proj.weight'] = shapes[p + 'mlp.up_proj.weight'] = [F, D]
    shapes[p + 'mlp.down_proj.weight'] = [D, F]
    shapes[p + 'input_layernorm.weight'] = shapes[p + 'post_attention_layernorm.weight'] = [D]
header, at = {}, 0
for name, shape in shapes.items():
    size = 2
    for n in shape: size *= n
    header[name] = dict(dtype='BF16', shape=shape, data_offsets=[at, at + size])
    at += size
head = json.dumps(header).encode()
with open('huge/model.safetensors', 'wb') as f:
    f.write(struct.pack('<Q', len(head)) + head)
    f.truncate(8 + len(head) + at)
PYTHON
figures='huge: needs [0-9]+\.[0-9]+ GB of memory, [0-9]+\.[0-9]+ GB are free'
refuses "$figures" "$ESPALIER" score --model huge line
refuses "$figures" "$ESPALIER" generate --model huge --prompt word
refuses "$figures" "$ESPALIER" train --model huge --pairs pairs --out place/trained
printf '{"question":"1+1?","answer":"1 + 1 = 2\\n#### 2"}\n' > problems
refuses 'GB' "$ESPALIER" run --model huge --train problems --test problems --out place/run /dev/null
refuses 'GB' "$ESPALIER" eval --model huge --data problems
