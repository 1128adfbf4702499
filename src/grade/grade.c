#include "grade/grade.h"

#include "grade/clean.h"
#include "grade/compare.h"
#include "grade/read.h"
#include "grade/spelling.h"
#include "grade/units.h"

#include <ctype.h>
#include <string.h>

/* ---- Two answers ---- */

typedef struct {
    expr_pool pool;
    text_buffer text;       /* cleaned */
    reading as_read, apart; /* apart: commas separate answers, where that could be meant */
} answer;

/* stated: running text, of which its first quantity counts. */
static void answer_read(answer *a, const char *text, size_t length, bool is_stated) {
    *a = (answer){.text = {0}};
    expr_pool_init(&a->pool);
    text_puts(&a->text, "");
    clean_text(text, length, &a->text, NULL);
    if (is_stated) {
        stated found;
        read_stated(&a->pool, a->text.at, a->text.length, &found);
        a->as_read.value = found.value;
        return;
    }
    a->as_read = read_answer(&a->pool, a->text.at, a->text.length, false);
    if (a->as_read.had_commas) a->apart = read_answer(&a->pool, a->text.at, a->text.length, true);
}

static void answer_free(answer *a) {
    expr_pool_free(&a->pool);
    text_free(&a->text);
}

/* Why it cannot be used; NULL where it can. */
static const char *answer_fault(const answer *a) {
    if (a->pool.too_large) return grade_reason_too_large;
    if (a->pool.undefined) return grade_reason_undefined;
    return a->as_read.value ? NULL : grade_reason_unreadable;
}

static bool is_several(const expr *e) {
    return e->kind == EXPR_LIST || e->kind == EXPR_TUPLE;
}

static grade_verdict compare_read(answer *a, answer *b, const char **reason) {
    const char *left = answer_fault(a), *right = answer_fault(b);
    if ((left == grade_reason_undefined && !right) || (right == grade_reason_undefined && !left))
        return GRADE_DIFFERENT; /* 1/0 is no number */
    if (left || right) {
        *reason = left ? left : right;
        return GRADE_UNKNOWN;
    }
    comparison c = {.pool = &a->pool, .reason = grade_reason_undecided};
    grade_verdict v = compare_answers(&c, a->as_read.value, b->as_read.value);
    if (v != GRADE_EQUAL && a->apart.value && is_several(b->as_read.value))
        v = compare_answers(&c, a->apart.value, b->as_read.value);
    if (v != GRADE_EQUAL && b->apart.value && is_several(a->as_read.value))
        v = compare_answers(&c, a->as_read.value, b->apart.value);
    if (v == GRADE_UNKNOWN) *reason = c.reason;
    return v;
}

/* The letters of an answer that has nothing else, in lower case; false for any other. */
static bool letters_alone(const text_buffer *text, text_buffer *out) {
    for (size_t i = 0; i < text->length; i++) {
        unsigned char c = (unsigned char)text->at[i];
        if (isalpha(c) || c >= 0x80) {
            char lower = (char)(c < 0x80 ? tolower(c) : c);
            text_append(out, &lower, 1);
        } else if (c > ' ' && !strchr("(){}.,-'\"", c)) {
            return false;
        }
    }
    return out->length > 0;
}

/* \text{no} and no: which letters are words and which are names is known from one of the two. */
static bool same_letters(const answer *a, const answer *b) {
    text_buffer x = {0}, y = {0};
    bool words = (a->as_read.value && a->as_read.value->kind == EXPR_TEXT) ||
                 (b->as_read.value && b->as_read.value->kind == EXPR_TEXT);
    bool same = words && letters_alone(&a->text, &x) && letters_alone(&b->text, &y) && x.length == y.length &&
                memcmp(x.at, y.at, x.length) == 0;
    text_free(&x);
    text_free(&y);
    return same;
}

static grade_verdict compare_texts(const char *a, size_t a_length, const char *b, size_t b_length,
                                   bool is_stated, const char **reason) {
    const char *ignored;
    if (!reason) reason = &ignored;
    if (a_length == b_length && (a_length == 0 || memcmp(a, b, a_length) == 0)) return GRADE_EQUAL;
    if (a_length > GRADE_MAX_BYTES || b_length > GRADE_MAX_BYTES) {
        *reason = grade_reason_too_large;
        return GRADE_UNKNOWN;
    }
    answer x, y;
    answer_read(&x, a, a_length, is_stated);
    answer_read(&y, b, b_length, is_stated);
    bool same = x.text.length == y.text.length && memcmp(x.text.at, y.text.at, x.text.length) == 0;
    grade_verdict v = same || same_letters(&x, &y) ? GRADE_EQUAL : compare_read(&x, &y, reason);
    answer_free(&x);
    answer_free(&y);
    return v;
}

grade_verdict grade_compare(const char *a, size_t a_length, const char *b, size_t b_length,
                            const char **reason) {
    return compare_texts(a, a_length, b, b_length, false, reason);
}

grade_verdict grade_compare_stated(const char *a, size_t a_length, const char *b, size_t b_length,
                                   const char **reason) {
    return compare_texts(a, a_length, b, b_length, true, reason);
}

bool grade_is_readable(const char *text, size_t length) {
    if (length == 0 || length > GRADE_MAX_BYTES) return false;
    answer a;
    answer_read(&a, text, length, false);
    bool readable = !answer_fault(&a);
    answer_free(&a);
    return readable;
}

/* ---- Numbers in running text ---- */

static const expr *no_unit(expr_pool *pool, const expr *node, void *user) {
    (void)node, (void)user;
    return expr_integer(pool, 1);
}

/* Whether it has a unit other than a currency. */
static bool has_measure(const expr *e) {
    if (e->kind == EXPR_UNIT) return !unit_is_money(e->which);
    for (int32_t i = 0; i < e->count; i++)
        if (has_measure(e->part[i])) return true;
    return false;
}

static void fill(grade_number *out, expr_pool *pool, const stated *found) {
    const expr *e = found->value;
    out->percent = e->kind == EXPR_PERCENT;
    if (out->percent) e = e->part[0];
    out->unit = has_measure(e);
    if (expr_has(e, EXPR_UNIT)) e = expr_replace(pool, e, EXPR_UNIT, no_unit, NULL);
    out->several = e->kind == EXPR_LIST;
    out->fault = pool->too_large ? grade_reason_too_large : pool->undefined ? grade_reason_undefined : NULL;
    if (e->kind == EXPR_NUMBER && !out->fault) out->number = grade_number_text(&e->number);
}

/* Where in the text the character ends whose last byte is before `end` of the cleaned text. */
static size_t end_place(const clean_places *places, size_t end) {
    size_t i = end;
    while ((int64_t)i + 1 < places->count && places->at[i] == places->at[end - 1]) i++;
    return places->at[i];
}

typedef bool number_reader(expr_pool *pool, const char *text, size_t length, stated *out);

static bool find_number(number_reader *read, const char *text, size_t start, size_t length,
                        grade_number *out) {
    expr_pool pool;
    text_buffer cleaned = {0};
    clean_places places = {0};
    stated found;
    *out = (grade_number){0};
    text_puts(&cleaned, "");
    clean_text(text + start, length - start, &cleaned, &places);
    expr_pool_init(&pool);
    bool any = read(&pool, cleaned.at, cleaned.length, &found);
    if (any) {
        out->start = start + places.at[found.start];
        out->end = start + end_place(&places, found.end);
        out->words_before = found.words_before;
        fill(out, &pool, &found);
    }
    expr_pool_free(&pool);
    MEM_LIST_FREE(&places);
    text_free(&cleaned);
    return any;
}

bool grade_stated_number(const char *text, size_t start, size_t length, grade_number *out) {
    if (length - start > GRADE_MAX_BYTES) length = start + GRADE_MAX_BYTES;
    return find_number(read_stated, text, start, length, out);
}

bool grade_last_number(const char *text, size_t length, grade_number *out) {
    size_t start = length > GRADE_MAX_BYTES ? length - GRADE_MAX_BYTES : 0;
    while (start > 0 && start < length && ((unsigned char)text[start] & 0xc0) == 0x80) start++;
    return find_number(read_last_number, text, start, length, out);
}
