/* Functions and their arguments. */
#include "grade/reader.h"

static function_id inverse_of(function_id id) {
    static const function_id pairs[][2] = {{FUNCTION_SIN, FUNCTION_ARCSIN}, {FUNCTION_COS, FUNCTION_ARCCOS},
                                           {FUNCTION_TAN, FUNCTION_ARCTAN}, {FUNCTION_COT, FUNCTION_ARCCOT},
                                           {FUNCTION_SEC, FUNCTION_ARCSEC}, {FUNCTION_CSC, FUNCTION_ARCCSC}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (pairs[i][0] == id) return pairs[i][1];
    return id;
}

/* Factors that follow without a sign, up to the next function: the argument of "\sin 2x \cos x" is 2x. */
static const expr *read_bare_argument(reader *r, function_id id) {
    if (id == FUNCTION_SQRT) return read_primary(r);
    skip_spaces(r);
    bool negative = accept(r, "-");
    const expr *e = read_power(r);
    while (e) {
        size_t before = r->i;
        skip_spaces(r);
        bool command_ = peek(r) == '\\';
        size_t name = r->i + command_, end = letters_end(r, name);
        bool function = function_find(r->at + name, end - name) >= 0;
        const expr *next =
            function || peek(r) == '(' || !read_is_juxtaposed(r, before) ? NULL : read_power(r);
        if (!next) {
            r->i = before;
            break;
        }
        e = expr_product(r->pool, e, next);
    }
    return e && negative ? expr_negative(r->pool, e) : e;
}

/* The arguments in one pair of brackets; 0 where there are none. */
static int64_t read_arguments(reader *r, expr_list *out) {
    skip_spaces(r);
    unsigned char open = peek(r), close = open == '(' ? ')' : open == '[' ? ']' : '}';
    if (open != '(' && open != '[' && open != '{') return 0;
    size_t start = r->i++;
    int brackets = r->brackets++;
    for (;;) {
        const expr *e = read_sum(r);
        if (e) MEM_LIST_PUSH(out, e);
        bool more = e && accept(r, ",");
        if (more) continue;
        skip_spaces(r);
        if (!e || peek(r) != close) break;
        r->i++;
        r->brackets = brackets;
        return out->count;
    }
    r->i = start;
    r->brackets = brackets;
    out->count = 0;
    return 0;
}

/* log_b x = ln x / ln b */
static const expr *logarithm(reader *r, const expr *base, const expr *x) {
    const expr *above = expr_call(r->pool, FUNCTION_LN, &x, 1),
               *below = expr_call(r->pool, FUNCTION_LN, &base, 1);
    return expr_quotient(r->pool, above, below);
}

static const expr *apply(reader *r, function_id id, const expr *base, const expr_list *x) {
    int want = function_arguments(id);
    if (base) return x->count == 1 ? logarithm(r, base, x->at[0]) : NULL;
    if (want > 0 ? x->count != want : x->count < 2) return NULL;
    return expr_call(r->pool, id, x->at, x->count);
}

const expr *read_call(reader *r, function_id id) {
    const expr *base = NULL, *power = NULL;
    if (id == FUNCTION_LOG && accept(r, "_")) {
        base = is_digit(peek(r)) && is_digit(peek_at(r, r->i + 1)) ? read_numeral(r) : read_argument(r);
        if (!base) return NULL;
    }
    if (accept(r, "^")) {
        power = read_exponent(r);
        if (!power) return NULL;
        if (expr_is_integer(power, -1) && inverse_of(id) != id) {
            id = inverse_of(id);
            power = NULL;
        }
    }
    expr_list x = {0};
    if (read_arguments(r, &x) == 0) {
        const expr *bare = read_bare_argument(r, id);
        if (bare) MEM_LIST_PUSH(&x, bare);
    }
    const expr *e = apply(r, id, base, &x);
    MEM_LIST_FREE(&x);
    return e && power ? expr_power(r->pool, e, power) : e;
}
