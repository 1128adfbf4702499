#!/usr/bin/env python3
"""An independent, slow and plain implementation of the tree search in docs/method.md (section 2), over a scripted
policy: a JSON tree that says which steps the policy would propose where. It exists to check another implementation.

  oracle.py solve CASE.json        print what the search must produce
  oracle.py check CASE.json        exit 1 unless CASE's "expected" is what `solve` gives
  oracle.py make SEED N DIR        write N random cases, each with its "expected"
"""
import json, math, random, sys

class Node:
    def __init__(self, script, parent=None):
        self.script, self.parent, self.children = script, parent, None
        self.depth = 0 if parent is None else parent.depth + 1
        self.N, self.V, self.Q, self.r, self.R, self.prior = 0, 0.0, 0.0, 0.0, 0.0, 1.0

def prior(kind, logprob, tokens, lam):
    if kind == 'length_normalised': return math.exp(logprob / tokens ** lam)
    if kind == 'probability_over_length': return math.exp(logprob) / tokens ** lam
    raise ValueError(kind)

def finished(node): return node.script.get('outcome') is not None
def cut(node, cfg): return not finished(node) and node.depth >= cfg['max_steps']
def ended(node, cfg): return finished(node) or cut(node, cfg)

def expand(node, cfg):
    b = cfg['breadth_root'] if node.depth == 0 else cfg['breadth']
    node.children = []
    for s in node.script.get('children', [])[:b]:
        if any(s['step'] == c.script['step'] for c in node.children): continue   # the same step twice is one child
        c = Node(s, node)
        o = s['outcome'] if finished(c) else cfg['cut_reward'] if cut(c, cfg) else 0
        c.R = o + s['confidence']                                       # R = O + C
        c.r = c.R - node.R
        c.Q = c.r                                                       # Q before the first visit: r + gamma * 0
        c.prior = prior(cfg['prior'], s['logprob'], s['tokens'], cfg['lambda'])
        node.children.append(c)

def puct(parent, child, cfg):
    return child.Q + cfg['c_puct'] * child.prior * math.sqrt(parent.N) / (1 + child.N)

def best(items, key):
    b = 0
    for i in range(1, len(items)):
        if key(items[i]) > key(items[b]): b = i
    return b

def simulate(top, cfg):
    if cfg['root_counts_twice']: top.N += 1
    path = [top]
    while not ended(path[-1], cfg) and path[-1].depth - top.depth < cfg['horizon']:
        n = path[-1]
        if n.children is None: expand(n, cfg)
        if not n.children: break
        path.append(n.children[best(n.children, lambda c: puct(n, c, cfg))])
    for n in reversed(path):
        if n.children:
            weight = [max(1, c.N) if cfg['unvisited_counts_one'] else c.N for c in n.children]
            for c in n.children: c.Q = c.r + cfg['gamma'] * c.V
            if sum(weight): n.V = sum(w * c.Q for w, c in zip(weight, n.children)) / sum(weight)
        n.N += 1

def spread(node):
    v = [c.N for c in node.children or []]
    return max(v) - min(v) if v else 0

def solve(case):
    cfg = case['config']
    top, steps = Node(case['root']), []
    while not ended(top, cfg):
        for _ in range(cfg['iterations'] * (cfg['root_multiplier'] if top.depth == 0 else 1)): simulate(top, cfg)
        if not top.children: break
        ch = top.children
        if cfg['commit'] == 'visits': key = lambda c: (c.N, c.Q)
        elif cfg['commit'] == 'visits_times_spread': key = lambda c: (c.N * (1 + spread(c)), c.Q, c.V)
        elif cfg['commit'] == 'q': key = lambda c: (c.Q if c.N > 0 else -math.inf, c.N)
        pick = best(ch, key)
        may = lambda c: cfg['pairs_from'] == 'all' or c.N > 0
        w = best(ch, lambda c: c.Q if may(c) else -math.inf)
        l = best(ch, lambda c: -c.Q if may(c) else -math.inf)
        pair = None
        if may(ch[w]) and may(ch[l]) and ch[w].Q > ch[l].Q:
            nw, nl = ch[w].N, ch[l].N
            alpha = min(cfg['smoothing_cap'], nl / (max(1, nw) + nl))
            pair = dict(chosen=w, rejected=l, q_chosen=ch[w].Q, q_rejected=ch[l].Q, n_chosen=nw, n_rejected=nl, alpha=alpha)
        steps.append(dict(depth=top.depth, N=top.N, V=top.V, children=[dict(step=c.script['step'], N=c.N, Q=c.Q, V=c.V, R=c.R, prior=c.prior) for c in ch], picked=pick, pair=pair))
        top = ch[pick]
    return dict(steps=steps, answer_outcome=top.script.get('outcome'))

def rounded(x):
    if isinstance(x, float): return float('%.9g' % x)
    if isinstance(x, dict): return {k: rounded(v) for k, v in x.items()}
    if isinstance(x, list): return [rounded(v) for v in x]
    return x

def make(seed, n, folder):
    r = random.Random(seed)
    def node(depth, cfg, name):
        ends = depth >= 1 and r.random() < 0.10 * depth
        s = dict(step=name, tokens=r.randint(3, 40), logprob=-round(r.uniform(0.5, 30), 4), confidence=round(r.random(), 4), outcome=r.choice([1, -1]) if ends else None)
        if not ends and depth < min(cfg['max_steps'], 6):
            s['children'] = [node(depth + 1, cfg, f'{name}{"abcdef"[i]}') for i in range(r.randint(1, 5 if depth < 3 else 3))]
            if r.random() < 0.1 and len(s['children']) > 1: s['children'][1] = dict(s['children'][0])   # the same step twice
        return s
    for i in range(n):
        official = i % 3 == 2
        cfg = dict(iterations=r.choice([1, 3, 5, 16, 40]), root_multiplier=r.choice([1, 4]), breadth_root=r.randint(2, 5), breadth=r.randint(2, 4), horizon=r.randint(1, 4), max_steps=r.randint(3, 6), cut_reward=r.choice([0, -1]),
                   c_puct=r.choice([0.5, 1.0, 1.25, 2.0]), gamma=r.choice([1.0, 1.0, 0.9]), prior=r.choice(['length_normalised', 'length_normalised', 'probability_over_length']), **{'lambda': r.choice([1.0, 1.25])},
                   smoothing_cap=0.5 if official else r.choice([0.5, 1.0]), commit='visits_times_spread' if official else r.choice(['visits', 'visits', 'q']), pairs_from='all' if official else r.choice(['visited', 'visited', 'all']), unvisited_counts_one=official, root_counts_twice=official)
        root = node(0, cfg, ''); root.update(step='', tokens=0, logprob=0.0, confidence=0.0, outcome=None)
        case = dict(name=f'case-{seed}-{i:02d}', config=cfg, root=root)
        case['expected'] = rounded(solve(case))
        json.dump(case, open(f'{folder}/{case["name"]}.json', 'w'), indent=None, separators=(',', ':'))

if __name__ == '__main__':
    if sys.argv[1] == 'make': make(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    else:
        case = json.load(open(sys.argv[2]))
        got = rounded(solve(case))
        if sys.argv[1] == 'solve': print(json.dumps(got, indent=1))
        else: sys.exit(got != case['expected'])
