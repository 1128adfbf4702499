/* Values in balls, at several points. */
#include "grade/ball_library.h"
#include "grade/compare.h"
#include "grade/units.h"

enum {
    POSITIVE_POINTS = 3,
    SIGNED_POINTS = 3,
    POINTS = POSITIVE_POINTS + SIGNED_POINTS + 4, /* the last ones are natural numbers */
    ENOUGH_POINTS = 3,
    PRECISION = 160,
    ACCURATE = 80, /* bits */
    ACCURATE_CONSTANT = 400,
    PRECISION_MOST = 2560,
};

typedef struct {
    int point;
    slong precision;
    bool common_log; /* log is of base 10, else natural */
    bool outside;    /* the answer has no real value here */
    bool varies;     /* it has names */
} evaluation;

static void evaluate(evaluation *v, const expr *e, acb_t out);

/* ---- Points ---- */

static uint64_t name_hash(const char *name, int point) {
    uint64_t h = 14695981039346656037u + (uint64_t)point; /* FNV-1a, then mixed */
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 1099511628211u;
    h = (h ^ h >> 31) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 29;
}

/* A name's value depends on the name and the point alone, so that both sides agree on it. */
static void name_value(const evaluation *v, const char *name, acb_t out) {
    uint64_t h = name_hash(name, v->point);
    if (v->point >= POSITIVE_POINTS + SIGNED_POINTS) {
        acb_set_si(out, (slong)(2 + h % 9));
        return;
    }
    slong thousandths = (slong)(h % 0xffffff); /* 0.06 to 1.06, then up to 3.06 */
    acb_set_si(out, thousandths * (v->point % 3 + 1) + 0xfffff);
    acb_mul_2exp_si(out, out, -24);
    if (v->point >= POSITIVE_POINTS && h >> 63) acb_neg(out, out);
}

/* ---- Powers ---- */

static bool is_negative_real(const acb_t x) {
    return acb_is_real(x) && arb_is_negative(acb_realref(x));
}

static bool meets_negative_reals(const acb_t x) {
    return arb_contains_zero(acb_imagref(x)) && !arb_is_nonnegative(acb_realref(x));
}

/* The real power p/q, q odd, of a negative number. */
static void odd_root_power(const evaluation *v, const acb_t base, const fmpq_t exponent, acb_t out) {
    acb_t positive, root;
    acb_init(positive);
    acb_init(root);
    acb_neg(positive, base);
    arb_set_fmpq(acb_realref(root), exponent, v->precision);
    acb_pow(out, positive, root, v->precision);
    if (fmpz_is_odd(fmpq_numref(exponent))) acb_neg(out, out);
    acb_clear(positive);
    acb_clear(root);
}

static void rational_power(const evaluation *v, const acb_t base, const fmpq_t exponent, acb_t out) {
    acb_t power;
    acb_init(power);
    acb_set_fmpq(power, exponent, v->precision);
    if (fmpz_is_one(fmpq_denref(exponent)))
        acb_pow_fmpz(out, base, fmpq_numref(exponent), v->precision);
    else if (fmpz_is_odd(fmpq_denref(exponent)) && is_negative_real(base))
        odd_root_power(v, base, exponent, out);
    else if (fmpz_is_odd(fmpq_denref(exponent)) && meets_negative_reals(base))
        acb_indeterminate(
            out); /* of a negative number the real power, of others beside it the principal one */
    else if (acb_is_zero(base) && fmpq_sgn(exponent) > 0)
        acb_zero(out);
    else if (fmpz_is_one(fmpq_numref(exponent)) && fmpz_equal_si(fmpq_denref(exponent), 2))
        acb_sqrt(out, base, v->precision);
    else
        acb_pow(out, base, power, v->precision);
    acb_clear(power);
}

/* The power of a base that may be negative, by an exponent that is not written as a number. Of a negative
 * number the power 1/3 is real and the power pi is not, so it must be known whether the exponent is rational.
 */
static void power_of_negative(evaluation *v, const acb_t base, const expr *exponent, const acb_t power,
                              acb_t out) {
    fmpq_t value;
    fmpq_init(value);
    switch (exact_rational(exponent, value)) {
    case RATIONAL:
        rational_power(v, base, value, out);
        break;
    case IRRATIONAL:
        acb_pow(out, base, power, v->precision);
        break;
    case RATIONAL_UNKNOWN:
        if (arb_contains_zero(acb_imagref(power)))
            acb_indeterminate(out);
        else
            acb_pow(out, base, power, v->precision);
    }
    fmpq_clear(value);
}

static void evaluate_power(evaluation *v, const expr *e, acb_t out) {
    const expr *exponent = e->part[1];
    bool before = v->varies;
    acb_t base, power;
    acb_init(base);
    acb_init(power);
    v->varies = false;
    evaluate(v, e->part[0], base);
    evaluate(v, exponent, power);
    bool real = acb_is_real(power) && is_negative_real(base);
    bool number = exponent->kind == EXPR_NUMBER;
    bool odd = number && fmpz_is_odd(fmpq_denref(&exponent->number));
    if (v->varies && real && !odd && !acb_is_int(power)) v->outside = true;
    if (number)
        rational_power(v, base, &exponent->number, out);
    else if (!v->varies && meets_negative_reals(base))
        power_of_negative(v, base, exponent, power, out);
    else if (acb_is_zero(base) && arb_is_positive(acb_realref(power)))
        acb_zero(out);
    else
        acb_pow(out, base, power, v->precision);
    v->varies |= before;
    acb_clear(base);
    acb_clear(power);
}

/* ---- Functions ---- */

static bool within(const acb_t x, slong low, slong high) {
    arb_t bound;
    arb_init(bound);
    arb_set_si(bound, low);
    bool inside = !arb_lt(acb_realref(x), bound);
    arb_set_si(bound, high);
    inside = inside && !arb_gt(acb_realref(x), bound);
    arb_clear(bound);
    return inside;
}

/* Whether a real argument is where the function has no real value. */
static bool out_of_domain(function_id id, const acb_t x) {
    if (!acb_is_real(x)) return false;
    switch (id) {
    case FUNCTION_LN:
    case FUNCTION_LOG:
        return arb_is_negative(acb_realref(x));
    case FUNCTION_ARCSIN:
    case FUNCTION_ARCCOS:
    case FUNCTION_ARTANH:
        return !within(x, -1, 1);
    case FUNCTION_ARCSEC:
    case FUNCTION_ARCCSC:
        return within(x, -1, 1);
    case FUNCTION_ARCOSH:
        return !within(x, 1, WORD_MAX);
    default:
        return false;
    }
}

typedef void ball_function(acb_t, const acb_t, slong);

/* The functions that Arb has as they are; of the reciprocal where `inverse`. */
static const struct {
    ball_function *of;
    bool inverse;
} ball_functions[FUNCTION_COUNT] = {
    [FUNCTION_SIN] = {acb_sin, false},      [FUNCTION_COS] = {acb_cos, false},
    [FUNCTION_TAN] = {acb_tan, false},      [FUNCTION_COT] = {acb_cot, false},
    [FUNCTION_SEC] = {acb_sec, false},      [FUNCTION_CSC] = {acb_csc, false},
    [FUNCTION_ARCSIN] = {acb_asin, false},  [FUNCTION_ARCCOS] = {acb_acos, false},
    [FUNCTION_ARCTAN] = {acb_atan, false},  [FUNCTION_ARCCOT] = {acb_atan, true},
    [FUNCTION_ARCSEC] = {acb_acos, true},   [FUNCTION_ARCCSC] = {acb_asin, true},
    [FUNCTION_SINH] = {acb_sinh, false},    [FUNCTION_COSH] = {acb_cosh, false},
    [FUNCTION_TANH] = {acb_tanh, false},    [FUNCTION_COTH] = {acb_coth, false},
    [FUNCTION_ARSINH] = {acb_asinh, false}, [FUNCTION_ARCOSH] = {acb_acosh, false},
    [FUNCTION_ARTANH] = {acb_atanh, false}, [FUNCTION_LN] = {acb_log, false},
};

/* n! as Gamma(n + 1) */
static void factorial(acb_t out, const acb_t x, slong precision) {
    acb_add_ui(out, x, 1, precision);
    acb_gamma(out, out, precision);
}

static void binomial(acb_t out, const acb_t n, const acb_t k, slong precision) {
    acb_t part;
    acb_init(part);
    factorial(out, n, precision);
    acb_add_ui(part, k, 1, precision);
    acb_rgamma(part, part, precision);
    acb_mul(out, out, part, precision);
    acb_sub(part, n, k, precision);
    acb_add_ui(part, part, 1, precision);
    acb_rgamma(part, part, precision);
    acb_mul(out, out, part, precision);
    acb_clear(part);
}

static void logarithm(evaluation *v, acb_t out, const acb_t x) {
    acb_log(out, x, v->precision);
    if (!v->common_log) return;
    arb_t ten;
    arb_init(ten);
    arb_log_ui(ten, 10, v->precision);
    acb_div_arb(out, out, ten, v->precision);
    arb_clear(ten);
}

/* Functions of real numbers alone; false for the rest. */
static bool real_function(function_id id, acb_t out, const acb_t x, const acb_t y, int32_t count,
                          slong precision) {
    bool real = acb_is_real(x) && (count < 2 || acb_is_real(y));
    acb_zero(out);
    switch (id) {
    case FUNCTION_ABS:
        acb_abs(acb_realref(out), x, precision);
        return true;
    case FUNCTION_RE:
        arb_set(acb_realref(out), acb_realref(x));
        return true;
    case FUNCTION_IM:
        arb_set(acb_realref(out), acb_imagref(x));
        return true;
    case FUNCTION_FLOOR:
        arb_floor(acb_realref(out), acb_realref(x), precision);
        return real;
    case FUNCTION_CEIL:
        arb_ceil(acb_realref(out), acb_realref(x), precision);
        return real;
    case FUNCTION_MIN:
        arb_min(acb_realref(out), acb_realref(x), acb_realref(y), precision);
        return real && count == 2;
    case FUNCTION_MAX:
        arb_max(acb_realref(out), acb_realref(x), acb_realref(y), precision);
        return real && count == 2;
    default:
        return false;
    }
}

static void evaluate_call(evaluation *v, const expr *e, acb_t out) {
    function_id id = (function_id)e->which;
    bool before = v->varies;
    acb_t x, y;
    acb_init(x);
    acb_init(y);
    v->varies = false;
    evaluate(v, e->part[0], x);
    if (v->varies && out_of_domain(id, x)) v->outside = true;
    if (e->count > 1) evaluate(v, e->part[1], y);
    v->varies |= before;
    if (ball_functions[id].of) {
        if (ball_functions[id].inverse) acb_inv(x, x, v->precision);
        ball_functions[id].of(out, x, v->precision);
    } else if (id == FUNCTION_LOG) {
        logarithm(v, out, x);
    } else if (id == FUNCTION_FACTORIAL) {
        factorial(out, x, v->precision);
    } else if (id == FUNCTION_BINOM) {
        binomial(out, x, y, v->precision);
    } else if (!real_function(id, out, x, y, e->count, v->precision)) {
        acb_indeterminate(out);
    }
    acb_clear(x);
    acb_clear(y);
}

/* ---- Trees ---- */

static void evaluate_unit(evaluation *v, const expr *e, acb_t out) {
    const unit *u = unit_at(e->which);
    name_value(v, u->base, out);
    acb_mul_si(out, out, u->top, v->precision);
    acb_div_si(out, out, u->bottom, v->precision);
    if (!u->per) return;
    acb_t per;
    acb_init(per);
    name_value(v, u->per, per);
    acb_div(out, out, per, v->precision);
    acb_clear(per);
}

static void evaluate_parts(evaluation *v, const expr *e, acb_t out) {
    acb_t part;
    acb_init(part);
    evaluate(v, e->part[0], out);
    for (int32_t i = 1; i < e->count; i++) {
        evaluate(v, e->part[i], part);
        (e->kind == EXPR_SUM ? acb_add : acb_mul)(out, out, part, v->precision);
    }
    if (e->kind == EXPR_PERCENT) acb_div_ui(out, out, 100, v->precision);
    acb_clear(part);
}

static void evaluate(evaluation *v, const expr *e, acb_t out) {
    switch (e->kind) {
    case EXPR_NUMBER:
        acb_set_fmpq(out, &e->number, v->precision);
        return;
    case EXPR_NAME:
        v->varies = true;
        name_value(v, e->text, out);
        return;
    case EXPR_UNIT:
        evaluate_unit(v, e, out);
        return;
    case EXPR_CONSTANT:
        if (e->which == CONSTANT_PI) {
            acb_const_pi(out, v->precision);
        } else if (e->which == CONSTANT_E) {
            acb_one(out);
            acb_exp(out, out, v->precision);
        } else if (e->which == CONSTANT_I) {
            acb_onei(out);
        } else {
            acb_indeterminate(out);
        }
        return;
    case EXPR_SUM:
    case EXPR_PRODUCT:
    case EXPR_PERCENT:
        evaluate_parts(v, e, out);
        return;
    case EXPR_POWER:
        evaluate_power(v, e, out);
        return;
    case EXPR_CALL:
        evaluate_call(v, e, out);
        return;
    default:
        acb_indeterminate(out);
    }
}

/* ---- Verdict ---- */

typedef enum { POINT_DIFFERS, POINT_AGREES, POINT_WIDE, POINT_USELESS } point_verdict;

/* Whether a difference that contains 0 is narrower than 2^-bits, both by itself and as a part of `value`.
 * Where the value may be 0 too there is no such part; then it has to be narrower than 2^-2bits. */
static bool is_narrow(const acb_t difference, const acb_t value, slong bits) {
    mag_t width, size;
    mag_init(width);
    mag_init(size);
    acb_get_mag(width, difference);
    acb_get_mag_lower(size, value);
    if (mag_is_zero(size))
        mag_set_ui_2exp_si(size, 1, -bits);
    else if (mag_cmp_2exp_si(size, 0) > 0)
        mag_one(size);
    mag_mul_2exp_si(size, size, -bits);
    bool narrow = mag_cmp(width, size) < 0;
    mag_clear(width);
    mag_clear(size);
    return narrow;
}

static point_verdict compare_at(evaluation v, const expr *a, const expr *b, slong accurate, bool *varies) {
    acb_t x, y;
    acb_init(x);
    acb_init(y);
    evaluation left = v, right = v;
    evaluate(&left, a, x);
    evaluate(&right, b, y);
    *varies = left.varies || right.varies;
    point_verdict p = left.outside || right.outside ? POINT_USELESS : POINT_WIDE;
    if (p == POINT_WIDE && acb_is_finite(x) && acb_is_finite(y)) {
        if (!acb_overlaps(x, y)) {
            p = POINT_DIFFERS;
        } else {
            acb_sub(y, x, y, v.precision);
            p = is_narrow(y, x, accurate) ? POINT_AGREES : POINT_WIDE;
        }
    }
    acb_clear(x);
    acb_clear(y);
    return p;
}

/* With more and more bits, until the balls are apart or narrow. */
static point_verdict compare_at_point(evaluation v, const expr *a, const expr *b, slong accurate,
                                      bool *varies) {
    for (v.precision = PRECISION; v.precision <= PRECISION_MOST; v.precision *= 4) {
        point_verdict p = compare_at(v, a, b, accurate, varies);
        if (p != POINT_WIDE) return p;
    }
    return POINT_USELESS;
}

static grade_verdict compare_with(bool common_log, const expr *a, const expr *b) {
    evaluation v = {.common_log = common_log};
    int agree = 0;
    for (v.point = 0; v.point < POINTS; v.point++) {
        bool varies = false;
        point_verdict p = compare_at_point(v, a, b, ACCURATE, &varies);
        if (!varies && p == POINT_AGREES) p = compare_at_point(v, a, b, ACCURATE_CONSTANT, &varies);
        if (p == POINT_DIFFERS) return GRADE_DIFFERENT;
        if (!varies) return p == POINT_AGREES ? GRADE_EQUAL : GRADE_UNKNOWN;
        agree += p == POINT_AGREES;
        if (agree >= ENOUGH_POINTS && v.point >= POSITIVE_POINTS + SIGNED_POINTS - 1) break;
    }
    return agree >= ENOUGH_POINTS ? GRADE_EQUAL : GRADE_UNKNOWN;
}

static bool has_log(const expr *e) {
    if (e->kind == EXPR_CALL && e->which == FUNCTION_LOG) return true;
    for (int32_t i = 0; i < e->count; i++)
        if (has_log(e->part[i])) return true;
    return false;
}

/* "log" is of base 10 to some and natural to others: answers are the same if they are in one of the two. */
grade_verdict compare_balls(const expr *a, const expr *b) {
    grade_verdict natural = compare_with(false, a, b);
    if (natural == GRADE_EQUAL || !(has_log(a) || has_log(b))) return natural;
    grade_verdict common = compare_with(true, a, b);
    return common == GRADE_EQUAL || natural == GRADE_DIFFERENT ? common : natural;
}
