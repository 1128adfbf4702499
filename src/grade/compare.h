/* Whether two answers are the same. In this order:
 *
 *   1. Equal trees are equal, and so are equal rational numbers (FLINT's fmpq).
 *   2. Polynomials and rational functions over names, pi, units, i and square roots of primes are compared in
 * the field of fractions (FLINT's fmpq_mpoly, reduced by i^2 = -1 and the roots' squares). That is a proof,
 * of equality and of difference: as functions over the rationals, names and pi are taken as independent, x
 * and x^2/x as equal.
 *   3. What has no canonical form (sines, logarithms, nested roots, powers with names above) is evaluated in
 * balls, intervals that contain the exact value (Arb), at several points. Balls that do not meet prove that
 * the answers differ. Balls that meet do not prove equality; they are taken for it where they are narrower
 * than 2^-80 (2^-400 without names), by themselves and as a part of the value, at three points at least. A
 * point where a root or a logarithm of something negative would be needed is left out: names are real numbers
 * for which the answer has a value.
 *   4. What is neither proved nor evaluated well enough is unknown.
 *
 * Sets and lists are compared in any order, tuples, intervals and matrices part by part. "x = 5" is 5, "x >
 * 5" is (5, oo). A percentage is its number or its hundredth, where the other side has no percent sign; a
 * unit is ignored where the other side has none, else it is converted. The comparison is symmetric. */
#ifndef ESPALIER_GRADE_COMPARE_H
#define ESPALIER_GRADE_COMPARE_H

#include "grade/expression.h"
#include "grade/grade.h"

typedef struct {
    expr_pool *pool;
    const char *reason; /* set with GRADE_UNKNOWN */
    int64_t work;       /* done so far; it is bounded, so that lists of many parts end soon */
} comparison;

grade_verdict compare_answers(comparison *c, const expr *a, const expr *b);

/* The parts. */
typedef enum { ZERO_ANY, ZERO_POSITIVE } zero_factor;
/* 2 above; GRADE_UNKNOWN: not decided this way. */
grade_verdict compare_exact(const expr *a, const expr *b);
/* Whether a = 0 and b = 0 say the same: their numerators differ by a constant factor (a positive one, for
 * inequalities). GRADE_UNKNOWN where they are not rational functions. */
grade_verdict compare_zeros(const expr *a, const expr *b, zero_factor factor);
/* The value of an expression that is a rational number by the arithmetic of 2 above: of (sqrt 2)^2 / 6, not
 * of 2 sin(pi/6) / 3. `value` is set with RATIONAL. */
typedef enum { RATIONAL, IRRATIONAL, RATIONAL_UNKNOWN } rationality;
rationality exact_rational(const expr *e, fmpq_t value);
/* 3 above. */
grade_verdict compare_balls(const expr *a, const expr *b);

#endif
