#include "grade/formal.h"

#include <string.h>

/* A sum of more terms, or of terms that need more nodes together, is not carried out. */
enum { MOST_TERMS = 1000, MOST_NODES = EXPR_MAX_NODES / 4 };

typedef struct {
    const char *name;
    const expr *value;
} substitution;

static const expr *substitute(expr_pool *pool, const expr *node, void *user) {
    const substitution *s = user;
    (void)pool;
    return strcmp(node->text, s->name) == 0 ? s->value : node;
}

/* How many forms are one in another. */
static int nested(const expr *e) {
    int most = 0;
    for (int32_t i = 0; i < e->count; i++) {
        int inside = nested(e->part[i]);
        if (inside > most) most = inside;
    }
    return most + (e->kind == EXPR_FORMAL);
}

static int64_t count_nodes(const expr *e) {
    int64_t n = 1;
    for (int32_t i = 0; i < e->count; i++) n += count_nodes(e->part[i]);
    return n;
}

/* A bound name is "#" and a number, which no name of an answer is. */
const expr *expr_bind(expr_pool *pool, formal_kind kind, const expr *const *parts, int64_t count) {
    char bound[16];
    int n = snprintf(bound, sizeof bound, "#%d", nested(parts[0]));
    const expr *inside[4] = {parts[0], expr_named(pool, EXPR_NAME, bound, (size_t)n)};
    substitution s = {parts[1]->text, inside[1]};
    inside[0] = expr_replace(pool, parts[0], EXPR_NAME, substitute, &s);
    for (int64_t i = 2; i < count; i++) inside[i] = parts[i];
    return expr_formal(pool, kind, inside, count);
}

static bool small_integer(const expr *e, slong *value) {
    if (e->kind != EXPR_NUMBER || !fmpz_is_one(fmpq_denref(&e->number)) ||
        fmpz_bits(fmpq_numref(&e->number)) > 32)
        return false;
    *value = fmpz_get_si(fmpq_numref(&e->number));
    return true;
}

static const expr *carry_out(expr_pool *pool, bool sum, const expr *const *parts, slong low, slong high) {
    const expr *total = expr_integer(pool, sum ? 0 : 1);
    for (slong k = low; k <= high && !pool->too_large; k++) {
        substitution s = {parts[1]->text, expr_integer(pool, k)};
        const expr *term = expr_replace(pool, parts[0], EXPR_NAME, substitute, &s);
        total = (sum ? expr_sum : expr_product)(pool, total, term);
    }
    return total;
}

const expr *expr_formal(expr_pool *pool, formal_kind kind, const expr *const *parts, int64_t count) {
    slong low, high;
    bool sum = kind == FORMAL_SUM;
    if ((sum || kind == FORMAL_PRODUCT) && small_integer(parts[2], &low) && small_integer(parts[3], &high)) {
        slong terms = high < low ? 0 : high - low + 1;
        if (terms <= MOST_TERMS && terms * (1 + count_nodes(parts[0])) <= MOST_NODES)
            return carry_out(pool, sum, parts, low, high);
    }
    return expr_node(pool, EXPR_FORMAL, (int)kind, parts, count);
}
