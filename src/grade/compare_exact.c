/* Rational functions, exactly. */
#include "grade/compare.h"
#include "grade/units.h"

#include <math.h>

#include <flint/fmpq_mpoly.h>
#include <flint/ulong_extras.h>

enum { MAX_GENERATORS = 32, MAX_TERMS = 4000, MAX_WORK = 100000, MAX_POWER_BITS = 1000000 };

/* What is not a rational number is a generator of the field: a name, pi, a unit, i, a root of a prime, or
 * anything else ("opaque"), of which nothing more is known than that equal trees are equal. */
typedef enum {
    GENERATOR_NAME,
    GENERATOR_UNIT,
    GENERATOR_CONSTANT,
    GENERATOR_ROOT,
    GENERATOR_OPAQUE
} generator_kind;

typedef struct {
    generator_kind kind;
    const char *text;
    slong square; /* of a root: the number under it; -1 for i */
    const expr *tree;
} generator;

typedef struct {
    generator at[MAX_GENERATORS];
    int count;
    bool too_large, opaque, pi, e, roots;
    fmpq_mpoly_ctx_t ring;
} field;

typedef struct {
    fmpq_mpoly_t top, bottom;
} fraction;

/* ---- Generators ---- */

static int find_generator(const field *f, const generator *g) {
    for (int i = 0; i < f->count; i++) {
        const generator *o = &f->at[i];
        if (o->kind != g->kind || o->square != g->square) continue;
        if (g->text ? strcmp(o->text, g->text) == 0 : !g->tree || expr_same(o->tree, g->tree)) return i;
    }
    return -1;
}

static void add_generator(field *f, generator g) {
    if (find_generator(f, &g) >= 0) return;
    if (f->count == MAX_GENERATORS) {
        f->too_large = true;
        return;
    }
    f->opaque |= g.kind == GENERATOR_OPAQUE;
    f->roots |= g.kind == GENERATOR_ROOT;
    f->at[f->count++] = g;
}

static bool is_half(const expr *e) {
    return e->kind == EXPR_NUMBER && fmpz_is_one(fmpq_numref(&e->number)) &&
           fmpz_equal_si(fmpq_denref(&e->number), 2);
}

static bool is_integer(const expr *e) {
    return e->kind == EXPR_NUMBER && fmpz_is_one(fmpq_denref(&e->number));
}

/* sqrt(n) for a natural n without squares, as expression.c makes it. */
static bool is_root(const expr *e, n_factor_t *primes) {
    if (e->kind != EXPR_POWER || !is_half(e->part[1]) || !is_integer(e->part[0])) return false;
    const fmpz *n = fmpq_numref(&e->part[0]->number);
    if (!fmpz_abs_fits_ui(n) || fmpz_sgn(n) <= 0) return false;
    n_factor_init(primes);
    n_factor(primes, fmpz_get_ui(n), 0);
    for (int i = 0; i < primes->num; i++)
        if (primes->exp[i] > 1 || primes->p[i] > (1ul << 62)) return false;
    return true;
}

static generator opaque(const expr *e) {
    return (generator){.kind = GENERATOR_OPAQUE, .tree = e};
}

static void collect(field *f, const expr *e) {
    n_factor_t primes;
    switch (e->kind) {
    case EXPR_NUMBER:
        return;
    case EXPR_NAME:
        add_generator(f, (generator){.kind = GENERATOR_NAME, .text = e->text});
        return;
    case EXPR_UNIT: {
        const unit *u = unit_at(e->which);
        add_generator(f, (generator){.kind = GENERATOR_UNIT, .text = u->base});
        if (u->per) add_generator(f, (generator){.kind = GENERATOR_UNIT, .text = u->per});
        return;
    }
    case EXPR_CONSTANT:
        f->pi |= e->which == CONSTANT_PI;
        f->e |= e->which == CONSTANT_E;
        if (e->which == CONSTANT_I)
            add_generator(f, (generator){.kind = GENERATOR_ROOT, .square = -1});
        else
            add_generator(f, (generator){.kind = GENERATOR_CONSTANT, .square = e->which});
        return;
    case EXPR_SUM:
    case EXPR_PRODUCT:
    case EXPR_PERCENT:
        for (int32_t i = 0; i < e->count; i++) collect(f, e->part[i]);
        return;
    case EXPR_POWER:
        if (is_integer(e->part[1]))
            collect(f, e->part[0]);
        else if (is_root(e, &primes))
            for (int i = 0; i < primes.num; i++)
                add_generator(f, (generator){.kind = GENERATOR_ROOT, .square = (slong)primes.p[i]});
        else
            add_generator(f, opaque(e));
        return;
    default:
        add_generator(f, opaque(e));
    }
}

/* ---- Fractions ---- */

static void fraction_init(field *f, fraction *x) {
    fmpq_mpoly_init(x->top, f->ring);
    fmpq_mpoly_init(x->bottom, f->ring);
    fmpq_mpoly_one(x->bottom, f->ring);
}

static void fraction_clear(field *f, fraction *x) {
    fmpq_mpoly_clear(x->top, f->ring);
    fmpq_mpoly_clear(x->bottom, f->ring);
}

/* Powers of a root above the first become numbers: root^5 of sqrt(n) is n^2 root. */
static void reduce(field *f, fmpq_mpoly_t p) {
    if (!f->roots) return;
    fmpq_mpoly_t out;
    fmpq_t factor, power;
    ulong exponents[MAX_GENERATORS];
    fmpq_mpoly_init(out, f->ring);
    fmpq_init(factor);
    fmpq_init(power);
    for (slong t = 0; t < fmpq_mpoly_length(p, f->ring); t++) {
        fmpq_mpoly_get_term_coeff_fmpq(factor, p, t, f->ring);
        fmpq_mpoly_get_term_exp_ui(exponents, p, t, f->ring);
        for (int i = 0; i < f->count; i++) {
            if (f->at[i].kind != GENERATOR_ROOT || exponents[i] < 2) continue;
            fmpq_set_si(power, f->at[i].square, 1);
            fmpq_pow_si(power, power, (slong)(exponents[i] / 2));
            fmpq_mul(factor, factor, power);
            exponents[i] %= 2;
        }
        fmpq_mpoly_push_term_fmpq_ui(out, factor, exponents, f->ring);
    }
    fmpq_mpoly_sort_terms(out, f->ring);
    fmpq_mpoly_combine_like_terms(out, f->ring);
    fmpq_mpoly_swap(p, out, f->ring);
    fmpq_mpoly_clear(out, f->ring);
    fmpq_clear(factor);
    fmpq_clear(power);
}

static void multiply(field *f, fmpq_mpoly_t out, const fmpq_mpoly_t a, const fmpq_mpoly_t b) {
    slong m = fmpq_mpoly_length(a, f->ring), n = fmpq_mpoly_length(b, f->ring);
    if (m > MAX_TERMS || n > MAX_TERMS || m * n > MAX_WORK) f->too_large = true;
    if (f->too_large) return;
    fmpq_mpoly_mul(out, a, b, f->ring);
    reduce(f, out);
}

static void fraction_multiply(field *f, fraction *x, const fraction *y) {
    multiply(f, x->top, x->top, y->top);
    multiply(f, x->bottom, x->bottom, y->bottom);
}

static void fraction_add(field *f, fraction *x, const fraction *y) {
    if (fmpq_mpoly_equal(x->bottom, y->bottom, f->ring)) {
        fmpq_mpoly_add(x->top, x->top, y->top, f->ring);
        return;
    }
    fmpq_mpoly_t other;
    fmpq_mpoly_init(other, f->ring);
    multiply(f, other, y->top, x->bottom);
    multiply(f, x->top, x->top, y->bottom);
    if (!f->too_large) fmpq_mpoly_add(x->top, x->top, other, f->ring);
    multiply(f, x->bottom, x->bottom, y->bottom);
    fmpq_mpoly_clear(other, f->ring);
}

/* Bits of the largest coefficient. */
static double coefficient_bits(const field *f, const fmpq_mpoly_t p) {
    fmpq_t c;
    flint_bitcnt_t most = 0;
    fmpq_init(c);
    for (slong t = 0; t < fmpq_mpoly_length(p, f->ring); t++) {
        fmpq_mpoly_get_term_coeff_fmpq(c, p, t, f->ring);
        flint_bitcnt_t bits = fmpz_bits(fmpq_numref(c)) + fmpz_bits(fmpq_denref(c));
        if (bits > most) most = bits;
    }
    fmpq_clear(c);
    return (double)most;
}

/* A polynomial of m terms to the n has at most (m - 1 + n over n), of n times the bits. */
static bool power_is_small(const field *f, const fmpq_mpoly_t p, ulong n) {
    double m = (double)fmpq_mpoly_length(p, f->ring), exponent = (double)n;
    if (m == 0 || n <= 1) return true;
    double bits = exponent * (coefficient_bits(f, p) + log2(m));
    double log_terms = lgamma(m + exponent) - lgamma(exponent + 1) - lgamma(m);
    return log_terms < log((double)MAX_TERMS) && bits * exp(log_terms) < MAX_POWER_BITS;
}

static void power(field *f, fmpq_mpoly_t p, ulong n) {
    if (!power_is_small(f, p, n)) f->too_large = true;
    if (f->too_large) return;
    fmpq_mpoly_pow_ui(p, p, n, f->ring);
    reduce(f, p);
}

static void fraction_power(field *f, fraction *x, const fmpz_t exponent) {
    if (fmpz_cmpabs(exponent, (fmpz[]){EXPR_MAX_POWER}) > 0) {
        f->too_large = true;
        return;
    }
    slong n = fmpz_get_si(exponent);
    if (n < 0) fmpq_mpoly_swap(x->top, x->bottom, f->ring);
    power(f, x->top, (ulong)labs(n));
    power(f, x->bottom, (ulong)labs(n));
}

static void set_generator(field *f, fraction *x, generator g) {
    int at = find_generator(f, &g);
    if (at >= 0) fmpq_mpoly_gen(x->top, at, f->ring);
}

static void convert(field *f, const expr *e, fraction *x);

static void convert_unit(field *f, const expr *e, fraction *x) {
    const unit *u = unit_at(e->which);
    fmpq_t factor;
    fmpq_init(factor);
    fmpq_set_si(factor, u->top, (ulong)u->bottom);
    set_generator(f, x, (generator){.kind = GENERATOR_UNIT, .text = u->base});
    fmpq_mpoly_scalar_mul_fmpq(x->top, x->top, factor, f->ring);
    if (u->per) {
        int at = find_generator(f, &(generator){.kind = GENERATOR_UNIT, .text = u->per});
        fmpq_mpoly_gen(x->bottom, at, f->ring);
    }
    fmpq_clear(factor);
}

static void convert_root(field *f, const n_factor_t *primes, fraction *x) {
    ulong exponents[MAX_GENERATORS] = {0};
    for (int i = 0; i < primes->num; i++) {
        int at = find_generator(f, &(generator){.kind = GENERATOR_ROOT, .square = (slong)primes->p[i]});
        if (at >= 0) exponents[at] = 1;
    }
    fmpq_mpoly_push_term_si_ui(x->top, 1, exponents, f->ring);
}

static void convert_parts(field *f, const expr *e, fraction *x) {
    convert(f, e->part[0], x);
    for (int32_t i = 1; i < e->count && !f->too_large; i++) {
        fraction part;
        fraction_init(f, &part);
        convert(f, e->part[i], &part);
        if (!f->too_large) (e->kind == EXPR_SUM ? fraction_add : fraction_multiply)(f, x, &part);
        fraction_clear(f, &part);
    }
}

static void convert_power(field *f, const expr *e, fraction *x) {
    n_factor_t primes;
    if (is_integer(e->part[1])) {
        convert(f, e->part[0], x);
        if (!f->too_large) fraction_power(f, x, fmpq_numref(&e->part[1]->number));
    } else if (is_root(e, &primes)) {
        convert_root(f, &primes, x);
    } else {
        set_generator(f, x, opaque(e));
    }
}

static void convert(field *f, const expr *e, fraction *x) {
    fmpq_t hundred;
    switch (e->kind) {
    case EXPR_NUMBER:
        fmpq_mpoly_set_fmpq(x->top, &e->number, f->ring);
        return;
    case EXPR_NAME:
        set_generator(f, x, (generator){.kind = GENERATOR_NAME, .text = e->text});
        return;
    case EXPR_UNIT:
        convert_unit(f, e, x);
        return;
    case EXPR_CONSTANT:
        set_generator(f, x,
                      e->which == CONSTANT_I ? (generator){.kind = GENERATOR_ROOT, .square = -1}
                                             : (generator){.kind = GENERATOR_CONSTANT, .square = e->which});
        return;
    case EXPR_SUM:
    case EXPR_PRODUCT:
        convert_parts(f, e, x);
        return;
    case EXPR_PERCENT:
        convert(f, e->part[0], x);
        fmpq_init(hundred);
        fmpq_set_si(hundred, 1, 100);
        fmpq_mpoly_scalar_mul_fmpq(x->top, x->top, hundred, f->ring);
        fmpq_clear(hundred);
        return;
    case EXPR_POWER:
        convert_power(f, e, x);
        return;
    default:
        set_generator(f, x, opaque(e));
    }
}

/* ---- Comparisons ---- */

static bool open_field(field *f, const expr *a, const expr *b) {
    *f = (field){.count = 0};
    collect(f, a);
    collect(f, b);
    if (f->too_large) return false;
    fmpq_mpoly_ctx_init(f->ring, f->count ? f->count : 1, ORD_LEX);
    return true;
}

/* Whether both were converted and neither is divided by what is zero everywhere, such as a - a. */
static bool are_values(const field *f, const fraction *x, const fraction *y) {
    return !f->too_large && !fmpq_mpoly_is_zero(x->bottom, f->ring) &&
           !fmpq_mpoly_is_zero(y->bottom, f->ring);
}

static grade_verdict decide_equal(field *f, fraction *x, fraction *y) {
    if (!are_values(f, x, y)) return GRADE_UNKNOWN;
    multiply(f, x->top, x->top, y->bottom);
    multiply(f, y->top, y->top, x->bottom);
    if (f->too_large) return GRADE_UNKNOWN;
    if (fmpq_mpoly_equal(x->top, y->top, f->ring)) return GRADE_EQUAL;
    bool independent = !f->opaque && !(f->pi && f->e);
    return independent ? GRADE_DIFFERENT : GRADE_UNKNOWN;
}

/* Numerators with the roots' reduction compared up to a factor: made 1 at their first term. */
static grade_verdict decide_zeros(field *f, fraction *x, fraction *y, zero_factor factor) {
    if (!are_values(f, x, y) || f->opaque || fmpq_mpoly_is_zero(x->top, f->ring) ||
        fmpq_mpoly_is_zero(y->top, f->ring))
        return GRADE_UNKNOWN;
    bool polynomials = fmpq_mpoly_is_fmpq(x->bottom, f->ring) && fmpq_mpoly_is_fmpq(y->bottom, f->ring);
    if (factor == ZERO_POSITIVE && !polynomials) return GRADE_UNKNOWN; /* a denominator may change the sign */
    fmpq_t a, b;
    fmpq_init(a);
    fmpq_init(b);
    fmpq_mpoly_get_term_coeff_fmpq(a, x->top, 0, f->ring);
    fmpq_mpoly_get_term_coeff_fmpq(b, y->top, 0, f->ring);
    bool same_sign = fmpq_sgn(a) == fmpq_sgn(b);
    fmpq_mpoly_scalar_div_fmpq(x->top, x->top, a, f->ring);
    fmpq_mpoly_scalar_div_fmpq(y->top, y->top, b, f->ring);
    bool equal = fmpq_mpoly_equal(x->top, y->top, f->ring) && (factor == ZERO_ANY || same_sign);
    fmpq_clear(a);
    fmpq_clear(b);
    return equal ? GRADE_EQUAL : GRADE_DIFFERENT;
}

static grade_verdict compare_fractions(const expr *a, const expr *b, bool zeros, zero_factor factor) {
    field f;
    fraction x, y;
    if (!open_field(&f, a, b)) return GRADE_UNKNOWN;
    fraction_init(&f, &x);
    fraction_init(&f, &y);
    convert(&f, a, &x);
    if (!f.too_large) convert(&f, b, &y);
    grade_verdict v = zeros ? decide_zeros(&f, &x, &y, factor) : decide_equal(&f, &x, &y);
    fraction_clear(&f, &x);
    fraction_clear(&f, &y);
    fmpq_mpoly_ctx_clear(f.ring);
    return v;
}

grade_verdict compare_exact(const expr *a, const expr *b) {
    if (a->kind == EXPR_NUMBER && b->kind == EXPR_NUMBER)
        return fmpq_equal(&a->number, &b->number) ? GRADE_EQUAL : GRADE_DIFFERENT;
    return compare_fractions(a, b, false, ZERO_ANY);
}

grade_verdict compare_zeros(const expr *a, const expr *b, zero_factor factor) {
    return compare_fractions(a, b, true, factor);
}

/* top is value * bottom: reduced polynomials in the generators are equal where their values are. */
static rationality decide_rational(field *f, fraction *x, fmpq_t value) {
    if (f->too_large || fmpq_mpoly_is_zero(x->bottom, f->ring)) return RATIONAL_UNKNOWN;
    fmpq_zero(value);
    if (fmpq_mpoly_is_zero(x->top, f->ring)) return RATIONAL;
    fmpq_t bottom;
    fmpq_init(bottom);
    fmpq_mpoly_get_term_coeff_fmpq(value, x->top, 0, f->ring);
    fmpq_mpoly_get_term_coeff_fmpq(bottom, x->bottom, 0, f->ring);
    fmpq_div(value, value, bottom);
    fmpq_clear(bottom);
    fmpq_mpoly_scalar_mul_fmpq(x->bottom, x->bottom, value, f->ring);
    if (fmpq_mpoly_equal(x->top, x->bottom, f->ring)) return RATIONAL;
    return f->opaque || (f->pi && f->e) ? RATIONAL_UNKNOWN : IRRATIONAL;
}

rationality exact_rational(const expr *e, fmpq_t value) {
    field f;
    fraction x;
    if (!open_field(&f, e, e)) return RATIONAL_UNKNOWN;
    fraction_init(&f, &x);
    convert(&f, e, &x);
    rationality r = decide_rational(&f, &x, value);
    fraction_clear(&f, &x);
    fmpq_mpoly_ctx_clear(f.ring);
    return r;
}
