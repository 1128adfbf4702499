/* What is compared by its form: sums, products and integrals over a name, limits, cases, sets given by a
 * rule. Sums and products of few terms are carried out. */
#ifndef ESPALIER_GRADE_FORMAL_H
#define ESPALIER_GRADE_FORMAL_H

#include "grade/expression.h"

/* `which` of an EXPR_FORMAL, and its parts. */
typedef enum {
    FORMAL_SUM,      /* term, name, low, high */
    FORMAL_PRODUCT,  /* the same */
    FORMAL_INTEGRAL, /* of, name; low, high where it is definite */
    FORMAL_LIMIT,    /* of, name, where to, side: -1, 0 (both) or 1 */
    FORMAL_CASES,    /* tuples (value, condition) in any order */
    FORMAL_SET,      /* condition, name; what the name belongs to, where that is said */
} formal_kind;

/* The parts are as they are written: `parts[1]` is the name, whose places in parts[0] are bound here. Two
 * forms that differ in bound names alone become the same tree. */
const expr *expr_bind(expr_pool *pool, formal_kind kind, const expr *const *parts, int64_t count);
/* The node from parts whose name is bound already; a sum or a product of few terms is carried out. */
const expr *expr_formal(expr_pool *pool, formal_kind kind, const expr *const *parts, int64_t count);

#endif
