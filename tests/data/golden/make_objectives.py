#!/usr/bin/env python3
"""make_objectives.py: objectives.json, policy gradients and lists by torch autograd in float64.

Needs torch (tools/setup-transformers). The formulas are written as their papers have them, with whole tensors; nothing is
shared with src/. Inputs are random float32 numbers where the program stores float32, so that no digit is lost on the way."""
import json
import os

import torch

torch.manual_seed(7)
HERE = os.path.dirname(os.path.abspath(__file__))


def numbers(tensor):
    return [float(x) for x in tensor.detach().reshape(-1)]


def log_probs(n):
    """Of sampled tokens: some near 0, some far below."""
    return (-torch.rand(n) ** 3 * 6).float().double()


def clipped(n, advantage, low, high, mask_above):
    """The clipped surrogate of n tokens, summed: PPO's eq. 7 with two bounds, negated; and what is reported of it."""
    sampled = log_probs(n)
    moved = (sampled + torch.randn(n).double() * 0.3).clamp(max=0)
    logp = moved.float().double().requires_grad_()
    ratio = torch.exp(logp - sampled)
    term = torch.minimum(ratio * advantage, ratio.clamp(1 - low, 1 + high) * advantage)
    kept = torch.ones(n, dtype=torch.bool) if advantage >= 0 or mask_above == 1 else sampled.exp() <= mask_above
    value = -(term * kept).sum()
    value.backward()
    outside = ((ratio > 1 + high) if advantage > 0 else (ratio < 1 - low) & (advantage < 0)) & kept
    return {"sampled": numbers(sampled), "logp": numbers(logp), "advantage": advantage, "clip_low": low,
            "clip_high": high, "mask_above": mask_above, "value": value.item(), "dlogp": numbers(logp.grad),
            "clipped": int(outside.sum()), "kl": (ratio - 1 - (logp - sampled)).sum().item()}


def group(rewards):
    """GRPO's and RLOO's advantages of one group of rewards."""
    r = torch.tensor(rewards, dtype=torch.float64)
    others = torch.stack([torch.cat([r[:i], r[i + 1:]]).mean() for i in range(len(r))])
    return {"rewards": rewards, "grpo": numbers((r - r.mean()) / (r.std() + 1e-4)), "rloo": numbers(r - others)}


def listwise(n, beta, temperature):
    """Cross entropy of softmax(value / temperature) and the softmax of the implicit rewards."""
    reference = -torch.rand(n).double() * 30
    logp = (reference + torch.randn(n).double() * 4).clamp(max=-0.01).requires_grad_()
    value = torch.rand(n).double()
    target = torch.softmax(value / temperature, 0)
    loss = -(target * torch.log_softmax(beta * (logp - reference), 0)).sum()
    loss.backward()
    return {"logp": numbers(logp), "reference": numbers(reference), "values": numbers(value), "beta": beta,
            "value_temperature": temperature, "value": loss.item(), "dlogp": numbers(logp.grad)}


def main():
    cases = {
        "clipped": [clipped(n, a, low, high, mask) for n in (1, 7, 40) for a in (1.3, -0.4, 0.0)
                    for low, high, mask in ((0.2, 0.28, 1), (0.1, 0.5, 0.9), (0.2, 0.2, 0.6))],
        "groups": [group(r) for r in ([1.0, -1.0], [1.0, -1.0, -1.0, -1.0, 1.0, -1.0, -1.0, -1.0],
                                      [0.25, 1.0, -1.0], [1.0, 0.999, 1.0, 1.0])],
        "listwise": [listwise(n, beta, t) for n in (2, 3, 8) for beta, t in ((0.1, 0.25), (1.0, 0.25), (0.5, 2.0))],
    }
    with open(os.path.join(HERE, "objectives.json"), "w", encoding="utf-8") as out:
        json.dump(cases, out, indent=1)
        out.write("\n")


main()
