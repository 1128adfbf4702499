#!/usr/bin/env python3
"""make_families.py: families.json, small models of every family: their log-probs and the slopes of a loss.

Everything is computed here by a forward pass in NumPy and float64, one head after another, that shares nothing with src/.
Weights and directions are functions of a tensor's name and an element's number (`numbers`), so that no weights are
stored: the test makes the same ones. The slope of a tensor is the central difference of the loss along its direction: the
gradient's product with the direction. Where transformers is installed (tools/setup-transformers), the families that it
knows are checked with it, log-probs and gradients; what was checked is printed and stored."""
import json
import os
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
VOCAB = 61


def numbers(name, count):
    """Uniform in [-1, 1), from 24 bits of splitmix64 of FNV-1a(name) + i."""
    state = 0xcbf29ce484222325
    for byte in name.encode():
        state = (state ^ byte) * 0x100000001b3 % 2**64
    z = np.uint64(state) + np.arange(count, dtype=np.uint64) * np.uint64(0x9e3779b97f4a7c15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xbf58476d1ce4e5b9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94d049bb133111eb)
    return ((z ^ (z >> np.uint64(31))) >> np.uint64(40)).astype(np.float64) / 2.0**23 - 1


def weight(name, shape, plus_one):
    """Large enough that every part of a layer matters."""
    u = numbers(name, int(np.prod(shape)))
    if name.endswith('norm.weight'):
        x = (0 if plus_one else 1) + 0.3 * u
    else:
        x = (0.5 if name.endswith('bias') else 0.4) * u
    return x.astype(np.float32).astype(np.float64).reshape(shape)


def bf16(x):
    bits = np.array(x, np.float32).view(np.uint32)
    return float(((bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000).astype(np.uint32).view(np.float32))


class Family:
    """What a configuration says, as the model's paper or release has it."""

    def __init__(self, config, context):
        self.c = c = config.get('text_config', config)
        self.kind = config['model_type'].removesuffix('_text')
        self.gemma = self.kind.startswith('gemma')
        self.heads, self.groups = c['num_attention_heads'], c['num_key_value_heads']
        self.head_dim = c.get('head_dim') or c['hidden_size'] // self.heads
        self.tied = c.get('tie_word_embeddings', False)
        self.context = context

    def shapes(self):
        c = self.c
        width, inner, e = c['hidden_size'], c['intermediate_size'], self.head_dim
        q, k = self.heads * e, self.groups * e
        out = {'model.embed_tokens.weight': (VOCAB, width)}
        for layer in range(c['num_hidden_layers']):
            p = f'model.layers.{layer}.'
            out[p + 'input_layernorm.weight'] = (width,)
            if self.kind == 'phi3':
                out[p + 'self_attn.qkv_proj.weight'] = (q + 2 * k, width)
                out[p + 'mlp.gate_up_proj.weight'] = (2 * inner, width)
            else:
                for s, rows in zip('qkv', (q, k, k)):
                    out[p + f'self_attn.{s}_proj.weight'] = (rows, width)
                    if self.kind == 'qwen2':
                        out[p + f'self_attn.{s}_proj.bias'] = (rows,)
                out[p + 'mlp.gate_proj.weight'] = out[p + 'mlp.up_proj.weight'] = (inner, width)
            if self.kind in ('qwen3', 'gemma3'):
                out[p + 'self_attn.q_norm.weight'] = out[p + 'self_attn.k_norm.weight'] = (e,)
            out[p + 'self_attn.o_proj.weight'] = (width, q)
            out[p + 'mlp.down_proj.weight'] = (width, inner)
            out[p + 'post_attention_layernorm.weight'] = (width,)
            if self.kind == 'gemma3':
                out[p + 'pre_feedforward_layernorm.weight'] = out[p + 'post_feedforward_layernorm.weight'] = (width,)
        out['model.norm.weight'] = (width,)
        if not self.tied:
            out['lm_head.weight'] = (VOCAB, width)
        return out

    def window(self, layer):
        c = self.c
        if self.kind == 'gemma3':
            return 0 if (layer + 1) % c['sliding_window_pattern'] == 0 else c['sliding_window']
        return c.get('sliding_window') or 0 if self.kind in ('mistral', 'phi3') else 0

    def frequencies(self, layer):
        """Angles per position, and what cosine and sine are multiplied by; None: no rotation."""
        c, scaling = self.c, self.c.get('rope_scaling') or {}
        kind = scaling.get('rope_type', scaling.get('type', 'default'))
        if self.kind == 'smollm3' and not c['no_rope_layers'][layer]:
            return None
        rotated = int(self.head_dim * c.get('partial_rotary_factor', 1))
        base = c['rope_theta']
        if self.kind == 'gemma3' and self.window(layer):
            base, kind = c['rope_local_base_freq'], 'default'
        f = base ** (-np.arange(0, rotated, 2) / rotated)
        if kind == 'linear':
            f = f / scaling['factor']
        if kind == 'llama3':
            old, low, high = (scaling[k] for k in ('original_max_position_embeddings', 'low_freq_factor',
                                                   'high_freq_factor'))
            turns = old * f / (2 * np.pi)
            smooth = (turns - low) / (high - low)
            f = np.where(turns > high, f, np.where(turns < low, f / scaling['factor'],
                                                   (1 - smooth) * f / scaling['factor'] + smooth * f))
        magnitude = 1.0
        if kind == 'longrope':
            old, longest = c['original_max_position_embeddings'], c['max_position_embeddings']
            f = f / np.array(scaling['long_factor' if self.context > old else 'short_factor'])
            magnitude = np.sqrt(1 + np.log(longest / old) / np.log(old)) if longest > old else 1.0
        return f, magnitude

    def log_probs(self, w, ids):
        """log p(ids[i] | ids[:i]) for i = 1, 2, ..."""
        c, n, e = self.c, len(ids), self.head_dim
        offset = 1.0 if self.gemma else 0.0

        def norm(x, gain):
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + c['rms_norm_eps']) * (offset + gain)

        def rotate(x, f):
            if f is None:
                return x
            half = len(f[0])
            angle = np.arange(n)[:, None] * f[0]
            cosine, sine = np.cos(angle) * f[1], np.sin(angle) * f[1]
            a, b, rest = x[:, :half], x[:, half:2 * half], x[:, 2 * half:]
            return np.concatenate([a * cosine - b * sine, b * cosine + a * sine, rest], 1)

        def gate(x):
            return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))) if self.gemma else x / (1 + np.exp(-x))

        x = w['model.embed_tokens.weight'][ids]
        if self.gemma:
            x = x * bf16(np.sqrt(c['hidden_size']))
        scale = c['query_pre_attn_scalar'] ** -0.5 if self.kind == 'gemma3' else e ** -0.5
        for layer in range(c['num_hidden_layers']):
            def p(name):
                return w[f'model.layers.{layer}.{name}']
            h = norm(x, p('input_layernorm.weight'))
            if self.kind == 'phi3':
                qkv = h @ p('self_attn.qkv_proj.weight').T
                q, k, v = np.split(qkv, [self.heads * e, (self.heads + self.groups) * e], 1)
            else:
                q, k, v = (h @ p(f'self_attn.{s}_proj.weight').T for s in 'qkv')
            if self.kind == 'qwen2':
                q, k, v = (x + p(f'self_attn.{s}_proj.bias') for x, s in zip((q, k, v), 'qkv'))
            own, window, out = np.arange(n), self.window(layer), []
            hidden = own[None, :] > own[:, None]
            if window:
                hidden |= own[None, :] <= own[:, None] - window
            for head in range(self.heads):
                group = head // (self.heads // self.groups)
                qh, kh, vh = (t[:, i * e:(i + 1) * e] for t, i in ((q, head), (k, group), (v, group)))
                if self.kind in ('qwen3', 'gemma3'):
                    qh, kh = norm(qh, p('self_attn.q_norm.weight')), norm(kh, p('self_attn.k_norm.weight'))
                f = self.frequencies(layer)
                score = rotate(qh, f) @ rotate(kh, f).T * scale
                score[hidden] = -np.inf
                score = np.exp(score - score.max(1, keepdims=True))
                out.append(score / score.sum(1, keepdims=True) @ vh)
            h = np.concatenate(out, 1) @ p('self_attn.o_proj.weight').T
            if self.kind == 'gemma3':
                x = x + norm(h, p('post_attention_layernorm.weight'))
                h = norm(x, p('pre_feedforward_layernorm.weight'))
            else:
                x = x + h
                h = norm(x, p('post_attention_layernorm.weight'))
            if self.kind == 'phi3':
                g, u = np.split(h @ p('mlp.gate_up_proj.weight').T, 2, 1)
            else:
                g, u = h @ p('mlp.gate_proj.weight').T, h @ p('mlp.up_proj.weight').T
            h = (gate(g) * u) @ p('mlp.down_proj.weight').T
            x = x + (norm(h, p('post_feedforward_layernorm.weight')) if self.kind == 'gemma3' else h)
        head = w['model.embed_tokens.weight' if self.tied else 'lm_head.weight']
        logits = norm(x, w['model.norm.weight']) @ head.T
        top = logits.max(1, keepdims=True)
        whole = top[:, 0] + np.log(np.exp(logits - top).sum(1))
        return logits[np.arange(n - 1), ids[1:]] - whole[:-1]


def base(kind, name, **more):
    c = {'architectures': [name], 'model_type': kind, 'hidden_act': 'silu', 'vocab_size': VOCAB, 'hidden_size': 20,
         'intermediate_size': 36, 'num_hidden_layers': 2, 'num_attention_heads': 4, 'num_key_value_heads': 2,
         'head_dim': 6, 'max_position_embeddings': 128, 'rms_norm_eps': 1e-5, 'rope_theta': 10000.0,
         'tie_word_embeddings': False, 'bos_token_id': 1, 'eos_token_id': 2}
    c.update(more)
    return c


def cases():
    """Name, configuration, context to open with."""
    llama3 = {'rope_type': 'llama3', 'factor': 8.0, 'low_freq_factor': 1.0, 'high_freq_factor': 4.0,
              'original_max_position_embeddings': 32}
    yield 'llama', base('llama', 'LlamaForCausalLM', hidden_size=24, eos_token_id=[2, 5, 7]), 128
    yield 'llama3', base('llama', 'LlamaForCausalLM', head_dim=16, rope_theta=500000.0, rope_scaling=llama3,
                         tie_word_embeddings=True), 128
    yield 'mistral', base('mistral', 'MistralForCausalLM', hidden_size=24, sliding_window=None), 128
    yield 'qwen2', base('qwen2', 'Qwen2ForCausalLM', hidden_size=24, use_sliding_window=False, sliding_window=16), 128
    yield 'qwen3', base('qwen3', 'Qwen3ForCausalLM', head_dim=10, rope_theta=1e6, tie_word_embeddings=True,
                        attention_bias=False), 128
    yield 'qwen3-wide', base('qwen3', 'Qwen3ForCausalLM', head_dim=64, num_attention_heads=2, num_key_value_heads=1), 128
    yield 'smollm3', base('smollm3', 'SmolLM3ForCausalLM', num_hidden_layers=5, no_rope_layers=[1, 1, 1, 0, 1],
                          tie_word_embeddings=True), 128
    yield 'mistral-window', base('mistral', 'MistralForCausalLM', hidden_size=24, num_hidden_layers=3, sliding_window=9), 128
    yield 'gemma', base('gemma', 'GemmaForCausalLM', hidden_activation='gelu_pytorch_tanh', hidden_size=16,
                        tie_word_embeddings=True), 128
    gemma3 = base('gemma3_text', 'Gemma3ForCausalLM', hidden_activation='gelu_pytorch_tanh', num_hidden_layers=7,
                  sliding_window=11, sliding_window_pattern=6, rope_theta=1e6, rope_local_base_freq=10000.0,
                  query_pre_attn_scalar=5, tie_word_embeddings=True, rope_scaling={'rope_type': 'linear', 'factor': 8.0})
    yield 'gemma3', gemma3, 128
    yield 'gemma3-wide', dict(gemma3, head_dim=64, num_attention_heads=2, num_key_value_heads=1, num_hidden_layers=4,
                              sliding_window_pattern=2, query_pre_attn_scalar=64, rope_scaling=None), 128
    yield 'phi3', base('phi3', 'Phi3ForCausalLM', hidden_size=24, sliding_window=13), 128
    factors = {'type': 'longrope', 'short_factor': [1.0, 1.1, 1.3], 'long_factor': [1.5, 2.0, 5.0]}
    for name, context in ('phi3-short', 64), ('phi3-long', 128):
        yield name, base('phi3', 'Phi3ForCausalLM', hidden_size=24, rope_scaling=factors,
                         original_max_position_embeddings=64), context
    yield 'phi4-mini', base('phi3', 'Phi3ForCausalLM', head_dim=8, partial_rotary_factor=0.75, rope_scaling=factors,
                            hidden_size=32, original_max_position_embeddings=64, tie_word_embeddings=True), 128
    yield 'smollm3-dense', base('smollm3', 'SmolLM3ForCausalLM', num_hidden_layers=4, no_rope_layers=[1, 0, 1, 0]), 128


def with_transformers(family, config, w, ids, weights):
    """Log-probs and gradients by transformers, where this version knows the family; else None."""
    import torch
    import transformers
    kinds = {'llama': 'Llama', 'mistral': 'Mistral', 'qwen2': 'Qwen2', 'phi3': 'Phi3', 'gemma': 'Gemma'}
    if family.kind not in kinds or (config.get('rope_scaling') or {}).get('rope_type') == 'llama3':
        return None
    known = dict(config)
    if family.kind != 'gemma' and known['hidden_size'] != known['num_attention_heads'] * known['head_dim']:
        return None
    if 'partial_rotary_factor' in known:
        return None
    if known.get('sliding_window') and family.kind in ('mistral', 'phi3'):
        known['sliding_window'] -= 1  # this version sees one key more than it says
    if family.kind == 'qwen2':
        known['sliding_window'] = None  # it looks at this number even where windows are off
    if known.get('rope_scaling'):
        known['rope_scaling'] = dict(known['rope_scaling'], type='su')
        known['rope_scaling'].pop('rope_type', None)
    kind = kinds[family.kind]
    made = getattr(transformers, kind + 'Config')(**known, attn_implementation='eager', pad_token_id=None)
    model = getattr(transformers, kind + 'ForCausalLM')(made)
    state = {name: torch.from_numpy(x.astype(np.float32)) for name, x in w.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {'lm_head.weight'}, (missing, unexpected)
    model.tie_weights()
    table = torch.log_softmax(model(torch.tensor(ids)[None]).logits[0, :-1].double(), -1)
    scores = table.gather(1, torch.tensor(ids)[1:, None])[:, 0]
    (scores * torch.from_numpy(weights[1:])).sum().backward()
    return scores.detach().numpy(), {name: p.grad.numpy() for name, p in model.named_parameters()}


def make(name, config, context, checked):
    family = Family(config, context)
    shapes = family.shapes()
    w = {t: weight(f'{name}/{t}', s, family.gemma) for t, s in shapes.items()}
    length = 70 if context > 64 else 40
    ids = ((numbers(name + '/ids', length) + 1) * VOCAB / 2).astype(int)
    weights = np.array([0.1 * (t % 5 - 1) for t in range(length)])

    def loss():
        return float((family.log_probs(w, ids) * weights[1:]).sum())

    scores, slopes = family.log_probs(w, ids), {}
    directions = {t: numbers(f'{name}/{t}/direction', w[t].size).reshape(w[t].shape) for t in shapes}
    for t in shapes:
        kept, h = w[t], 1e-6
        w[t] = kept + h * directions[t]
        up = loss()
        w[t] = kept - h * directions[t]
        slopes[t] = (up - loss()) / (2 * h)
        w[t] = kept
    other = with_transformers(family, config, w, ids, weights) if checked is not None else None
    if other:
        worst = np.abs(other[0] - scores).max()
        wide = max(abs((other[1][t] * directions[t]).sum() - s) / max(abs(s), 0.1) for t, s in slopes.items())
        print(f'{name}: transformers differs by {worst:.1e} in log-probs, {wide:.1e} in slopes')
        assert worst < 1e-4 and wide < 1e-3
        checked.append(name)
    return {'name': name, 'config': config, 'context': context, 'tensors': {t: list(s) for t, s in shapes.items()},
            'plus_one': family.gemma, 'ids': [int(i) for i in ids], 'logprobs': [round(float(x), 7) for x in scores],
            'slopes': {t: float(f'{s:.7g}') for t, s in slopes.items()}}


def main():
    try:
        import transformers
        checked, versions = [], {'transformers': transformers.__version__}
    except ImportError:
        checked, versions = None, {}
    made = [make(*case, checked) for case in cases()]
    versions.update(python=sys.version.split()[0], numpy=np.__version__)
    with open(os.path.join(HERE, 'families.json'), 'w') as out:
        json.dump({'made_with': versions, 'checked_with_transformers': checked or [], 'cases': made}, out, indent=0)
        out.write('\n')


if __name__ == '__main__':
    main()
