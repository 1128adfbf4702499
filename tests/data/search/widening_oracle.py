#!/usr/bin/env python3
"""widening_oracle.py > widening.json: scripted searches under the rule `widening`, solved here, independently of src/.

Written from docs/method.md: 2.10 (candidates one at a time, the judge accepts, the next chain begins at the most promising
state, the tree is done at its first correct chain), 2.4 and 2.4b (both scales of value), 2.5, 2.6 and the choice of the
answer. Nothing of src/ is used."""
import json
import random


def solve(config, root):
    nodes = [{"script": root, "up": None, "depth": 0, "kids": [], "N": 0, "V": 0.0, "Q": 0.0, "trust": 0.5, "asked": 0,
              "end": False, "sign": 0, "R": 0.0}]
    outcome_scale = config["value"] == "outcome"
    spent = 0
    chains = []

    def offer(state):
        """The next candidate below a state: a new node, the earlier one of the same text, or None."""
        nonlocal spent
        number = nodes[state]["asked"]
        nodes[state]["asked"] += 1
        if number >= len(nodes[state]["script"].get("children", [])):
            return None
        script = nodes[state]["script"]["children"][number]
        spent += script["tokens"]
        for kid in nodes[state]["kids"]:
            if nodes[kid]["script"]["step"] == script["step"]:
                return kid
        spent += script["tokens"]  # it is judged as well
        depth, outcome = nodes[state]["depth"] + 1, script.get("outcome")
        cut = outcome is None and depth >= config["max_steps"]
        O = outcome if outcome is not None else config["cut_reward"] if cut else 0
        C = script["confidence"]
        if outcome_scale:
            R = O if outcome is not None or cut else 2 * C - 1
        else:
            R = O + C
        nodes.append({"script": script, "up": state, "depth": depth, "kids": [], "N": 0, "V": 0.0, "trust": C, "asked": 0,
                      "end": outcome is not None or cut, "cut": cut, "sign": (O > 0) - (O < 0) if not cut or O < 0 else 0,
                      "R": R, "Q": R - nodes[state]["R"]})
        nodes[state]["kids"].append(len(nodes) - 1)
        return len(nodes) - 1

    def frontier():
        if any(n["sign"] > 0 for n in nodes):
            return None
        open_ones = [i for i, n in enumerate(nodes) if not n["end"] and (i == 0 or n["N"] > 0)]
        scores = [(nodes[i]["trust"] * 2 / (nodes[i]["N"] + 2), -i) for i in open_ones]
        return -max(scores)[1] if scores else None

    while len(chains) < config["iterations"] * config["root_multiplier"]:
        if config["tokens"] and spent >= config["tokens"]:
            break
        at = frontier()
        if at is None:
            break
        begin = at
        while not nodes[at]["end"]:
            most = config["breadth_root"] if nodes[at]["depth"] == 0 else config["breadth"]
            offers, taken = [], None
            while taken is None and len(offers) < most:
                kid = offer(at)
                if kid is None:
                    break
                offers.append(kid)
                if nodes[kid]["sign"] > 0 or nodes[kid]["trust"] >= config["accept"] * nodes[at]["trust"]:
                    taken = kid
            if taken is None and offers:
                taken = max(offers, key=lambda i: (nodes[i]["trust"], -offers.index(i)))
            if taken is None:
                break
            at = taken
            if nodes[at]["trust"] < config["stop_below"]:
                break
        chains.append([begin, at])
        while at is not None:
            n = nodes[at]
            for kid in n["kids"]:
                nodes[kid]["Q"] = nodes[kid]["R"] - n["R"] + config["gamma"] * nodes[kid]["V"]
            visits = sum(nodes[kid]["N"] for kid in n["kids"])
            if visits:
                n["V"] = sum(nodes[kid]["N"] * nodes[kid]["Q"] for kid in n["kids"]) / visits
            n["N"] += 1
            at = n["up"]

    def worth(i):
        n = nodes[i]
        if n["sign"] > 0:
            return (3, n["depth"], n["trust"], -i)
        if n["N"] and n["end"] and not n["cut"]:
            return (2, n["trust"], -i)
        return (1 if n["N"] else 0, n["depth"], n["trust"], -i)

    path, at = [], 0
    below = [i for i in range(1, len(nodes))]
    if below:
        best = max(below, key=worth)
        while best is not None:
            path.append(best)
            best = nodes[best]["up"]
        path = path[-2::-1]
        while nodes[path[-1]]["kids"]:  # nothing below the answer was better, but the search goes to a leaf
            last = path[-1]
            under = [i for i in range(1, len(nodes)) if last in ancestors(nodes, i)]
            step = max(under, key=worth)
            while nodes[step]["up"] != last:
                step = nodes[step]["up"]
            path.append(step)
    return {"chains": chains, "path": path, "spent": spent,
            "nodes": [{"up": -1 if n["up"] is None else n["up"], "N": n["N"], "Q": n["Q"], "V": n["V"], "R": n["R"]} for n in nodes]}


def ancestors(nodes, i):
    out = []
    while nodes[i]["up"] is not None:
        i = nodes[i]["up"]
        out.append(i)
    return out


def script(rng, depth, name):
    node = {"step": name, "tokens": rng.randint(1, 12), "logprob": round(-rng.uniform(0.1, 8), 4),
            "confidence": round(rng.random(), 4), "outcome": None}
    if depth and rng.random() < 0.15 * depth:
        node["outcome"] = rng.choice([1, -1, -1, -1, -1, 0.5, -0.25, -0.25])
    elif depth < 4:
        names = [chr(97 + rng.choice([i, i, i, max(i - 1, 0)])) for i in range(rng.choice([0, 2, 3, 4]))]
        node["children"] = [script(rng, depth + 1, name + n) for n in names]
    return node


def case(number):
    rng = random.Random(number)
    config = {"rule": "widening", "iterations": rng.choice([1, 5, 12, 20]), "root_multiplier": rng.choice([1, 2]),
              "breadth_root": rng.randint(1, 5), "breadth": rng.randint(1, 4), "horizon": 4,
              "max_steps": rng.randint(2, 6), "cut_reward": rng.choice([0, -1]), "gamma": rng.choice([1.0, 0.9]),
              "prior": "length_normalised", "lambda": 1.0, "smoothing_cap": 0.5, "pairs_from": "visited",
              "accept": rng.choice([0.0, 0.6, 0.8, 1.0, 3.0]), "stop_below": rng.choice([0.0, 0.0, 0.2]),
              "tokens": rng.choice([0, 0, 60, 150]), "value": rng.choice(["sum", "outcome"])}
    root = {"children": [script(rng, 1, chr(97 + i)) for i in range(rng.randint(1, 7))]}
    return {"config": config, "root": root, "expected": solve(config, root)}


def rounded(value):
    if isinstance(value, float):
        return round(value, 10)
    if isinstance(value, dict):
        return {name: rounded(member) for name, member in value.items()}
    return [rounded(member) for member in value] if isinstance(value, list) else value


if __name__ == "__main__":
    print("[" + ",\n".join(json.dumps(rounded(case(n)), separators=(",", ":")) for n in range(30)) + "]")
