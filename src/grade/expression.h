/* The tree that an answer is read into. Constant arithmetic is done while the tree is made, exactly, so that
 * an answer that is a rational number is one node, whatever it was written as: 12/4, \sqrt{9}, 3!/2.
 *
 * A quotient is a product with a power of -1, a difference a sum with a factor of -1. */
#ifndef ESPALIER_GRADE_EXPRESSION_H
#define ESPALIER_GRADE_EXPRESSION_H

#include "base/memory.h"
#include "grade/functions.h"

#include <flint/fmpq.h>

/* An answer with more than this cannot be judged; it bounds time and memory. */
#define EXPR_MAX_NODES 20000
#define EXPR_MAX_PARTS 1000    /* of a sum or a product */
#define EXPR_MAX_DEPTH 200     /* of the tree */
#define EXPR_MAX_BITS  200000  /* of a number */
#define EXPR_MAX_WORK  2000000 /* bits of all large numbers that were made, and what finding factors costs */
#define EXPR_MAX_POWER 10000   /* of anything but a number */

typedef enum {
    EXPR_NUMBER,
    EXPR_NAME,     /* x, \alpha, a_1, width */
    EXPR_CONSTANT, /* which: expr_constant */
    EXPR_UNIT,     /* which: a row of units.h */
    EXPR_SUM,
    EXPR_PRODUCT,
    EXPR_POWER,      /* base, exponent */
    EXPR_CALL,       /* which: function_id */
    EXPR_FORMAL,     /* which: formal_kind of formal.h */
    EXPR_PERCENT,    /* of one part: as written, without the division by 100 */
    EXPR_PLUS_MINUS, /* which: 1 for \pm, -1 for \mp; of one part */
    EXPR_TUPLE,      /* which: its brackets, "(]" as open * 256 + close; also intervals and vectors */
    EXPR_LIST,       /* a, b, c without brackets: in any order; which: 1 where "or" is between them all */
    EXPR_SET,
    EXPR_UNION,
    EXPR_INTERSECTION,
    EXPR_MATRIX,   /* which: rows */
    EXPR_RELATION, /* text: the signs between its parts, one letter each: = < > l(<=) g(>=) ! ~ e(in) */
    EXPR_RATIO,    /* a:b, also a time of day */
    EXPR_BASED,    /* a number written in another base; which: the base; text: its digits */
    EXPR_TEXT,     /* words */
} expr_kind;

typedef enum { CONSTANT_PI, CONSTANT_E, CONSTANT_I, CONSTANT_INFINITY } expr_constant;

typedef struct expr expr;
struct expr {
    expr_kind kind;
    int32_t which, count, depth;
    const char *text;
    const expr **part;
    fmpq number;
    expr *next_number; /* in the pool, of those whose value has memory of its own */
};

typedef MEM_LIST(const expr *) expr_list;

/* Where nodes are made; they all are freed together. */
typedef struct {
    arena *memory;
    expr *numbers;
    int64_t nodes;
    int64_t work;
    bool too_large, undefined; /* what was made is not usable: it is beyond a limit, or divides by 0 */
} expr_pool;

void expr_pool_init(expr_pool *pool);
void expr_pool_free(expr_pool *pool);

const expr *expr_number(expr_pool *pool, const fmpq_t value);
const expr *expr_integer(expr_pool *pool, int64_t value);
const expr *expr_named(expr_pool *pool, expr_kind kind, const char *text, size_t length);
const expr *expr_leaf(expr_pool *pool, expr_kind kind, int which);
/* Any kind, without arithmetic. */
const expr *expr_node(expr_pool *pool, expr_kind kind, int which, const expr *const *parts, int64_t count);

/* With arithmetic, which ends once the pool is marked as too large: what is returned then has no meaning. */
const expr *expr_sum(expr_pool *pool, const expr *a, const expr *b);
const expr *expr_difference(expr_pool *pool, const expr *a, const expr *b);
const expr *expr_product(expr_pool *pool, const expr *a, const expr *b);
const expr *expr_quotient(expr_pool *pool, const expr *a, const expr *b);
const expr *expr_negative(expr_pool *pool, const expr *a);
const expr *expr_power(expr_pool *pool, const expr *base, const expr *exponent);
/* The n-th root: the real one of a negative number where n is odd. */
const expr *expr_root(expr_pool *pool, const expr *a, const expr *n);
const expr *expr_call(expr_pool *pool, function_id id, const expr *const *arguments, int64_t count);

/* The tree with each node of `kind` replaced by `by` of it; a tree without one is returned as it is. */
typedef const expr *expr_replacement(expr_pool *pool, const expr *node, void *user);
const expr *expr_replace(expr_pool *pool, const expr *e, expr_kind kind, expr_replacement *by, void *user);

bool expr_is_integer(const expr *e, int64_t value);
bool expr_has(const expr *e, expr_kind kind);
/* Same tree, part by part. */
bool expr_same(const expr *a, const expr *b);

#endif
