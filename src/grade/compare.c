#include "grade/compare.h"

#include "grade/compare_sets.h"
#include "grade/formal.h"
#include "grade/units.h"

#include <string.h>

const char grade_reason_too_large[] = "too large to judge",
           grade_reason_unreadable[] = "cannot be read as mathematics",
           grade_reason_undefined[] = "has no value", grade_reason_undecided[] = "cannot be decided";

/* Comparisons of two scalars that one answer may take, how many of them one in balls counts for, and the
 * calls of functions that one in balls may have: the gamma function takes longest. */
enum { MOST_WORK = 8000, BALL_WORK = 40, MOST_CALLS = 64 };

static grade_verdict unknown(comparison *c) {
    c->reason = grade_reason_undecided;
    return GRADE_UNKNOWN;
}

static grade_verdict of_bool(bool equal) {
    return equal ? GRADE_EQUAL : GRADE_DIFFERENT;
}

/* ---- Scalars ---- */

static bool is_scalar(const expr *e) {
    return e->kind <= EXPR_FORMAL && !(e->kind == EXPR_FORMAL && e->which == FORMAL_SET);
}

/* Sums and products of sets and matrices are not worked out. */
static bool is_mixed(const expr *e) {
    if (!is_scalar(e) && e->kind != EXPR_PERCENT) return true;
    for (int32_t i = 0; i < e->count; i++)
        if (is_mixed(e->part[i])) return true;
    return false;
}

/* The value is infinite in a part; what a sum goes up to is none. */
static bool has_infinity(const expr *e) {
    if (e->kind == EXPR_CONSTANT && e->which == CONSTANT_INFINITY) return true;
    if (e->kind == EXPR_FORMAL) return false;
    for (int32_t i = 0; i < e->count; i++)
        if (has_infinity(e->part[i])) return true;
    return false;
}

/* 1 for oo, -1 for -oo and -2 oo, 0 for what is neither. */
static int sign_of_infinity(const expr *e) {
    if (e->kind == EXPR_CONSTANT && e->which == CONSTANT_INFINITY) return 1;
    bool multiple = e->kind == EXPR_PRODUCT && e->count == 2 && e->part[0]->kind == EXPR_NUMBER;
    return multiple ? fmpq_sgn(&e->part[0]->number) * sign_of_infinity(e->part[1]) : 0;
}

static grade_verdict compare_infinite(comparison *c, const expr *a, const expr *b) {
    int s = sign_of_infinity(a), t = sign_of_infinity(b);
    if (s && t) return of_bool(s == t);
    if (expr_has(a, EXPR_FORMAL) || expr_has(b, EXPR_FORMAL)) return unknown(c); /* it may diverge */
    bool finite = s ? !has_infinity(b) : t && !has_infinity(a);
    return finite ? GRADE_DIFFERENT : unknown(c);
}

static int32_t count_calls(const expr *e) {
    int32_t calls = e->kind == EXPR_CALL;
    for (int32_t i = 0; i < e->count; i++) calls += count_calls(e->part[i]);
    return calls;
}

static grade_verdict compare_in_balls(comparison *c, const expr *a, const expr *b) {
    int32_t calls = count_calls(a) + count_calls(b);
    if (calls > MOST_CALLS) return GRADE_UNKNOWN;
    c->work += BALL_WORK * (1 + calls / 4);
    return compare_balls(a, b);
}

static grade_verdict compare_plain(comparison *c, const expr *a, const expr *b) {
    if (is_mixed(a) || is_mixed(b)) return unknown(c);
    if (has_infinity(a) || has_infinity(b)) return compare_infinite(c, a, b);
    if (c->work > MOST_WORK) return unknown(c);
    if (a->kind != EXPR_NUMBER || b->kind != EXPR_NUMBER) c->work++;
    grade_verdict v = compare_exact(a, b);
    if (v == GRADE_UNKNOWN) v = compare_in_balls(c, a, b);
    return v == GRADE_UNKNOWN ? unknown(c) : v;
}

static const expr *without_unit(expr_pool *pool, const expr *node, void *user) {
    (void)node, (void)user;
    return expr_integer(pool, 1);
}

/* A degree is pi/180; other units stay. */
static const expr *radians(expr_pool *pool, const expr *node, void *user) {
    (void)user;
    if (node->which != unit_degree()) return node;
    return expr_quotient(pool, expr_leaf(pool, EXPR_CONSTANT, CONSTANT_PI), expr_integer(pool, 180));
}

static grade_verdict compare_scalars(comparison *c, const expr *a, const expr *b) {
    bool left = expr_has(a, EXPR_UNIT), right = expr_has(b, EXPR_UNIT);
    if (left == right) return compare_plain(c, a, b);
    const expr *bare = expr_replace(c->pool, left ? a : b, EXPR_UNIT, without_unit, NULL),
               *other = left ? b : a;
    grade_verdict v = compare_plain(c, bare, other);
    if (v == GRADE_EQUAL) return v;
    const expr *turned = expr_replace(c->pool, left ? a : b, EXPR_UNIT, radians, NULL);
    return expr_has(turned, EXPR_UNIT) ? v : compare_plain(c, turned, other);
}

static grade_verdict compare_percent(comparison *c, const expr *a, const expr *b) {
    bool left = a->kind == EXPR_PERCENT, right = b->kind == EXPR_PERCENT;
    if (left && right) return compare_answers(c, a->part[0], b->part[0]);
    const expr *number = left ? a->part[0] : b->part[0], *other = left ? b : a;
    if (compare_answers(c, number, other) == GRADE_EQUAL) return GRADE_EQUAL;
    if (is_mixed(number)) return unknown(c);
    return compare_answers(c, expr_quotient(c->pool, number, expr_integer(c->pool, 100)), other);
}

/* ---- Collections ---- */

static grade_verdict compare_in_order(comparison *c, const expr *a, const expr *b) {
    if (a->count != b->count) return GRADE_DIFFERENT;
    grade_verdict all = GRADE_EQUAL;
    for (int32_t i = 0; i < a->count; i++) {
        grade_verdict v = compare_answers(c, a->part[i], b->part[i]);
        if (v == GRADE_DIFFERENT) return v;
        if (v == GRADE_UNKNOWN) all = v;
    }
    return all;
}

enum { MOST_PARTS = 64 };

/* Whether each part of a can have a part of b for itself, where pairs of `least` or more (DIFFERENT < UNKNOWN
 * < EQUAL) go together: an augmenting path from part i. */
static bool augment(const int8_t *level, int least, int32_t n, int32_t i, bool *seen, int32_t *owner) {
    for (int32_t k = 0; k < n; k++) {
        if (level[i * MOST_PARTS + k] < least || seen[k]) continue;
        seen[k] = true;
        if (owner[k] >= 0 && !augment(level, least, n, owner[k], seen, owner)) continue;
        owner[k] = i;
        return true;
    }
    return false;
}

static bool matches(const int8_t *level, int least, int32_t n) {
    int32_t owner[MOST_PARTS];
    for (int32_t k = 0; k < n; k++) owner[k] = -1;
    for (int32_t i = 0; i < n; i++) {
        bool seen[MOST_PARTS] = {false};
        if (!augment(level, least, n, i, seen, owner)) return false;
    }
    return true;
}

/* Whether every row and every column has a pair of `least` or more: sets, where a part may be repeated. */
static bool covers(const int8_t *level, int least, int32_t rows, int32_t columns) {
    bool column[MOST_PARTS] = {false};
    for (int32_t i = 0; i < rows; i++) {
        bool row = false;
        for (int32_t k = 0; k < columns; k++)
            if (level[i * MOST_PARTS + k] >= least) row = column[k] = true;
        if (!row) return false;
    }
    for (int32_t k = 0; k < columns; k++)
        if (!column[k]) return false;
    return true;
}

/* Equal where the parts can be put in pairs of equal ones, different where they cannot, even if every unknown
 * pair were equal. */
static grade_verdict compare_any_order(comparison *c, const expr *a, const expr *b, bool sets) {
    static const int8_t levels[] = {[GRADE_DIFFERENT] = 0, [GRADE_UNKNOWN] = 1, [GRADE_EQUAL] = 2};
    int8_t level[MOST_PARTS * MOST_PARTS];
    int32_t rows = a->count, columns = b->count;
    if (!sets && rows != columns) return GRADE_DIFFERENT;
    if (rows > MOST_PARTS || columns > MOST_PARTS) return unknown(c);
    for (int32_t i = 0; i < rows; i++)
        for (int32_t k = 0; k < columns; k++)
            level[i * MOST_PARTS + k] = levels[compare_answers(c, a->part[i], b->part[k])];
    for (int least = 2; least > 0; least--)
        if (sets ? covers(level, least, rows, columns) : matches(level, least, rows))
            return least == 2 ? GRADE_EQUAL : unknown(c);
    return GRADE_DIFFERENT;
}

static bool is_collection(const expr *e) {
    return e->kind == EXPR_LIST || e->kind == EXPR_SET;
}

static bool is_vector(const expr *e) {
    return e->kind == EXPR_MATRIX && (e->which == 1 || e->which == e->count);
}

/* "(1, 2)" and "[1, 2]", not "(1, 2]". */
static bool has_plain_brackets(const expr *e) {
    int open = e->which / 256, close = e->which % 256;
    return (open == '(') == (close == ')');
}

static bool has_inequality(const expr *e) {
    if (e->kind == EXPR_RELATION) return strpbrk(e->text, "<>lg!") != NULL;
    for (int32_t i = 0; i < e->count; i++)
        if (has_inequality(e->part[i])) return true;
    return false;
}

static grade_verdict compare_collections(comparison *c, const expr *a, const expr *b) {
    if (is_collection(a) && is_collection(b))
        return compare_any_order(c, a, b, a->kind == EXPR_SET && b->kind == EXPR_SET);
    if (a->kind == EXPR_SET && a->count == 1 && is_scalar(b)) return compare_answers(c, a->part[0], b);
    if (b->kind == EXPR_SET && b->count == 1 && is_scalar(a)) return compare_answers(c, a, b->part[0]);
    if (a->kind == b->kind)
        return of_bool(a->which == b->which) == GRADE_EQUAL ? compare_in_order(c, a, b) : GRADE_DIFFERENT;
    const expr *tuple = a->kind == EXPR_TUPLE ? a : b, *other = tuple == a ? b : a;
    if (tuple->kind == EXPR_TUPLE && has_plain_brackets(tuple) &&
        (other->kind == EXPR_LIST || is_vector(other)))
        return compare_in_order(c, a, b);
    return GRADE_DIFFERENT;
}

/* With inequalities inside: equal where the parts are; nothing follows from other parts. */
static grade_verdict compare_conditions(comparison *c, const expr *a, const expr *b) {
    bool same_kind = a->kind == b->kind && a->which == b->which;
    bool parts = same_kind && (is_collection(a) || a->kind == EXPR_TUPLE);
    return parts && compare_collections(c, a, b) == GRADE_EQUAL ? GRADE_EQUAL : unknown(c);
}

/* ---- Relations ---- */

/* Letters, and functions of letters: x, f(x), (x, y), P(X = k) without digits. */
static bool is_name(const expr *e) {
    if (e->kind == EXPR_NAME || e->kind == EXPR_TEXT) return true;
    if (e->kind == EXPR_CONSTANT) return e->which == CONSTANT_E || e->which == CONSTANT_I;
    if (e->kind == EXPR_POWER) return is_name(e->part[0]) && expr_is_integer(e->part[1], -1); /* f^{-1}(x) */
    if (e->kind != EXPR_TUPLE && e->kind != EXPR_PRODUCT) return false;
    for (int32_t i = 0; i < e->count; i++)
        if (!is_name(e->part[i])) return false;
    return true;
}

/* What "x = 5", "5 = x", "x in [2, 3]" or "2 + 3 = 5" gives; NULL where it is a condition, not a value. */
static const expr *value_of(const expr *relation) {
    const expr *first = relation->part[0], *last = relation->part[relation->count - 1];
    if (strspn(relation->text, "=~") == strlen(relation->text)) {
        if (is_name(last) && !is_name(first)) return first;
        return is_name(first) || !expr_has(relation, EXPR_NAME) ? last : NULL;
    }
    return strcmp(relation->text, "e") == 0 && is_name(first) ? last : NULL;
}

static grade_verdict compare_with_value(comparison *c, const expr *relation, const expr *other) {
    if (relation->text[strlen(relation->text) - 1] == '~') /* 7/2 is about 4: both are given */
        for (int32_t i = 0; i < relation->count; i++)
            if (!expr_has(relation->part[i], EXPR_NAME) &&
                compare_answers(c, relation->part[i], other) == GRADE_EQUAL)
                return GRADE_EQUAL;
    const expr *value = value_of(relation);
    if (!value && other->kind == EXPR_LIST && has_inequality(other)) return unknown(c);
    if (!value) {
        const expr *interval = interval_of(c->pool, relation);
        if (interval && other->kind == EXPR_TUPLE) return compare_answers(c, interval, other);
        bool set = other->kind >= EXPR_TUPLE && other->kind <= EXPR_INTERSECTION && has_inequality(relation);
        return !interval && set ? unknown(c) : GRADE_DIFFERENT;
    }
    return compare_answers(c, value, other);
}

/* The relation with its signs pointing to the right only; *text says them. NULL where they point both ways.
 */
static const expr *turned(comparison *c, const expr *e) {
    if (!strpbrk(e->text, ">g")) return e;
    if (strpbrk(e->text, "<l")) return NULL;
    const expr *parts[16] = {NULL};
    int32_t n = e->count;
    if (n > 16) return NULL;
    for (int32_t i = 0; i < n; i++) parts[i] = e->part[n - 1 - i];
    expr *back = (expr *)expr_node(c->pool, EXPR_RELATION, 0, parts, n);
    char *signs = arena_strdup(c->pool->memory, e->text);
    for (int32_t i = 0; i + 1 < n; i++) {
        char sign = e->text[n - 2 - i];
        signs[i] = sign == '>' ? '<' : sign == 'g' ? 'l' : sign;
    }
    back->text = signs;
    return back;
}

static grade_verdict compare_sides(comparison *c, const expr *a, const expr *b, zero_factor factor) {
    for (int side = 0; side < 2; side++)
        if (is_mixed(a->part[side]) || is_mixed(b->part[side])) return compare_in_order(c, a, b);
    const expr *x = expr_difference(c->pool, a->part[0], a->part[1]);
    const expr *y = expr_difference(c->pool, b->part[0], b->part[1]);
    grade_verdict v = compare_zeros(x, y, factor);
    if (v != GRADE_UNKNOWN) return v;
    v = compare_in_order(c, a, b);
    return v == GRADE_EQUAL || (is_name(a->part[0]) && is_name(b->part[0])) ? v : unknown(c);
}

static grade_verdict compare_relations(comparison *c, const expr *a, const expr *b) {
    const expr *x = turned(c, a), *y = turned(c, b);
    if (!x || !y) return unknown(c);
    if (value_of(x) && value_of(y) && x->count + y->count > 4)
        return compare_answers(c, value_of(x), value_of(y));
    if (strcmp(x->text, y->text) != 0) return GRADE_DIFFERENT;
    if (x->count > 2 || x->text[0] == 'e') return compare_in_order(c, x, y);
    for (int side = 0; side < 2; side++)
        if (is_name(x->part[side]) && expr_same(x->part[side], y->part[side]))
            return compare_answers(c, x->part[1 - side], y->part[1 - side]);
    bool order = strpbrk(x->text, "<l") != NULL;
    return compare_sides(c, x, y, order ? ZERO_POSITIVE : ZERO_ANY);
}

/* ---- Times and ratios ---- */

/* Minutes after midnight of 4:20 pm; -1 where it is no time of day. */
static long minutes(const expr *e, const char *half) {
    if (e->count != 2) return -1;
    for (int i = 0; i < 2; i++)
        if (e->part[i]->kind != EXPR_NUMBER || !fmpz_is_one(fmpq_denref(&e->part[i]->number))) return -1;
    long hour = fmpz_get_si(fmpq_numref(&e->part[0]->number)),
         minute = fmpz_get_si(fmpq_numref(&e->part[1]->number));
    if (half && hour == 12) hour = 0;
    if (half && strcmp(half, "pm") == 0) hour += 12;
    return hour >= 0 && hour < 24 && minute >= 0 && minute < 60 ? hour * 60 + minute : -1;
}

static grade_verdict compare_ratios(comparison *c, const expr *a, const expr *b) {
    if (a->kind != b->kind) {
        const expr *ratio = a->kind == EXPR_RATIO ? a : b, *other = ratio == a ? b : a;
        if (ratio->count != 2 || is_mixed(other) || is_mixed(ratio->part[0]) || is_mixed(ratio->part[1]))
            return GRADE_DIFFERENT;
        const expr *quotient = expr_quotient(c->pool, ratio->part[0], ratio->part[1]);
        return compare_answers(c, quotient, other) == GRADE_DIFFERENT ? GRADE_DIFFERENT : unknown(c);
    }
    if (a->count != b->count) return GRADE_DIFFERENT;
    if (a->text || b->text) {
        bool both = a->text && b->text;
        long s = minutes(a, a->text), t = minutes(b, b->text);
        if (s >= 0 && t >= 0 && (s == t || both)) return of_bool(s == t);
        if (both && strcmp(a->text, b->text) != 0) return GRADE_DIFFERENT;
    }
    grade_verdict v = compare_in_order(c, a, b);
    if (v != GRADE_DIFFERENT) return v;
    const expr *x = expr_product(c->pool, a->part[0], b->part[1]),
               *y = expr_product(c->pool, a->part[1], b->part[0]);
    bool proportional = a->count == 2 && !expr_is_integer(x, 0) && compare_answers(c, x, y) == GRADE_EQUAL;
    return proportional ? unknown(c) : GRADE_DIFFERENT; /* 12:16 is 3:4 as a ratio and not as a time */
}

/* ---- Other bases, words ---- */

static grade_verdict compare_based(const expr *a, const expr *b) {
    const expr *based = a->kind == EXPR_BASED ? a : b, *other = based == a ? b : a;
    const char *digits = based->text + strspn(based->text, "0");
    if (other->kind == EXPR_BASED)
        return of_bool(a->which == b->which && strcmp(digits, other->text + strspn(other->text, "0")) == 0);
    if (other->kind != EXPR_NUMBER) return GRADE_DIFFERENT;
    char *text = fmpq_get_str(NULL, 10, &other->number); /* the base was left out */
    bool same = strcmp(text, digits) == 0;
    flint_free(text);
    return of_bool(same);
}

/* "all real numbers", "no solution": sets in words. */
static bool describes_set(const char *text) {
    static const char *const words[] = {"real",   "solution", "none", "empty",
                                        "number", "integer",  "all",  "no "};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strstr(text, words[i])) return true;
    return false;
}

static grade_verdict compare_text(comparison *c, const expr *a, const expr *b) {
    if (a->kind == b->kind) return of_bool(strcmp(a->text, b->text) == 0);
    const expr *text = a->kind == EXPR_TEXT ? a : b, *other = text == a ? b : a;
    if (other->kind == EXPR_NAME) return of_bool(strcasecmp(text->text, other->text) == 0);
    if (other->kind == EXPR_CONSTANT && other->which == CONSTANT_INFINITY && strstr(text->text, "infinity"))
        return of_bool(strncmp(text->text, "infinity", 8) == 0);
    bool set = (!is_scalar(other) && other->kind != EXPR_PERCENT) || other->kind == EXPR_FORMAL;
    return set && describes_set(text->text) ? unknown(c) : GRADE_DIFFERENT;
}

/* ---- Sums, limits, cases, sets by a rule ---- */

/* Equal where the parts are; nothing follows from other parts. */
static grade_verdict compare_forms(comparison *c, const expr *a, const expr *b) {
    if (a->which != b->which || a->count != b->count) return unknown(c);
    grade_verdict v =
        a->which == FORMAL_CASES ? compare_any_order(c, a, b, false) : compare_in_order(c, a, b);
    return v == GRADE_EQUAL ? v : unknown(c);
}

/* {x | x > sqrt 2} against (sqrt 2, oo). */
static grade_verdict compare_rule(comparison *c, const expr *set, const expr *other) {
    const expr *condition = set->part[0];
    bool interval = is_real_rule(set) && condition->kind == EXPR_RELATION && other->kind == EXPR_TUPLE;
    const expr *written = interval ? interval_of(c->pool, condition) : NULL;
    return written ? compare_answers(c, written, other) : unknown(c);
}

static grade_verdict compare_formal(comparison *c, const expr *a, const expr *b) {
    if (a->kind == b->kind) return compare_forms(c, a, b);
    const expr *form = a->kind == EXPR_FORMAL ? a : b, *other = form == a ? b : a;
    return form->which == FORMAL_SET ? compare_rule(c, form, other) : unknown(c);
}

/* ---- All ---- */

typedef struct {
    int sign;
} pm_choice;

static const expr *choose_sign(expr_pool *pool, const expr *node, void *user) {
    const pm_choice *choice = user;
    const expr *inside = expr_replace(pool, node->part[0], EXPR_PLUS_MINUS, choose_sign, user);
    return node->which == choice->sign ? inside : expr_negative(pool, inside);
}

/* a \pm b as the two answers that it is, inside the list or set that it is in. */
static const expr *spread(comparison *c, const expr *e) {
    if (!expr_has(e, EXPR_PLUS_MINUS)) return e;
    if (e->kind == EXPR_RELATION && value_of(e)) return spread(c, value_of(e));
    bool collection = is_collection(e);
    expr_list parts = {0};
    for (int32_t i = 0; i < (collection ? e->count : 1); i++) {
        const expr *part = collection ? e->part[i] : e;
        pm_choice plus = {1}, minus = {-1};
        MEM_LIST_PUSH(&parts, expr_replace(c->pool, part, EXPR_PLUS_MINUS, choose_sign, &plus));
        if (expr_has(part, EXPR_PLUS_MINUS))
            MEM_LIST_PUSH(&parts, expr_replace(c->pool, part, EXPR_PLUS_MINUS, choose_sign, &minus));
    }
    const expr *out = expr_node(c->pool, collection ? e->kind : EXPR_LIST, 0, parts.at, parts.count);
    MEM_LIST_FREE(&parts);
    return out;
}

static bool is_array(const expr *e) {
    return e->kind == EXPR_MATRIX || (e->kind == EXPR_TUPLE && e->which == '(' * 256 + ')');
}

/* A vector or a matrix times numbers with the product carried out; e itself where it is none. */
static const expr *scaled(comparison *c, const expr *e) {
    const expr *array = NULL, *factor = expr_integer(c->pool, 1);
    if (e->kind != EXPR_PRODUCT) return e;
    for (int32_t i = 0; i < e->count; i++) {
        bool found = is_array(e->part[i]);
        if (found ? array != NULL : is_mixed(e->part[i])) return e;
        if (found)
            array = e->part[i];
        else
            factor = expr_product(c->pool, factor, e->part[i]);
    }
    if (!array) return e;
    expr_list parts = {0};
    for (int32_t i = 0; i < array->count; i++)
        MEM_LIST_PUSH(&parts, expr_product(c->pool, factor, array->part[i]));
    const expr *out = expr_node(c->pool, array->kind, array->which, parts.at, parts.count);
    MEM_LIST_FREE(&parts);
    return out;
}

static bool either(const expr *a, const expr *b, expr_kind kind) {
    return a->kind == kind || b->kind == kind;
}

static grade_verdict compare_kinds(comparison *c, const expr *a, const expr *b) {
    if (either(a, b, EXPR_RELATION)) {
        if (a->kind == b->kind) return compare_relations(c, a, b);
        return a->kind == EXPR_RELATION ? compare_with_value(c, a, b) : compare_with_value(c, b, a);
    }
    if (either(a, b, EXPR_TEXT)) return compare_text(c, a, b);
    if (either(a, b, EXPR_PERCENT)) return compare_percent(c, a, b);
    if (either(a, b, EXPR_RATIO)) return compare_ratios(c, a, b);
    if (either(a, b, EXPR_BASED)) return compare_based(a, b);
    if (either(a, b, EXPR_FORMAL)) return compare_formal(c, a, b);
    if (is_scalar(a) && is_scalar(b)) return compare_scalars(c, a, b);
    if (has_inequality(a) || has_inequality(b)) return compare_conditions(c, a, b);
    if (either(a, b, EXPR_UNION) && either(a, b, EXPR_LIST)) {
        const expr *list = a->kind == EXPR_LIST ? a : b; /* of intervals, perhaps */
        return expr_has(list, EXPR_TUPLE) ? unknown(c) : GRADE_DIFFERENT;
    }
    if (either(a, b, EXPR_UNION) && a->kind == b->kind) return compare_any_order(c, a, b, true);
    if (is_mixed(a) && is_scalar(a)) return unknown(c);
    if (is_mixed(b) && is_scalar(b)) return unknown(c);
    return compare_collections(c, a, b);
}

grade_verdict compare_answers(comparison *c, const expr *a, const expr *b) {
    if (expr_same(a, b)) return GRADE_EQUAL;
    if (c->pool->too_large) return unknown(c);
    a = scaled(c, spread(c, a));
    b = scaled(c, spread(c, b));
    if (c->pool->too_large) return unknown(c);
    grade_verdict v = compare_sets(c, a, b);
    return v == GRADE_UNKNOWN ? compare_kinds(c, a, b) : v;
}
