#include "grade/compare_sets.h"

#include "grade/formal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SPANS = 32 };

/* From low to high; an end that is infinite is NULL. */
typedef struct {
    const expr *low, *high;
    bool low_closed, high_closed;
} span;

typedef struct {
    span at[MAX_SPANS];
    int count;
} span_set;

static bool is_line(const expr *e) {
    return e->kind == EXPR_NAME && strncmp(e->text, "\\mathbb", 7) == 0 && strchr(e->text, 'R');
}

bool is_real_rule(const expr *e) {
    return e->kind == EXPR_FORMAL && e->which == FORMAL_SET && (e->count == 2 || is_line(e->part[2]));
}

/* Whether it is a set of more than one number by its form alone. */
static bool is_compound(const expr *e) {
    if (e->kind == EXPR_RELATION) {
        if (strcmp(e->text, "e") == 0) return is_compound(e->part[1]);
        return strpbrk(e->text, "<>lg!") != NULL;
    }
    if (e->kind == EXPR_LIST && e->which == 1)
        for (int32_t i = 0; i < e->count; i++)
            if (e->part[i]->kind == EXPR_TUPLE || is_compound(e->part[i])) return true;
    return e->kind == EXPR_UNION || is_line(e) || (is_real_rule(e) && is_compound(e->part[0]));
}

/* The end as a number, or NULL for infinity of that sign; false for anything else. */
static bool read_end(const expr *e, int sign, const expr **out) {
    *out = e;
    if (e->kind == EXPR_NUMBER) return true;
    *out = NULL;
    if (e->kind == EXPR_CONSTANT && e->which == CONSTANT_INFINITY) return sign > 0;
    return sign < 0 && e->kind == EXPR_PRODUCT && e->count == 2 && expr_is_integer(e->part[0], -1) &&
           e->part[1]->kind == EXPR_CONSTANT && e->part[1]->which == CONSTANT_INFINITY;
}

static bool add_span(span_set *s, const expr *low, const expr *high, bool low_closed, bool high_closed) {
    if (s->count == MAX_SPANS) return false;
    s->at[s->count++] = (span){low, high, low_closed && low, high_closed && high};
    return true;
}

static bool add_interval(span_set *s, const expr *e) {
    const expr *low, *high;
    if (e->count != 2 || !read_end(e->part[0], -1, &low) || !read_end(e->part[1], 1, &high)) return false;
    if (low && high && fmpq_cmp(&low->number, &high->number) > 0) return false;
    return add_span(s, low, high, e->which / 256 == '[', e->which % 256 == ']');
}

static bool is_less(char sign) {
    return sign == '<' || sign == 'l';
}

const expr *interval_of(expr_pool *pool, const expr *e) {
    const char *s = e->text;
    bool chain = e->count == 3;
    int name = chain ? 1 : e->part[0]->kind == EXPR_NAME ? 0 : 1;
    if (e->count > 3 || e->part[name]->kind != EXPR_NAME || !strchr("<>lg", s[0]) ||
        !strchr("<>lg", s[e->count - 2]))
        return NULL;
    bool up = is_less(s[0]);
    if (chain && up != is_less(s[1])) return NULL;
    const expr *infinity = expr_leaf(pool, EXPR_CONSTANT, CONSTANT_INFINITY), *ends[2];
    bool closed[2];
    if (chain) {
        for (int i = 0; i < 2; i++) {
            ends[i] = e->part[up ? 2 * i : 2 - 2 * i];
            closed[i] = strchr("lg", s[up ? i : 1 - i]) != NULL;
        }
    } else {
        int known = up == (name == 0); /* x < 5 has its upper end */
        ends[known] = e->part[1 - name];
        closed[known] = strchr("lg", s[0]) != NULL;
        ends[1 - known] = known ? expr_negative(pool, infinity) : infinity;
        closed[1 - known] = false;
    }
    return expr_node(pool, EXPR_TUPLE, (closed[0] ? '[' : '(') * 256 + (closed[1] ? ']' : ')'), ends, 2);
}

/* x < 5, 5 < x, 1 < x <= 6, x != 5, x in ... */
static bool add_relation(expr_pool *pool, span_set *s, const expr *e);

static bool add_set(expr_pool *pool, span_set *s, const expr *e) {
    switch (e->kind) {
    case EXPR_TUPLE:
        return add_interval(s, e);
    case EXPR_LIST: /* x < 2 or x > 3 */
        if (!is_compound(e)) return false;
        __attribute__((fallthrough));
    case EXPR_UNION:
        for (int32_t i = 0; i < e->count; i++)
            if (!add_set(pool, s, e->part[i])) return false;
        return true;
    case EXPR_SET:
        for (int32_t i = 0; i < e->count; i++)
            if (e->part[i]->kind != EXPR_NUMBER || !add_span(s, e->part[i], e->part[i], true, true))
                return false;
        return true;
    case EXPR_RELATION:
        return add_relation(pool, s, e);
    case EXPR_FORMAL:
        return is_real_rule(e) && is_compound(e->part[0]) && add_set(pool, s, e->part[0]);
    default:
        return is_line(e) && add_span(s, NULL, NULL, false, false);
    }
}

static bool add_relation(expr_pool *pool, span_set *s, const expr *e) {
    if (e->count == 2 && e->part[0]->kind == EXPR_NAME && e->text[0] == 'e')
        return add_set(pool, s, e->part[1]);
    if (e->count == 2 && e->text[0] == '!') {
        const expr *end = e->part[e->part[0]->kind == EXPR_NAME];
        return end->kind == EXPR_NUMBER && add_span(s, NULL, end, false, false) &&
               add_span(s, end, NULL, false, false);
    }
    const expr *interval = interval_of(pool, e);
    return interval && add_interval(s, interval);
}

/* Negative, 0 or positive; NULL is minus infinity. */
static int order_low(const void *x, const void *y) {
    const span *a = x, *b = y;
    if (!a->low || !b->low) return (a->low != NULL) - (b->low != NULL);
    int order = fmpq_cmp(&a->low->number, &b->low->number);
    return order ? order : b->low_closed - a->low_closed;
}

/* Whether the next span begins where this one ends, or before. */
static bool touches(const span *a, const span *next) {
    if (!a->high || !next->low) return true;
    int order = fmpq_cmp(&a->high->number, &next->low->number);
    return order > 0 || (order == 0 && (a->high_closed || next->low_closed));
}

static bool reaches_further(const span *a, const span *than) {
    if (!a->high || !than->high) return than->high != NULL;
    int order = fmpq_cmp(&a->high->number, &than->high->number);
    return order > 0 || (order == 0 && a->high_closed);
}

static bool is_empty(const span *a) {
    return a->low && a->high && fmpq_equal(&a->low->number, &a->high->number) &&
           !(a->low_closed && a->high_closed);
}

/* In order, and spans that touch made one. */
static void merge(span_set *s) {
    int kept = 0;
    qsort(s->at, (size_t)s->count, sizeof *s->at, order_low);
    for (int i = 0; i < s->count; i++) {
        span next = s->at[i];
        if (is_empty(&next)) continue;
        if (kept > 0 && touches(&s->at[kept - 1], &next)) {
            if (reaches_further(&next, &s->at[kept - 1])) {
                s->at[kept - 1].high = next.high;
                s->at[kept - 1].high_closed = next.high_closed;
            }
        } else {
            s->at[kept++] = next;
        }
    }
    s->count = kept;
}

static bool same_end(const expr *a, const expr *b) {
    return a && b ? fmpq_equal(&a->number, &b->number) : a == b;
}

/* Inequalities of different names are different conditions. */
static bool other_names(const expr *a, const expr *b) {
    if (a->kind != EXPR_RELATION || b->kind != EXPR_RELATION) return false;
    const expr *names[2] = {NULL, NULL}, *sides[2] = {a, b};
    for (int s = 0; s < 2; s++)
        for (int32_t i = 0; i < sides[s]->count; i++)
            if (sides[s]->part[i]->kind == EXPR_NAME) names[s] = sides[s]->part[i];
    return names[0] && names[1] && !expr_same(names[0], names[1]);
}

grade_verdict compare_sets(comparison *c, const expr *a, const expr *b) {
    span_set s = {.count = 0}, t = {.count = 0};
    if (!(is_compound(a) || is_compound(b)) || other_names(a, b) || !add_set(c->pool, &s, a) ||
        !add_set(c->pool, &t, b))
        return GRADE_UNKNOWN;
    merge(&s);
    merge(&t);
    if (s.count != t.count) return GRADE_DIFFERENT;
    for (int i = 0; i < s.count; i++) {
        const span *x = &s.at[i], *y = &t.at[i];
        if (!same_end(x->low, y->low) || !same_end(x->high, y->high) || x->low_closed != y->low_closed ||
            x->high_closed != y->high_closed)
            return GRADE_DIFFERENT;
    }
    return GRADE_EQUAL;
}
