#include "grade/expression.h"

#include "grade/formal.h"

#include <string.h>

#include <flint/ulong_extras.h>

/* ---- Nodes ---- */

void expr_pool_init(expr_pool *pool) {
    *pool = (expr_pool){.memory = arena_new()};
}

void expr_pool_free(expr_pool *pool) {
    for (expr *e = pool->numbers; e; e = e->next_number) fmpq_clear(&e->number);
    arena_free(pool->memory);
    *pool = (expr_pool){0};
}

static expr *new_node(expr_pool *pool, expr_kind kind) {
    if (++pool->nodes > EXPR_MAX_NODES) pool->too_large = true;
    expr *e = ARENA_NEW(pool->memory, expr);
    e->kind = kind;
    return e;
}

static void add_work(expr_pool *pool, int64_t work) {
    pool->work += work;
    if (pool->work > EXPR_MAX_WORK) pool->too_large = true;
}

const expr *expr_number(expr_pool *pool, const fmpq_t value) {
    expr *e = new_node(pool, EXPR_NUMBER);
    int64_t top = (int64_t)fmpz_bits(fmpq_numref(value)), bottom = (int64_t)fmpz_bits(fmpq_denref(value));
    if (top > EXPR_MAX_BITS || bottom > EXPR_MAX_BITS) pool->too_large = true;
    if (top + bottom > 128) add_work(pool, top + bottom);
    fmpq_init(&e->number);
    fmpq_set(&e->number, value);
    if (COEFF_IS_MPZ(*fmpq_numref(&e->number)) || COEFF_IS_MPZ(*fmpq_denref(&e->number))) {
        e->next_number = pool->numbers;
        pool->numbers = e;
    }
    return e;
}

const expr *expr_integer(expr_pool *pool, int64_t value) {
    fmpq_t q;
    fmpq_init(q);
    fmpq_set_si(q, value, 1);
    const expr *e = expr_number(pool, q);
    fmpq_clear(q);
    return e;
}

const expr *expr_named(expr_pool *pool, expr_kind kind, const char *text, size_t length) {
    expr *e = new_node(pool, kind);
    char *copy = arena_alloc(pool->memory, length + 1);
    memcpy(copy, text, length);
    e->text = copy;
    return e;
}

const expr *expr_leaf(expr_pool *pool, expr_kind kind, int which) {
    expr *e = new_node(pool, kind);
    e->which = which;
    return e;
}

const expr *expr_node(expr_pool *pool, expr_kind kind, int which, const expr *const *parts, int64_t count) {
    expr *e = new_node(pool, kind);
    e->which = which;
    e->count = (int32_t)count;
    e->part = ARENA_ARRAY(pool->memory, const expr *, count);
    for (int64_t i = 0; i < count; i++) {
        e->part[i] = parts[i];
        if (parts[i]->depth >= e->depth) e->depth = parts[i]->depth + 1;
    }
    if (e->depth > EXPR_MAX_DEPTH) pool->too_large = true;
    return e;
}

static const expr *two(expr_pool *pool, expr_kind kind, const expr *a, const expr *b) {
    return expr_node(pool, kind, 0, (const expr *const[]){a, b}, 2);
}

/* ---- Arithmetic ---- */

static bool is_number(const expr *e) {
    return e->kind == EXPR_NUMBER;
}

bool expr_is_integer(const expr *e, int64_t value) {
    return is_number(e) && fmpz_is_one(fmpq_denref(&e->number)) &&
           fmpz_equal_si(fmpq_numref(&e->number), value);
}

typedef void number_operation(fmpq_t, const fmpq_t, const fmpq_t);

static const expr *fold(expr_pool *pool, number_operation *operation, const expr *a, const expr *b) {
    if (pool->too_large) return a;
    fmpq_t value;
    fmpq_init(value);
    operation(value, &a->number, &b->number);
    const expr *e = expr_number(pool, value);
    fmpq_clear(value);
    return e;
}

/* a + b or a * b where either may be a node of the same kind: one flat node, its number first. */
static const expr *flat(expr_pool *pool, expr_kind kind, number_operation *operation, const expr *a,
                        const expr *b) {
    bool nested[2] = {a->kind == kind, b->kind == kind};
    const expr *sides[2] = {a, b};
    int64_t most = 2;
    for (int s = 0; s < 2; s++) most += nested[s] ? sides[s]->count : 1;
    if (most > EXPR_MAX_PARTS) { /* making one long sum term by term takes quadratic time */
        pool->too_large = true;
        return a;
    }
    const expr **parts = ARENA_ARRAY(pool->memory, const expr *, most);
    int64_t n = 0;
    const expr *number = NULL;
    for (int s = 0; s < 2; s++)
        for (int32_t i = 0; i < (nested[s] ? sides[s]->count : 1); i++) {
            const expr *part = nested[s] ? sides[s]->part[i] : sides[s];
            if (is_number(part))
                number = number ? fold(pool, operation, number, part) : part;
            else
                parts[++n] = part;
        }
    bool neutral = !number || expr_is_integer(number, kind == EXPR_SUM ? 0 : 1);
    parts[0] = number;
    if (n == 0) return number;
    if (neutral && n == 1) return parts[1];
    return neutral ? expr_node(pool, kind, 0, parts + 1, n) : expr_node(pool, kind, 0, parts, n + 1);
}

const expr *expr_sum(expr_pool *pool, const expr *a, const expr *b) {
    return is_number(a) && is_number(b) ? fold(pool, fmpq_add, a, b) : flat(pool, EXPR_SUM, fmpq_add, a, b);
}

const expr *expr_product(expr_pool *pool, const expr *a, const expr *b) {
    if (is_number(a) && is_number(b)) return fold(pool, fmpq_mul, a, b);
    return flat(pool, EXPR_PRODUCT, fmpq_mul, a, b);
}

const expr *expr_negative(expr_pool *pool, const expr *a) {
    return expr_product(pool, expr_integer(pool, -1), a);
}

const expr *expr_difference(expr_pool *pool, const expr *a, const expr *b) {
    return expr_sum(pool, a, expr_negative(pool, b));
}

const expr *expr_quotient(expr_pool *pool, const expr *a, const expr *b) {
    return expr_product(pool, a, expr_power(pool, b, expr_integer(pool, -1)));
}

/* base^n, an integer; NULL with a mark in the pool where there is none, or it is too large. */
static const expr *integer_power(expr_pool *pool, const fmpq_t base, const fmpz_t n) {
    if (fmpz_is_zero(n)) return expr_integer(pool, 1); /* 0^0 is 1, as in polynomials */
    if (fmpq_is_zero(base)) {
        if (fmpz_sgn(n) < 0) pool->undefined = true;
        return expr_integer(pool, 0);
    }
    if (fmpq_is_one(base)) return expr_integer(pool, 1);
    if (fmpz_is_one(fmpq_denref(base)) && fmpz_equal_si(fmpq_numref(base), -1))
        return expr_integer(pool, fmpz_is_even(n) ? 1 : -1);
    int64_t bits = (int64_t)fmpz_bits(fmpq_numref(base)) + (int64_t)fmpz_bits(fmpq_denref(base));
    if (!fmpz_fits_si(n) || fmpz_cmpabs(n, (fmpz[]){EXPR_MAX_BITS}) > 0 ||
        bits * labs(fmpz_get_si(n)) > 2 * EXPR_MAX_BITS) {
        pool->too_large = true;
        return expr_integer(pool, 0);
    }
    fmpq_t value;
    fmpq_init(value);
    fmpq_pow_si(value, base, fmpz_get_si(n));
    const expr *e = expr_number(pool, value);
    fmpq_clear(value);
    return e;
}

/* Numbers of more bits take long to be taken apart. */
enum { FACTORED_AT_ONCE = 40, FACTOR_WORK = EXPR_MAX_WORK / 64 };

/* The largest s with s^2 dividing n, for n of one word: n becomes n / s^2. */
static ulong take_squares(ulong *n) {
    n_factor_t factors;
    ulong square = 1, rest = 1;
    n_factor_init(&factors);
    n_factor(&factors, *n, 0);
    for (int i = 0; i < factors.num; i++) {
        square *= n_pow(factors.p[i], (ulong)factors.exp[i] / 2);
        if (factors.exp[i] % 2) rest *= factors.p[i];
    }
    *n = rest;
    return square;
}

/* sqrt(a/b) = sqrt(ab)/b as c * sqrt(n) with n free of squares, times i where it is negative. */
static const expr *square_root(expr_pool *pool, const expr *a) {
    fmpz_t inside;
    fmpz_init(inside);
    fmpq_t outside;
    fmpq_init(outside);
    const expr *half, *root, *e;
    bool negative = fmpq_sgn(&a->number) < 0;
    fmpz_mul(inside, fmpq_numref(&a->number), fmpq_denref(&a->number));
    fmpz_abs(inside, inside);
    fmpq_set_si(outside, 1, 1);
    if (fmpz_is_square(inside)) {
        fmpz_sqrt(fmpq_numref(outside), inside);
        fmpz_one(inside);
    } else if (fmpz_abs_fits_ui(inside)) {
        if (fmpz_bits(inside) > FACTORED_AT_ONCE) add_work(pool, FACTOR_WORK);
        ulong rest = fmpz_get_ui(inside);
        fmpz_set_ui(fmpq_numref(outside), take_squares(&rest));
        fmpz_set_ui(inside, rest);
    }
    fmpq_div_fmpz(outside, outside, fmpq_denref(&a->number));
    e = expr_number(pool, outside);
    if (!fmpz_is_one(inside)) {
        fmpq_set_fmpz(outside, inside);
        root = expr_number(pool, outside);
        fmpq_set_si(outside, 1, 2);
        half = expr_number(pool, outside);
        e = expr_product(pool, e, two(pool, EXPR_POWER, root, half));
    }
    if (negative) e = expr_product(pool, e, expr_leaf(pool, EXPR_CONSTANT, CONSTANT_I));
    fmpz_clear(inside);
    fmpq_clear(outside);
    return e;
}

/* The exact n-th root of a number, NULL where it is not rational. */
static const expr *exact_root(expr_pool *pool, const expr *a, const fmpz_t n) {
    if (!fmpz_fits_si(n) || fmpz_cmp_si(n, 2) < 0 || fmpz_cmp_si(n, 1000) > 0) return NULL;
    slong degree = fmpz_get_si(n);
    bool negative = fmpq_sgn(&a->number) < 0;
    if (negative && degree % 2 == 0) return NULL;
    fmpq_t root, positive;
    fmpq_init(root);
    fmpq_init(positive);
    fmpq_abs(positive, &a->number);
    bool exact = fmpz_root(fmpq_numref(root), fmpq_numref(positive), degree) &&
                 fmpz_root(fmpq_denref(root), fmpq_denref(positive), degree);
    if (negative) fmpq_neg(root, root);
    const expr *e = exact ? expr_number(pool, root) : NULL;
    fmpq_clear(root);
    fmpq_clear(positive);
    return e;
}

/* number^(p/q) */
static const expr *rational_power(expr_pool *pool, const expr *base, const expr *exponent) {
    const fmpz *p = fmpq_numref(&exponent->number), *q = fmpq_denref(&exponent->number);
    if (pool->too_large) return base;
    if (fmpz_is_one(q)) return integer_power(pool, &base->number, p);
    const expr *root = exact_root(pool, base, q);
    if (root) return integer_power(pool, &root->number, p);
    if (fmpz_equal_si(q, 2)) {
        if (fmpz_is_one(p)) return square_root(pool, base);
        if (fmpz_cmpabs(p, (fmpz[]){64}) <= 0) { /* a^(p/2) = a^((p-1)/2) sqrt(a) */
            fmpz_t whole;
            fmpz_init(whole);
            fmpz_fdiv_q_2exp(whole, p, 1);
            const expr *e = integer_power(pool, &base->number, whole);
            fmpz_clear(whole);
            return expr_product(pool, e, square_root(pool, base));
        }
    }
    return two(pool, EXPR_POWER, base, exponent);
}

static const expr *imaginary_power(expr_pool *pool, const expr *i, const fmpz_t n) {
    switch (fmpz_fdiv_ui(n, 4)) {
    case 0:
        return expr_integer(pool, 1);
    case 1:
        return i;
    case 2:
        return expr_integer(pool, -1);
    default:
        return expr_negative(pool, i);
    }
}

static bool is_positive(const expr *e) {
    if (is_number(e)) return fmpq_sgn(&e->number) > 0;
    return e->kind == EXPR_CONSTANT && (e->which == CONSTANT_PI || e->which == CONSTANT_E);
}

/* Whether (base^inner)^n is base^(inner n), for an integer n. A negative base has a real root where the
 * exponent's denominator is odd, else the principal one: (-8)^(1/6) squared is not -2. */
static bool powers_multiply(const expr *base, const expr *inner, const expr *product) {
    if (is_positive(base) || expr_has(base, EXPR_NAME) || expr_has(inner, EXPR_NAME)) return true;
    if (!is_number(inner)) return false; /* it may be 1/6, written in another way */
    const fmpz *q = fmpq_denref(&product->number);
    return fmpz_is_odd(fmpq_denref(&inner->number)) || fmpz_is_even(q) || fmpz_is_one(q);
}

const expr *expr_power(expr_pool *pool, const expr *base, const expr *exponent) {
    if (!is_number(exponent)) return two(pool, EXPR_POWER, base, exponent);
    if (is_number(base)) return rational_power(pool, base, exponent);
    if (expr_is_integer(exponent, 1)) return base;
    const fmpz *n = fmpq_numref(&exponent->number);
    bool integer = fmpz_is_one(fmpq_denref(&exponent->number));
    if (integer && base->kind == EXPR_CONSTANT && base->which == CONSTANT_I)
        return imaginary_power(pool, base, n);
    if (fmpz_cmpabs(n, (fmpz[]){EXPR_MAX_POWER}) > 0) pool->too_large = true;
    if (integer && base->kind == EXPR_POWER) {
        const expr *product = expr_product(pool, base->part[1], exponent);
        if (powers_multiply(base->part[0], base->part[1], product))
            return expr_power(pool, base->part[0], product);
    }
    return two(pool, EXPR_POWER, base, exponent);
}

const expr *expr_root(expr_pool *pool, const expr *a, const expr *n) {
    return expr_power(pool, a, expr_quotient(pool, expr_integer(pool, 1), n));
}

/* ---- Functions of numbers ---- */

static bool small_natural(const expr *e, ulong limit) {
    return is_number(e) && fmpz_is_one(fmpq_denref(&e->number)) && fmpz_sgn(fmpq_numref(&e->number)) >= 0 &&
           fmpz_cmp_ui(fmpq_numref(&e->number), limit) <= 0;
}

static bool integer_value(const expr *e) {
    return fmpz_is_one(fmpq_denref(&e->number));
}

/* Whether the function of these numbers is a rational one, which `value` becomes. */
static bool fold_call(function_id id, const expr *const *x, int64_t n, fmpq_t value) {
    switch (id) {
    case FUNCTION_ABS:
        fmpq_abs(value, &x[0]->number);
        return true;
    case FUNCTION_FLOOR:
        fmpz_fdiv_q(fmpq_numref(value), fmpq_numref(&x[0]->number), fmpq_denref(&x[0]->number));
        return true;
    case FUNCTION_CEIL:
        fmpz_cdiv_q(fmpq_numref(value), fmpq_numref(&x[0]->number), fmpq_denref(&x[0]->number));
        return true;
    case FUNCTION_FACTORIAL:
        if (!small_natural(x[0], 10000)) return false;
        fmpz_fac_ui(fmpq_numref(value), fmpz_get_ui(fmpq_numref(&x[0]->number)));
        return true;
    case FUNCTION_BINOM:
        if (!small_natural(x[0], 10000) || !small_natural(x[1], 10000)) return false;
        fmpz_bin_uiui(fmpq_numref(value), fmpz_get_ui(fmpq_numref(&x[0]->number)),
                      fmpz_get_ui(fmpq_numref(&x[1]->number)));
        return true;
    case FUNCTION_MIN:
    case FUNCTION_MAX:
        fmpq_set(value, &x[0]->number);
        for (int64_t i = 1; i < n; i++)
            if ((fmpq_cmp(&x[i]->number, value) < 0) == (id == FUNCTION_MIN)) fmpq_set(value, &x[i]->number);
        return true;
    case FUNCTION_GCD:
    case FUNCTION_LCM:
        for (int64_t i = 0; i < n; i++)
            if (!integer_value(x[i])) return false;
        fmpq_set(value, &x[0]->number);
        for (int64_t i = 1; i < n; i++)
            (id == FUNCTION_GCD ? fmpz_gcd : fmpz_lcm)(fmpq_numref(value), fmpq_numref(value),
                                                       fmpq_numref(&x[i]->number));
        return true;
    case FUNCTION_RE:
        fmpq_set(value, &x[0]->number);
        return true;
    case FUNCTION_IM:
        return true;
    default:
        return false;
    }
}

/* Functions that are 0 at 0, and functions that are 1 there. */
static bool value_at_zero(function_id id, int64_t *value) {
    switch (id) {
    case FUNCTION_SIN:
    case FUNCTION_TAN:
    case FUNCTION_ARCSIN:
    case FUNCTION_ARCTAN:
    case FUNCTION_SINH:
    case FUNCTION_TANH:
        *value = 0;
        return true;
    case FUNCTION_COS:
    case FUNCTION_SEC:
    case FUNCTION_COSH:
        *value = 1;
        return true;
    default:
        return false;
    }
}

const expr *expr_call(expr_pool *pool, function_id id, const expr *const *x, int64_t n) {
    if (id == FUNCTION_SQRT) return expr_root(pool, x[0], expr_integer(pool, 2));
    if (id == FUNCTION_CBRT) return expr_root(pool, x[0], expr_integer(pool, 3));
    if (id == FUNCTION_EXP) return expr_power(pool, expr_leaf(pool, EXPR_CONSTANT, CONSTANT_E), x[0]);
    bool numbers = !pool->too_large;
    int64_t known;
    for (int64_t i = 0; i < n; i++) numbers = numbers && is_number(x[i]);
    if (!numbers) return expr_node(pool, EXPR_CALL, (int)id, x, n);
    if (fmpq_is_zero(&x[0]->number) && value_at_zero(id, &known)) return expr_integer(pool, known);
    if ((id == FUNCTION_LN || id == FUNCTION_LOG) && fmpq_is_one(&x[0]->number)) return expr_integer(pool, 0);
    fmpq_t value;
    fmpq_init(value);
    const expr *e =
        fold_call(id, x, n, value) ? expr_number(pool, value) : expr_node(pool, EXPR_CALL, (int)id, x, n);
    fmpq_clear(value);
    return e;
}

/* ---- Walks ---- */

/* The node again from other parts, with arithmetic. */
static const expr *rebuild(expr_pool *pool, const expr *e, const expr *const *parts) {
    const expr *made = parts[0];
    switch (e->kind) {
    case EXPR_SUM:
        for (int32_t i = 1; i < e->count; i++) made = expr_sum(pool, made, parts[i]);
        return made;
    case EXPR_PRODUCT:
        for (int32_t i = 1; i < e->count; i++) made = expr_product(pool, made, parts[i]);
        return made;
    case EXPR_POWER:
        return expr_power(pool, parts[0], parts[1]);
    case EXPR_CALL:
        return expr_call(pool, (function_id)e->which, parts, e->count);
    case EXPR_FORMAL:
        return expr_formal(pool, (formal_kind)e->which, parts, e->count);
    default: {
        expr *copy = (expr *)expr_node(pool, e->kind, e->which, parts, e->count);
        copy->text = e->text;
        return copy;
    }
    }
}

const expr *expr_replace(expr_pool *pool, const expr *e, expr_kind kind, expr_replacement *by, void *user) {
    if (e->kind == kind) return by(pool, e, user);
    if (!expr_has(e, kind)) return e;
    const expr **parts = ARENA_ARRAY(pool->memory, const expr *, e->count);
    for (int32_t i = 0; i < e->count; i++) parts[i] = expr_replace(pool, e->part[i], kind, by, user);
    return rebuild(pool, e, parts);
}

bool expr_has(const expr *e, expr_kind kind) {
    if (e->kind == kind) return true;
    for (int32_t i = 0; i < e->count; i++)
        if (expr_has(e->part[i], kind)) return true;
    return false;
}

bool expr_same(const expr *a, const expr *b) {
    if (a == b) return true;
    if (a->kind != b->kind || a->which != b->which || a->count != b->count) return false;
    if ((a->text || b->text) && !(a->text && b->text && strcmp(a->text, b->text) == 0)) return false;
    if (is_number(a)) return fmpq_equal(&a->number, &b->number);
    for (int32_t i = 0; i < a->count; i++)
        if (!expr_same(a->part[i], b->part[i])) return false;
    return true;
}
