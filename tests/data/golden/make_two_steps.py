#!/usr/bin/env python3
"""Makes two_steps.json: the table T3 of docs/theory.md, by summing over all courses of K visits. Only Python's own library.

    make_two_steps.py > two_steps.json     (in this folder)

Two steps lead to a correct answer with chances theta, uniform in 0..1. Each visit goes to the step of largest
Q + 0.9 sqrt(visits of both) / (1 + its visits), Q in -1..1 and 0 before the first visit, and finds a correct answer
with probability (correct + 1) / (visits + 2) given what was found before. A pair: both were visited, and their Q differ; the
larger is chosen. The chance that its order is wrong is P(theta of the rejected > theta of the chosen) for two beta
distributions, here as a sum of ratios of factorials in whole numbers. Alpha: rejected visits over all, or that chance, each at
most 0.5. The calibration error has ten bins of equal width."""
import json
import math
from collections import defaultdict
from fractions import Fraction
from functools import lru_cache


@lru_cache(None)
def wrong_order(right_w, wrong_w, right_l, wrong_l):
    """P(Y > X), X ~ Beta(1 + right_w, 1 + wrong_w), Y ~ Beta(1 + right_l, 1 + wrong_l), as a Fraction.

    Y > X: of the right_l + wrong_l + 1 uniform numbers of which Y is the (right_l + 1)th, at most right_l are below X."""
    n, m = right_w + wrong_w, right_l + wrong_l
    total = Fraction(0)
    for k in range(right_l + 1):
        # k of the m + 1 uniform numbers are below X, whose density is that of the (right_w + 1)th of n + 1.
        total += Fraction(math.comb(m + 1, k) * math.comb(n, right_w) * (n + 1),
                          math.comb(n + m + 1, right_w + k) * (n + m + 2))
    return total


def score(right, wrong, visits):
    n = right + wrong
    return ((right - wrong) / n if n else 0) + 0.9 * math.sqrt(visits) / (1 + n)


def courses(visits):
    now = {(0, 0, 0, 0): Fraction(1)}
    for k in range(visits):
        after = defaultdict(Fraction)
        for (a, b, c, d), chance in now.items():
            if score(c, d, k) > score(a, b, k):
                right = Fraction(c + 1, c + d + 2)
                after[a, b, c + 1, d] += chance * right
                after[a, b, c, d + 1] += chance * (1 - right)
            else:
                right = Fraction(a + 1, a + b + 2)
                after[a + 1, b, c, d] += chance * right
                after[a, b + 1, c, d] += chance * (1 - right)
        now = after
    return now


def table(visits):
    pairs = wrong = Fraction(0)
    alphas, losses, bins = [0.0, 0.0], [0.0, 0.0], [defaultdict(float), defaultdict(float)]
    for (a, b, c, d), chance in courses(visits).items():
        if not (a + b and c + d) or a * (c + d) == c * (a + b):
            continue
        counts = (a, b, c, d) if a * (c + d) > c * (a + b) else (c, d, a, b)
        doubt = wrong_order(*counts)
        pairs += chance
        wrong += chance * doubt
        for way, alpha in enumerate((Fraction(counts[2] + counts[3], visits), doubt)):
            alpha = min(alpha, Fraction(1, 2))
            alphas[way] += float(chance * alpha)
            losses[way] -= float(chance) * (float(doubt) * math.log(alpha) + float(1 - doubt) * math.log(1 - alpha))
            bins[way][int(alpha * 10)] += float(chance * (alpha - doubt))
    row = {"order wrong": float(wrong / pairs)}
    for way, name in enumerate(("visits", "evidence")):
        row[f"mean alpha, {name}"] = alphas[way] / float(pairs)
        row[f"calibration error, {name}"] = sum(map(abs, bins[way].values())) / float(pairs)
        row[f"log-loss, {name}"] = losses[way] / float(pairs)
    return row


print(json.dumps({str(visits): table(visits) for visits in (2, 5, 20, 64)}, indent=1))
