/* Numbers in running text. */
#include "grade/read.h"
#include "grade/reader.h"

/* Whether a quantity can begin here; it does not in the middle of a word. */
static bool may_begin(const reader *r) {
    unsigned char c = peek(r), before = r->i > 0 ? peek_at(r, r->i - 1) : 0;
    if (is_digit(c)) return true;
    if (c == '.') return is_digit(peek_at(r, r->i + 1)) && before != '.' && !is_letter(before);
    if (is_letter(c)) return !is_letter(before);
    return c && strchr("-+([{|\\"
                       "\x02\x0e",
                       c);
}

/* Moves past what is not a quantity: a word with the digits in it ("x3"), a command, else one byte. */
static bool skip_one(reader *r) {
    unsigned char c = peek(r);
    size_t start = r->i;
    if (c == '\\') r->i++;
    r->i = letters_end(r, r->i);
    bool letters = r->i > start + (c == '\\');
    if (letters && c != '\\')
        while (is_digit(peek(r))) r->i++;
    if (r->i == start || (c == '\\' && !letters)) r->i = start + 1;
    return letters && c != '\\';
}

/* "Step 3:", "option 2:" name a part of the solution, not the answer. */
static bool is_label(const reader *r, size_t start, size_t end) {
    static const char *const labels[] = {"step", "option", "choice", "part",   "question", "problem",
                                         "case", "method", "line",   "answer", "equation", "solution"};
    if (peek_at(r, end) != ':' && peek_at(r, end) != ')') return false;
    size_t word_end = start;
    while (word_end > 0 && is_space(peek_at(r, word_end - 1))) word_end--;
    size_t word = word_end;
    while (word > 0 && is_letter(peek_at(r, word - 1))) word--;
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++)
        if (strlen(labels[i]) == word_end - word &&
            strncasecmp(r->at + word, labels[i], word_end - word) == 0)
            return true;
    return false;
}

/* "not 20 but 18", "20? No": the text says itself that this is not it. */
static bool is_denied(const reader *r, size_t start, size_t end) {
    if (peek_at(r, end) == '?') return true;
    size_t i = start;
    while (i > 0 && is_space(peek_at(r, i - 1))) i--;
    return i >= 3 && strncasecmp(r->at + i - 3, "not", 3) == 0 && (i == 3 || !is_letter(peek_at(r, i - 4)));
}

static bool small_integer(const expr *e) {
    return e->kind == EXPR_NUMBER && fmpz_is_one(fmpq_denref(&e->number)) && fmpq_sgn(&e->number) >= 0;
}

/* "5-7", "5 to 7", "5 or 6" after its first number: all of them, as what they are: an interval, or a list. */
static const expr *with_alternatives(reader *r, const expr *first) {
    size_t start = r->i;
    bool dash = peek(r) == '-' && is_digit(peek_at(r, r->i + 1)), to = !dash && accept(r, "to "),
         list = false;
    if (dash) r->i++;
    if (!dash && !to) list = read_connective(r);
    skip_spaces(r);
    bool number = is_digit(peek(r)) || (peek(r) && strchr("-.\\$", peek(r)));
    const expr *second = (dash || to || list) && number ? read_factor(r) : NULL;
    bool range = second && !list && first->kind == EXPR_NUMBER && second->kind == EXPR_NUMBER &&
                 fmpq_cmp(&first->number, &second->number) < 0;
    if (!second || (!list && !range) || (dash && (!small_integer(first) || !small_integer(second)))) {
        r->i = start;
        return NULL;
    }
    const expr *parts[] = {first, second};
    return list ? expr_node(r->pool, EXPR_LIST, 0, parts, 2)
                : expr_node(r->pool, EXPR_TUPLE, '[' * 256 + ']', parts, 2);
}

/* A lone currency sign or unit is no quantity. */
static bool has_number(const expr *e) {
    if (e->kind == EXPR_NUMBER || e->kind == EXPR_CONSTANT || e->kind == EXPR_BASED) return true;
    for (int32_t i = 0; i < e->count; i++)
        if (has_number(e->part[i])) return true;
    return false;
}

static bool accept_equals(reader *r) {
    return accept(r, "==") || accept(r, "=") || accept(r, "~=");
}

/* A quantity, and what it equals. */
static const expr *read_quantity(reader *r) {
    size_t start = r->i;
    const expr *e = read_factor(r), *both;
    if (!e) return NULL;
    both = with_alternatives(r, e);
    if (both && !accept_equals(r)) return both;
    r->i = start;
    e = read_relation(r);
    if (e && e->kind == EXPR_RELATION) e = e->part[e->count - 1];
    return e && has_number(e) ? e : NULL;
}

bool read_stated(expr_pool *pool, const char *text, size_t length, stated *out) {
    reader r = {.at = text, .length = length, .pool = pool, .running = true};
    *out = (stated){0};
    bool words = false;
    while (r.i < length && !r.failed) {
        size_t start = r.i;
        r.no_number_words = words; /* "eighteen" is one, the first word of "one of them has 5" is none */
        const expr *e = may_begin(&r) ? read_quantity(&r) : NULL;
        size_t end = r.i;
        if (!e) {
            r.i = start;
            words |= skip_one(&r);
            continue;
        }
        if (out->value && is_denied(&r, start, end)) continue;
        bool refused = is_label(&r, start, end) || is_denied(&r, start, end);
        if (!out->value || !refused) *out = (stated){e, words, start, end};
        if (!refused) return true;
    }
    return out->value != NULL;
}

/* A number as one thing: with the denominator of a fraction or a power of ten, without other operations. */
static const expr *read_one_number(reader *r) {
    size_t start = r->i;
    bool minus = peek(r) == '-' && start > 0 && strchr("0123456789)]}%-", r->at[start - 1]);
    if (minus || !may_begin(r)) return NULL;
    const expr *e = read_factor(r);
    if (!e || !has_number(e)) return NULL;
    size_t end = r->i;
    skip_spaces(r);
    bool fraction = peek(r) == '/' && is_digit(peek_at(r, r->i + 1));
    bool power = !fraction && peek(r) && strchr("*xX", peek(r)) &&
                 (accept(r, "* 10^") || accept(r, "*10^") || accept(r, "x 10^") || accept(r, "x10^"));
    r->i = start;
    if (fraction || power) {
        const expr *whole = read_product(r);
        if (whole) return whole;
    }
    r->i = end;
    return e;
}

bool read_last_number(expr_pool *pool, const char *text, size_t length, stated *out) {
    reader r = {.at = text, .length = length, .pool = pool, .running = true, .no_number_words = true};
    *out = (stated){0};
    while (r.i < length && !r.failed) {
        size_t start = r.i;
        const expr *e = read_one_number(&r);
        if (e)
            *out = (stated){e, false, start, r.i};
        else
            r.i = start;
        if (!e) skip_one(&r);
    }
    return out->value != NULL;
}
