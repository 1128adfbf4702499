#!/usr/bin/env python3
"""gumbel_oracle.py > gumbel.json: scripted searches under the rule `gumbel`, solved here, independently of src/.

Written from Danihelka et al., "Policy improvement by planning with Gumbel" (ICLR 2022): Gumbel-Top-k, sequential
halving (algorithm 2), completed Q and sigma (section 3, appendix D), deterministic selection below the root (equation
14); and from docs/method.md 2.2 to 2.7 and 2.9 for what this search adds (rewards, kept subtrees). Random numbers are
those of src/base/random.h, since the noise of a candidate is part of the result."""
import json
import math
import random

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def avalanche(x):
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def key(seed):
    return avalanche((seed + GOLDEN) & MASK)


def mix(k, word):
    return avalanche(avalanche((k + GOLDEN) & MASK) ^ avalanche((word + 2 * GOLDEN) & MASK))


def uniform(k):
    return (avalanche((avalanche(k) + GOLDEN) & MASK) >> 11) * 2.0 ** -53


class Node:
    def __init__(self, script, parent, number):
        self.script, self.parent, self.number = script, parent, number
        self.children, self.expanded = [], False
        self.N, self.V, self.Q, self.r, self.R, self.p = 0, 0.0, 0.0, 0.0, 0.0, 1.0
        self.depth = parent.depth + 1 if parent else 0


class Search:
    def __init__(self, config, root):
        self.c = config
        self.nodes = [Node(root, None, 0)]
        self.noise_key = mix(key(config["seed"]), int.from_bytes(b"gumbel", "big"))
        self.commitments = []

    # ---- the tree (docs/method.md 2.2 to 2.6)
    def ended(self, n):
        return n.script.get("outcome") is not None or (n.depth > 0 and n.depth >= self.c["max_steps"])

    def expand(self, n):
        n.expanded = True
        breadth = self.c["breadth_root"] if n.depth == 0 else self.c["breadth"]
        for script in n.script.get("children", [])[:breadth]:
            child = Node(script, n, len(self.nodes))
            length = script["tokens"] ** self.c["lambda"]
            child.p = math.exp(script["logprob"] / length)
            outcome = script.get("outcome")
            O = outcome if outcome is not None else self.c["cut_reward"] if self.ended(child) else 0
            child.R = O + script["confidence"]
            child.r = child.Q = child.R - n.R
            self.nodes.append(child)
            n.children.append(child)

    def back_up(self, leaf, root):
        n = leaf
        while True:
            for child in n.children:
                child.Q = child.r + self.c["gamma"] * child.V
            visits = sum(child.N for child in n.children)
            if visits:
                n.V = sum(child.N * child.Q for child in n.children) / visits
            n.N += 1
            if n is root:
                return
            n = n.parent

    # ---- the paper
    def logits(self, n):
        return [math.log(child.p) for child in n.children]

    def completed(self, n):
        weights = [math.exp(x) for x in self.logits(n)]
        prior = [w / sum(weights) for w in weights]
        visits = sum(child.N for child in n.children)
        seen = [(p, child.Q) for p, child in zip(prior, n.children) if child.N]
        mean = sum(p * q for p, q in seen) / sum(p for p, _ in seen) if seen else 0.0
        v_mix = (0.0 + visits * mean) / (1 + visits)
        return [child.Q if child.N else v_mix for child in n.children]

    def sigma(self, n):
        q = self.completed(n)
        span = max(max(q) - min(q), 1e-8)
        most = max(child.N for child in n.children)
        return [(self.c["c_visit"] + most) * self.c["c_scale"] * (x - min(q)) / span for x in q]

    def improved(self, n):
        scores = [a + b for a, b in zip(self.logits(n), self.sigma(n))]
        weights = [math.exp(s - max(scores)) for s in scores]
        return [w / sum(weights) for w in weights]

    def gumbel(self, child):
        u = uniform(mix(self.noise_key, child.number)) + 2.0 ** -54
        return -math.log(-math.log(u)) * self.c["gumbel_scale"]

    def schedule(self, candidates, budget):
        """Visit counts in the order of the simulations."""
        if candidates <= 1:
            return list(range(budget))
        counts, left, order = [0] * candidates, candidates, []
        rounds = math.ceil(math.log2(candidates))
        while len(order) < budget:
            for _ in range(max(1, budget // (rounds * left))):
                order += counts[:left]
                for i in range(left):
                    counts[i] += 1
            left = max(2, left // 2)
        return order[:budget]

    def at_root(self, root, since, wanted):
        scores = [self.gumbel(child) + l + s for child, l, s in zip(root.children, self.logits(root), self.sigma(root))]
        fit = [i for i, child in enumerate(root.children) if child.N - since.get(child.number, 0) == wanted]
        return root.children[max(fit, key=lambda i: (scores[i], -i))]

    def below(self, n):
        visits = sum(child.N for child in n.children)
        ahead = [p - child.N / (1 + visits) for p, child in zip(self.improved(n), n.children)]
        return n.children[ahead.index(max(ahead))]

    # ---- the loop (2.7)
    def run(self):
        root = self.nodes[0]
        while not self.ended(root):
            budget = self.c["iterations"] * (self.c["root_multiplier"] if root.depth == 0 else 1)
            since = {child.number: child.N for child in root.children}
            for simulation in range(budget):
                n = root
                while not self.ended(n) and n.depth - root.depth < self.c["horizon"]:
                    if not n.expanded:
                        self.expand(n)
                    if not n.children:
                        break
                    if n is root:
                        order = self.schedule(min(self.c["max_considered"], len(n.children)), budget)
                        n = self.at_root(root, since, order[simulation])
                    else:
                        n = self.below(n)
                self.back_up(n, root)
            if not root.children:
                break
            most = max(child.N - since.get(child.number, 0) for child in root.children)
            picked = self.at_root(root, since, most)
            self.commitments.append({
                "state": root.number, "N": root.N, "V": root.V, "picked": root.children.index(picked),
                "policy": self.improved(root),
                "children": [{"N": child.N, "Q": child.Q, "V": child.V} for child in root.children]})
            root = picked
        return {"steps": self.commitments, "nodes": len(self.nodes),
                "policies": [self.improved(n) if n.children else [] for n in self.nodes]}


def script(rng, depth, name):
    tokens = rng.randint(1, 12)
    node = {"step": name, "tokens": tokens, "logprob": round(-rng.uniform(0.1, 3) * tokens, 4),
            "confidence": round(rng.random(), 4), "outcome": None}
    if depth and rng.random() < 0.15 * depth:
        node["outcome"] = rng.choice([1, -1])
    elif depth < 5:
        node["children"] = [script(rng, depth + 1, name + chr(97 + i)) for i in range(rng.choice([0, 2, 3, 4]))]
    return node


def case(number):
    rng = random.Random(number)
    config = {"rule": "gumbel", "iterations": rng.choice([1, 2, 5, 8, 16, 33]), "root_multiplier": rng.choice([1, 3]),
              "breadth_root": rng.randint(1, 6), "breadth": rng.randint(1, 4), "horizon": rng.randint(1, 5),
              "max_steps": rng.randint(2, 6), "cut_reward": rng.choice([0, -1]), "gamma": rng.choice([1.0, 0.9]),
              "prior": "length_normalised", "lambda": rng.choice([1.0, 1.25]), "smoothing_cap": 0.5,
              "pairs_from": "visited", "max_considered": rng.choice([1, 2, 3, 4, 16]),
              "c_visit": rng.choice([50.0, 5.0]), "c_scale": rng.choice([0.1, 1.0]),
              "gumbel_scale": rng.choice([0.0, 1.0, 1.0]), "seed": rng.randrange(1 << 32)}
    root = {"children": [script(rng, 1, chr(97 + i)) for i in range(rng.randint(2, 6))]}
    return {"config": config, "root": root, "expected": Search(config, root).run()}


def rounded(value):
    if isinstance(value, float):
        return round(value, 10)
    if isinstance(value, dict):
        return {name: rounded(member) for name, member in value.items()}
    return [rounded(member) for member in value] if isinstance(value, list) else value


if __name__ == "__main__":
    print("[" + ",\n".join(json.dumps(rounded(case(n)), separators=(",", ":")) for n in range(30)) + "]")
