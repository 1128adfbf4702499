/* The grammar of reader.h, from a primary with its signs to a list. */
#include "grade/reader.h"
#include "grade/units.h"

static bool enter(reader *r) {
    if (++r->depth > READER_MAX_DEPTH || ++r->steps > READER_MAX_STEPS) {
        r->failed = true;
        r->pool->too_large = true;
    }
    return !r->failed;
}

static const expr *leave(reader *r, size_t start, const expr *e) {
    r->depth--;
    if (!e) r->i = start;
    return e;
}

/* ---- Primary and power ---- */

const expr *read_primary(reader *r) {
    skip_spaces(r);
    size_t start = r->i;
    if (!enter(r)) return leave(r, start, NULL);
    unsigned char c = peek(r);
    const expr *e = NULL;
    if (is_digit(c) || (c == '.' && is_digit(peek_at(r, r->i + 1))))
        e = read_numeral(r);
    else if (c == '\\')
        e = read_command(r);
    else if (is_letter(c))
        e = read_letters(r);
    else if (c && strchr("([{|"
                         "\x02\x0e",
                         c))
        e = read_brackets(r);
    return leave(r, start, e);
}

const expr *read_exponent(reader *r) {
    skip_spaces(r);
    bool negative = peek(r) == '-';
    if (negative) r->i++;
    /* 2^10 is written without braces by those who do not write LaTeX; 2^1 times 0 is meant by nobody. */
    const expr *e = is_digit(peek(r)) ? read_numeral(r) : read_argument(r);
    if (e && negative) e = expr_negative(r->pool, e);
    return e;
}

/* "\degree" after a number, perhaps of a temperature. */
static const expr *with_degree(reader *r, const expr *e) {
    skip_spaces(r);
    unsigned char scale = peek(r);
    int row = unit_degree();
    if ((scale == 'C' || scale == 'F') && !is_letter(peek_at(r, r->i + 1))) {
        row = unit_find(r->at + r->i, 1);
        r->i++;
    }
    return read_with_unit(r, e, expr_leaf(r->pool, EXPR_UNIT, row));
}

/* The ending of 7^{\\text{th}}. */
static bool accept_ordinal(reader *r) {
    static const char *const endings[] = {"st", "nd", "rd", "th"};
    size_t start = r->i;
    const char words[] = {CLEAN_WORDS_OPEN, 0}, close[] = {CLEAN_WORDS_CLOSE, 0};
    if (accept(r, "^")) {
        bool braced = accept(r, "{");
        if (accept(r, words))
            for (int i = 0; i < 4; i++)
                if (accept(r, endings[i]) && accept(r, close) && (!braced || accept(r, "}"))) return true;
    }
    r->i = start;
    return false;
}

static bool at_factorial(const reader *r) {
    return peek(r) == '!' && peek_at(r, r->i + 1) != '=' && !r->running;
}

/* The signs that may follow a primary. */
const expr *read_power(reader *r) {
    size_t start = r->i;
    const expr *e = read_primary(r);
    while (e) {
        size_t before = r->i;
        if (at_factorial(r)) {
            r->i++;
            e = expr_call(r->pool, FUNCTION_FACTORIAL, &e, 1);
            continue;
        }
        skip_spaces(r);
        if (accept_ordinal(r)) continue;
        if (peek(r) == '^') {
            r->i++;
            const expr *exponent = read_exponent(r);
            if (!exponent) {
                r->i = before;
                break;
            }
            if (peek(r) == '^') { /* a^b^c is a^(b^c) */
                r->i++;
                const expr *upper = read_exponent(r);
                if (upper) exponent = expr_power(r->pool, exponent, upper);
            }
            e = expr_power(r->pool, e, exponent);
        } else if (peek(r) == '%') {
            r->i++;
            e = expr_node(r->pool, EXPR_PERCENT, 0, &e, 1);
        } else if (accept_command(r, "degree")) {
            e = with_degree(r, e);
        } else {
            r->i = before;
            break;
        }
    }
    if (!e) r->i = start;
    return e;
}

/* ---- Factor and term ---- */

/* A percentage as its value, for arithmetic. */
static const expr *plain(reader *r, const expr *e) {
    return e->kind == EXPR_PERCENT ? expr_quotient(r->pool, e->part[0], expr_integer(r->pool, 100)) : e;
}

static const expr *negated(reader *r, const expr *e) {
    if (e->kind != EXPR_PERCENT) return expr_negative(r->pool, e);
    const expr *inside = expr_negative(r->pool, e->part[0]);
    return expr_node(r->pool, EXPR_PERCENT, 0, &inside, 1);
}

/* "negative", "minus" before a number. */
static bool accept_negative_word(reader *r) {
    static const char *const words[] = {"negative", "Negative", "minus", "Minus"};
    size_t start = r->i;
    skip_spaces(r);
    if (!is_letter(peek(r)) || (r->i > 0 && is_letter(peek_at(r, r->i - 1)))) {
        r->i = start;
        return false;
    }
    for (size_t i = 0; i < 4; i++)
        if (starts_with(r, r->i, words[i]) && is_space(peek_at(r, r->i + strlen(words[i])))) {
            r->i += strlen(words[i]);
            return true;
        }
    r->i = start;
    return false;
}

const expr *read_factor(reader *r) {
    size_t start = r->i;
    skip_spaces(r);
    int sign = 0, plus_minus = 0;
    bool negative = false;
    for (;; sign++) {
        skip_spaces(r);
        if (peek(r) == '-' || peek(r) == '+')
            negative ^= r->at[r->i++] == '-';
        else if (accept_negative_word(r))
            negative = !negative;
        else if (accept_command(r, "pm"))
            plus_minus = 1;
        else if (accept_command(r, "mp"))
            plus_minus = -1;
        else
            break;
        if (sign > 3) break;
    }
    const expr *e = read_power(r);
    if (!e) {
        r->i = start;
        return NULL;
    }
    e = read_units(r, e);
    if (negative) e = negated(r, e);
    return plus_minus ? expr_node(r->pool, EXPR_PLUS_MINUS, plus_minus, &e, 1) : e;
}

/* "x" between two numbers is a times sign; the first one ends at `before`. */
static bool accept_letter_x(reader *r, size_t before) {
    size_t next = r->i + 1;
    bool after_number = is_digit(peek_at(r, before - 1)) || (r->running && r->i > before);
    if ((peek(r) != 'x' && peek(r) != 'X') || !after_number) return false;
    while (is_space(peek_at(r, next))) next++;
    if (!is_digit(peek_at(r, next))) return false;
    r->i++;
    return true;
}

/* An operation in words before a number: "3 times 4", "3 plus 4". */
static bool accept_operation(reader *r, const char *word) {
    size_t start = r->i;
    if (r->running && accept(r, word) && is_space(peek(r))) {
        skip_spaces(r);
        if (is_digit(peek(r)) || peek(r) == '\\') return true;
    }
    r->i = start;
    return false;
}

static bool accept_of(reader *r, const expr *left) {
    size_t start = r->i;
    if (left->kind == EXPR_PERCENT && accept(r, "of ")) return true;
    r->i = start;
    return false;
}

bool read_is_juxtaposed(const reader *r, size_t before) {
    unsigned char c = peek(r);
    if (c == '(' && r->running && r->i > before) return false; /* "18 (in 2 days)" */
    if (is_letter(c)) return true;
    if (is_digit(c)) return before > 0 && !is_digit(peek_at(r, before - 1)) && peek_at(r, before - 1) != '.';
    return c == '(' || c == '{' || c == CLEAN_WORDS_OPEN || (c == '\\' && peek_at(r, r->i + 1) != '\\');
}

/* In mathematics a number may follow a bracket but no other number. In running text nothing but mathematics
 * may follow without a sign. */
static const expr *read_juxtaposed(reader *r) {
    size_t before = r->i;
    skip_spaces(r);
    if (!read_is_juxtaposed(r, before) || (r->running && is_digit(peek(r)))) {
        r->i = before;
        return NULL;
    }
    const expr *e = read_power(r);
    if (e && r->running && r->i > before && is_letter(peek_at(r, before)) && e->kind == EXPR_NUMBER) e = NULL;
    if (e) return read_units(r, e);
    r->i = before;
    return NULL;
}

static unsigned char peek_after_spaces(const reader *r) {
    size_t i = r->i;
    while (is_space(peek_at(r, i))) i++;
    return peek_at(r, i);
}

const expr *read_product(reader *r) {
    const expr *e = read_factor(r);
    while (e) {
        size_t before = r->i;
        skip_spaces(r);
        unsigned char c = peek(r);
        const expr *right;
        bool by = accept_operation(r, "divided by");
        if (by) c = '/';
        if (by || c == '*' || (c == '/' && peek_at(r, r->i + 1) != '/') || accept_letter_x(r, before) ||
            accept_operation(r, "times") || accept_of(r, e)) {
            if (!by && (c == '*' || c == '/')) r->i++;
            right = read_factor(r);
            if (!right) {
                r->i = before;
                return e;
            }
            e = (c == '/' ? expr_quotient : expr_product)(r->pool, plain(r, e), plain(r, right));
            continue;
        }
        r->i = before;
        bool amount = is_digit(peek_after_spaces(r)) && expr_has(e, EXPR_UNIT);
        right = read_juxtaposed(r);
        if (!right) return e;
        if (amount && expr_has(right, EXPR_UNIT)) { /* 1 hour 30 minutes */
            e = expr_sum(r->pool, e, right);
            continue;
        }
        e = expr_product(r->pool, plain(r, e), plain(r, right));
    }
    return NULL;
}

/* ---- Sum to list ---- */

static const expr *add(reader *r, const expr *a, const expr *b) {
    if (a->kind == EXPR_PERCENT && b->kind == EXPR_PERCENT) {
        const expr *sum = expr_sum(r->pool, a->part[0], b->part[0]);
        return expr_node(r->pool, EXPR_PERCENT, 0, &sum, 1);
    }
    return expr_sum(r->pool, plain(r, a), plain(r, b));
}

const expr *read_sum(reader *r) {
    size_t start = r->i;
    if (!enter(r)) return leave(r, start, NULL);
    const expr *e = read_product(r);
    while (e) {
        size_t before = r->i;
        skip_spaces(r);
        unsigned char c = peek(r);
        int sign = c == '+' ? 1 : c == '-' ? -1 : 0, plus_minus = 0;
        if (sign)
            r->i++;
        else if (accept_operation(r, "plus"))
            sign = 1;
        else if (accept_operation(r, "minus"))
            sign = -1;
        else if (accept_command(r, "pm"))
            plus_minus = 1;
        else if (accept_command(r, "mp"))
            plus_minus = -1;
        const expr *right = sign || plus_minus ? read_product(r) : NULL;
        if (!right) {
            r->i = before;
            break;
        }
        if (plus_minus) right = expr_node(r->pool, EXPR_PLUS_MINUS, plus_minus, &right, 1);
        e = add(r, e, sign < 0 ? negated(r, right) : right);
    }
    return leave(r, start, e);
}

static const expr *read_union(reader *r) {
    const expr *e = read_sum(r);
    for (;;) {
        if (!e) return NULL;
        size_t before = r->i;
        bool cup = accept_command(r, "cup"), cap = !cup && accept_command(r, "cap");
        if (!cup && !cap && e->kind == EXPR_TUPLE && accept(r, "U ")) cup = true;
        const expr *right = cup || cap ? read_sum(r) : NULL;
        if (!right) {
            r->i = before;
            return e;
        }
        expr_kind kind = cup ? EXPR_UNION : EXPR_INTERSECTION;
        expr_list parts = {0};
        if (e->kind == kind)
            MEM_LIST_APPEND(&parts, e->part, e->count);
        else
            MEM_LIST_PUSH(&parts, e);
        MEM_LIST_PUSH(&parts, right);
        e = expr_node(r->pool, kind, 0, parts.at, parts.count);
        MEM_LIST_FREE(&parts);
    }
}

/* A colon between two numbers; in running text without spaces around it. */
static bool accept_colon(reader *r) {
    size_t start = r->i;
    if (!r->running) skip_spaces(r);
    size_t next = r->i + 1;
    while (!r->running && is_space(peek_at(r, next))) next++;
    if (peek(r) == ':' && is_digit(peek_at(r, next))) {
        r->i++;
        return true;
    }
    r->i = start;
    return false;
}

/* 3:30, 1:2:3; "am" and "pm" are kept. */
static const expr *read_ratio(reader *r) {
    const expr *first = read_union(r);
    if (!first || !accept_colon(r)) return first;
    expr_list parts = {0};
    MEM_LIST_PUSH(&parts, first);
    r->i--;
    while (accept_colon(r)) {
        size_t before = r->i - 1;
        r->clock = true;
        const expr *next = read_sum(r);
        r->clock = false;
        if (!next) {
            r->i = before;
            break;
        }
        MEM_LIST_PUSH(&parts, next);
    }
    static const char *const halves[] = {"am", "AM", "a.m.", "A.M.", "a.m",
                                         "pm", "PM", "p.m.", "P.M.", "p.m"};
    const char *half = NULL;
    size_t before = r->i;
    bool words = accept(r, (const char[]){CLEAN_WORDS_OPEN, 0});
    for (int i = 0; i < 10 && !half; i++)
        if (accept(r, halves[i])) half = i < 5 ? "am" : "pm";
    if (!half)
        r->i = before;
    else if (words)
        accept(r, (const char[]){CLEAN_WORDS_CLOSE, 0});
    expr *e = (expr *)expr_node(r->pool, EXPR_RATIO, 0, parts.at, parts.count);
    e->text = half;
    MEM_LIST_FREE(&parts);
    return e;
}

char accept_relation(reader *r) {
    static const struct {
        const char *text;
        char sign;
    } signs[] = {{"<=", 'l'}, {"=<", 'l'}, {">=", 'g'}, {"!=", '!'}, {"~=", '~'},
                 {":=", '='}, {"==", '='}, {"=", '='},  {"<", '<'},  {">", '>'}};
    if (accept_command(r, "in")) return 'e';
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (accept(r, signs[i].text)) return signs[i].sign;
    return 0;
}

const expr *read_relation(reader *r) {
    const expr *e = read_ratio(r);
    if (!e) return NULL;
    expr_list parts = {0};
    text_buffer signs = {0};
    MEM_LIST_PUSH(&parts, e);
    for (;;) {
        size_t before = r->i;
        char sign = accept_relation(r);
        const expr *right = sign ? read_ratio(r) : NULL;
        if (!right) {
            r->i = before;
            break;
        }
        text_append(&signs, &sign, 1);
        MEM_LIST_PUSH(&parts, right);
    }
    if (parts.count > 1) {
        expr *relation = (expr *)expr_node(r->pool, EXPR_RELATION, 0, parts.at, parts.count);
        relation->text = arena_strdup(r->pool->memory, signs.at);
        e = relation;
    }
    MEM_LIST_FREE(&parts);
    text_free(&signs);
    return e;
}

const expr *read_list(reader *r) {
    const expr *first = read_relation(r);
    if (!first) return NULL;
    expr_list parts = {0};
    bool alternatives = true;
    MEM_LIST_PUSH(&parts, first);
    for (;;) {
        size_t before = r->i;
        bool comma = accept(r, ",") || accept(r, ";");
        size_t at = r->i;
        bool word = read_connective(r), or_ = word && memmem(r->at + at, r->i - at, "or", 2);
        const expr *next = comma || word ? read_relation(r) : NULL;
        if (!next) {
            r->i = before;
            break;
        }
        MEM_LIST_PUSH(&parts, next);
        alternatives = alternatives && or_;
    }
    const expr *e =
        parts.count == 1 ? first : expr_node(r->pool, EXPR_LIST, alternatives, parts.at, parts.count);
    MEM_LIST_FREE(&parts);
    return e;
}
