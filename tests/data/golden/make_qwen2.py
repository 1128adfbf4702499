#!/usr/bin/env python3
"""make_qwen2.py: two small random Qwen2 models into ../models, and qwen2.json: their log-probs and gradients.

Needs transformers (tools/setup-transformers). Log-probs are those of the forward pass below, plain NumPy in float64. The
model `qwen2-tiny` is made by transformers, whose log-probs (float32) must be within 2e-5 of those, and whose gradients are
the golden ones. The model `qwen2-wide-heads` has a head_dim that is not hidden_size / num_attention_heads, which
transformers 4.41 cannot do: the gradients of its biases are central differences of the forward pass."""
import json
import os

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from transformers import Qwen2Config, Qwen2ForCausalLM

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(HERE, '..', 'models')
VOCAB, LAYERS = 61, 2


def log_probs(c, w, ids):
    """log p(ids[i] | ids[:i]) for i = 1, 2, ... One row per token, heads one after another; nothing is shared with src/."""
    head_dim = c.get('head_dim', c['hidden_size'] // c['num_attention_heads'])
    heads, groups = c['num_attention_heads'], c['num_key_value_heads']
    n = len(ids)

    def norm(x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + c['rms_norm_eps']) * gain

    def rotate(x):
        half = head_dim // 2
        angle = np.arange(n)[:, None] / c['rope_theta'] ** (np.arange(half) * 2 / head_dim)
        a, b = x[:, :half], x[:, half:]
        return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)], 1)

    x = w['model.embed_tokens.weight'][ids]
    for layer in range(c['num_hidden_layers']):
        def p(name):
            return w[f'model.layers.{layer}.{name}']
        h = norm(x, p('input_layernorm.weight'))
        q, k, v = (h @ p(f'self_attn.{s}_proj.weight').T + p(f'self_attn.{s}_proj.bias') for s in 'qkv')
        out = []
        for head in range(heads):
            group = head // (heads // groups)
            own, other = slice(head * head_dim, (head + 1) * head_dim), slice(group * head_dim, (group + 1) * head_dim)
            score = rotate(q[:, own]) @ rotate(k[:, other]).T / np.sqrt(head_dim)
            score[np.triu_indices(n, 1)] = -np.inf
            score = np.exp(score - score.max(1, keepdims=True))
            out.append(score / score.sum(1, keepdims=True) @ v[:, other])
        x = x + np.concatenate(out, 1) @ p('self_attn.o_proj.weight').T
        h = norm(x, p('post_attention_layernorm.weight'))
        gate = h @ p('mlp.gate_proj.weight').T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ p('mlp.up_proj.weight').T)) @ p('mlp.down_proj.weight').T
    head = w['model.embed_tokens.weight' if c['tie_word_embeddings'] else 'lm_head.weight']
    logits = norm(x, w['model.norm.weight']) @ head.T
    top = logits.max(1, keepdims=True)
    whole = top[:, 0] + np.log(np.exp(logits - top).sum(1))
    return logits[np.arange(n - 1), ids[1:]] - whole[:-1]


def fill(name, shape, rng):
    """Large enough that every part of the layer matters."""
    if name.endswith('norm.weight'):
        return (1 + 0.2 * rng.standard_normal(shape)).astype(np.float32)
    scale = 0.5 if name.endswith('bias') else 0.25
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def texts(rng):
    return [[int(i) for i in rng.integers(0, VOCAB, n)] for n in (2, 9, 23, 40)]


def scored(rows, score):
    return [{'ids': ids, 'logprobs': [float(x) for x in score(np.array(ids))]} for ids in rows]


def tiny(rng):
    folder = os.path.join(MODELS, 'qwen2-tiny')
    config = Qwen2Config(vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=LAYERS,
                         num_attention_heads=3, num_key_value_heads=1, max_position_embeddings=64, rope_theta=1e6,
                         bos_token_id=1, eos_token_id=2, attn_implementation='eager')
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(fill(name, tuple(parameter.shape), rng)))
    model.save_pretrained(folder)
    os.remove(os.path.join(folder, 'generation_config.json'))
    weights = {name: p.detach().numpy().astype(np.float64) for name, p in model.named_parameters()}

    def of_torch(ids):
        table = torch.log_softmax(model(torch.tensor(ids)[None]).logits[0, :-1], -1)
        return table.gather(1, torch.tensor(ids)[1:, None])[:, 0]

    rows, known = texts(rng), json.load(open(os.path.join(folder, 'config.json')))
    worst = max(np.abs(of_torch(np.array(ids)).detach().numpy() - log_probs(known, weights, np.array(ids))).max()
                for ids in rows)
    print(f'transformers and NumPy differ by {worst:.1e}')
    assert worst < 2e-5
    prompt, completion = rows[2], rows[1]
    loss = -of_torch(np.array(prompt + completion))[len(prompt) - 1:].mean()
    loss.backward()
    grads = {}
    for name, p in model.named_parameters():
        g = p.grad.numpy()
        grads[name] = {'norm': float(np.linalg.norm(g)),
                       'first': [float(x) for x in (g if g.ndim == 1 else g.reshape(-1)[:8])]}
    return {'score': scored(rows, lambda ids: log_probs(known, weights, ids)),
            'sft': {'prompt': prompt, 'completion': completion, 'loss': float(loss.detach()), 'grads': grads}}


def wide_heads(rng):
    folder = os.path.join(MODELS, 'qwen2-wide-heads')
    os.makedirs(folder, exist_ok=True)
    c = {'architectures': ['Qwen2ForCausalLM'], 'model_type': 'qwen2', 'hidden_act': 'silu', 'vocab_size': VOCAB,
         'hidden_size': 20, 'intermediate_size': 36, 'num_hidden_layers': LAYERS, 'num_attention_heads': 2,
         'num_key_value_heads': 2, 'head_dim': 16, 'max_position_embeddings': 64, 'rms_norm_eps': 1e-6,
         'rope_theta': 10000.0, 'tie_word_embeddings': True, 'sliding_window': 32, 'use_sliding_window': False,
         'bos_token_id': 1, 'eos_token_id': 2, 'torch_dtype': 'float32'}
    width, inner, rows_of = c['hidden_size'], c['intermediate_size'], 2 * c['head_dim']
    shapes = {'model.embed_tokens.weight': (VOCAB, width), 'model.norm.weight': (width,)}
    for layer in range(LAYERS):
        p = f'model.layers.{layer}.'
        for s in 'qkv':
            shapes[p + f'self_attn.{s}_proj.weight'] = (rows_of, width)
            shapes[p + f'self_attn.{s}_proj.bias'] = (rows_of,)
        shapes[p + 'self_attn.o_proj.weight'] = (width, rows_of)
        shapes[p + 'mlp.gate_proj.weight'] = shapes[p + 'mlp.up_proj.weight'] = (inner, width)
        shapes[p + 'mlp.down_proj.weight'] = (width, inner)
        shapes[p + 'input_layernorm.weight'] = shapes[p + 'post_attention_layernorm.weight'] = (width,)
    save_file({name: fill(name, shape, rng) for name, shape in shapes.items()},
              os.path.join(folder, 'model.safetensors'), {'format': 'pt'})
    with open(os.path.join(folder, 'config.json'), 'w') as out:
        json.dump(c, out, indent=2)
        out.write('\n')
    weights = {name: x.astype(np.float64) for name, x in load_file(os.path.join(folder, 'model.safetensors')).items()}
    rows = texts(rng)
    prompt, completion = rows[2], rows[1]

    def loss():
        return -log_probs(c, weights, np.array(prompt + completion))[len(prompt) - 1:].mean()

    grads = {}
    for name, w in weights.items():
        if not name.endswith('bias'):
            continue
        g, h = np.zeros_like(w), 1e-5
        for i in range(len(w)):
            kept = w[i]
            w[i] = kept + h
            up = loss()
            w[i] = kept - h
            g[i] = (up - loss()) / (2 * h)
            w[i] = kept
        grads[name] = {'norm': float(np.linalg.norm(g)), 'first': [float(x) for x in g]}
    return {'score': scored(rows, lambda ids: log_probs(c, weights, ids)),
            'sft': {'prompt': prompt, 'completion': completion, 'loss': float(loss()), 'grads': grads}}


def main():
    rng = np.random.default_rng(20)
    with open(os.path.join(HERE, 'qwen2.json'), 'w') as out:
        json.dump({'qwen2-tiny': tiny(rng), 'qwen2-wide-heads': wide_heads(rng)}, out, indent=0)
        out.write('\n')


if __name__ == '__main__':
    main()
