/* Letters: names, functions and constants spelled without a backslash, units, and the words around numbers.
 */
#include "grade/reader.h"
#include "grade/units.h"

#include <strings.h>

static bool word_is(const reader *r, size_t start, size_t end, const char *word) {
    size_t n = strlen(word);
    return end - start == n && strncasecmp(r->at + start, word, n) == 0;
}

static bool word_among(const reader *r, size_t start, size_t end, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (word_is(r, start, end, words[i])) return true;
    return false;
}

/* am, p.m. */
static bool is_half_of_day(const reader *r, size_t start) {
    unsigned char first = peek_at(r, start) | 0x20;
    size_t second = start + 1 + (peek_at(r, start + 1) == '.');
    return (first == 'a' || first == 'p') && (peek_at(r, second) | 0x20) == 'm' &&
           !is_letter(peek_at(r, second + 1));
}

static bool inside_words(const reader *r) {
    return r->words > 0;
}

/* ---- Connectives ---- */

bool is_connective(const reader *r, size_t start, size_t end) {
    static const char *const connectives[] = {"and", "or"};
    return word_among(r, start, end, connectives, sizeof connectives / sizeof *connectives);
}

bool read_connective(reader *r) {
    size_t start = r->i;
    skip_spaces(r);
    bool words = peek(r) == CLEAN_WORDS_OPEN;
    r->i += words;
    while (is_space(peek(r)) || (words && peek(r) == ',')) r->i++;
    size_t end = letters_end(r, r->i);
    if (is_connective(r, r->i, end)) {
        r->i = end;
        skip_spaces(r);
        if (!words || peek(r) == CLEAN_WORDS_CLOSE) {
            r->i += words;
            return true;
        }
    }
    r->i = start;
    return false;
}

/* ---- Names ---- */

/* The script of a name as its text: "_1", "_{max}" as "_max". */
static void append_script(reader *r, text_buffer *name) {
    size_t start = ++r->i;
    if (peek(r) == '{') {
        const char *close = memchr(r->at + start, '}', r->length - start);
        if (!close) return;
        r->i = (size_t)(close - r->at) + 1;
        text_puts(name, "_");
        for (size_t i = start + 1; i + 1 < r->i; i++)
            if (!is_space((unsigned char)r->at[i]) && (unsigned char)r->at[i] >= ' ')
                text_append(name, r->at + i, 1);
    } else if (is_digit(peek(r)) || is_letter(peek(r))) { /* a_12 is written for a_{12} */
        bool digit = is_digit(peek(r));
        text_puts(name, "_");
        do text_append(name, r->at + r->i++, 1);
        while (digit && is_digit(peek(r)));
    }
}

static const expr *finish_name(reader *r, size_t start, size_t end) {
    text_buffer name = {0};
    text_append(&name, r->at + start, end - start);
    r->i = end;
    if (peek(r) == '_') {
        append_script(r, &name);
    } else if (is_digit(peek(r))) { /* x1 is x_1 */
        text_puts(&name, "_");
        for (; is_digit(peek(r)); r->i++) text_append(&name, r->at + r->i, 1);
    }
    while (peek(r) == '\'') {
        text_puts(&name, "'");
        r->i++;
    }
    const expr *e = expr_named(r->pool, EXPR_NAME, name.at, name.length);
    text_free(&name);
    return e;
}

static const struct {
    const char *name;
    expr_constant value;
} constants[] = {
    {"pi", CONSTANT_PI},        {"e", CONSTANT_E},
    {"i", CONSTANT_I},          {"infinity", CONSTANT_INFINITY},
    {"inf", CONSTANT_INFINITY}, {"infty", CONSTANT_INFINITY},
    {"oo", CONSTANT_INFINITY},
};

static const expr *read_constant(reader *r, size_t start, size_t end) {
    for (size_t k = 0; k < sizeof constants / sizeof *constants; k++)
        if (word_is(r, start, end, constants[k].name)) {
            if (constants[k].value == CONSTANT_I && r->i_is_name) return NULL;
            if (end == start + 1 &&
                (r->at[start] < 'a' || peek_at(r, end) == '_' || is_digit(peek_at(r, end))))
                return NULL; /* E, I, e_1 */
            r->i = end;
            return expr_leaf(r->pool, EXPR_CONSTANT, constants[k].value);
        }
    return NULL;
}

/* sin, and sin of "sinx". */
static const expr *read_function(reader *r, size_t start, size_t end) {
    for (size_t stop = end; stop >= start + 2 && stop + 2 >= end; stop--) {
        int id = function_find(r->at + start, stop - start);
        if (id < 0 || (stop < end && stop - start < 3)) continue;
        r->i = stop;
        const expr *e = read_call(r, (function_id)id);
        if (e) return e;
    }
    return NULL;
}

/* The i of "7i", which no space sets off. */
static bool is_imaginary(const reader *r, size_t start, size_t end) {
    unsigned char before = start > 0 ? peek_at(r, start - 1) : 0;
    return end == start + 1 && r->at[start] == 'i' && (is_digit(before) || before == '}' || before == ')');
}

/* Letters of running text: only what is certainly mathematics. */
static const expr *read_running_letters(reader *r, size_t start, size_t end) {
    const expr *e = r->no_number_words ? NULL : read_number_words(r);
    if (e) return e;
    if (word_is(r, start, end, "pi") || is_imaginary(r, start, end)) return read_constant(r, start, end);
    if (word_is(r, start, end, "sqrt") || peek_at(r, end) == '(') return read_function(r, start, end);
    return NULL;
}

static const expr *read_unit_name(reader *r, size_t start, size_t end) {
    int row = unit_find(r->at + start, end - start);
    if (row < 0) return NULL;
    r->i = end;
    return expr_leaf(r->pool, EXPR_UNIT, row);
}

const expr *read_letters(reader *r) {
    static const char *const never[] = {"and", "or", "to", "in"};
    enum { WORD = 4 }; /* letters from which they are one word, not a product of names */
    size_t start = r->i, end = letters_end(r, start);
    if (word_among(r, start, end, never, 4) || (r->clock && is_half_of_day(r, start))) return NULL;
    if (r->running) {
        const expr *running = read_running_letters(r, start, end);
        if (!running) r->i = start;
        return running;
    }
    const expr *e = read_function(r, start, end);
    if (!e) e = read_constant(r, start, end);
    if (!e && end - start >= 3) e = read_number_words(r);
    if (!e && inside_words(r)) e = read_unit_name(r, start, end);
    if (e) return e;
    if (end - start >= WORD || inside_words(r) || (unsigned char)r->at[start] >= 0x80)
        return finish_name(r, start, end);
    if (end - start > 2 && strncmp(r->at + start, "pi", 2) == 0) return read_constant(r, start, start + 2);
    if (end > start + 1) {
        e = read_constant(r, start, start + 1);
        if (e) return e;
    }
    return finish_name(r, start, start + 1);
}

/* ---- Words after a number ---- */

/* Words that begin something else; the things counted has ended before them. */
static const char *const stop_words[] = {
    "and",    "or",   "for",       "in",   "on",   "at",   "to",    "since", "because", "as",
    "if",     "when", "where",     "so",   "then", "with", "from",  "by",    "than",    "is",
    "are",    "was",  "were",      "but",  "not",  "that", "which", "who",   "while",   "after",
    "before", "of",   "therefore", "thus", "the",  "each", "let",   "how",   "what"};
enum { STOP_WORDS = sizeof stop_words / sizeof *stop_words };

static bool is_percent_word(reader *r, size_t start, size_t *end) {
    static const char *const percents[] = {"percent", "pct", "percentage"};
    if (word_among(r, start, *end, percents, 3)) return true;
    size_t second = *end + 1, last = letters_end(r, second);
    if (!word_is(r, start, *end, "per") || !word_is(r, second, last, "cent")) return false;
    *end = last;
    return true;
}

/* The exponent of a unit: "^2", "2" of cm2, or that which "square" said. */
static const expr *unit_power(reader *r, const expr *u, int64_t power, bool inverse) {
    size_t start = r->i;
    if (peek(r) == CLEAN_WORDS_CLOSE) r->i++; /* \text{cm}^2 */
    bool caret = accept(r, "^"), braced = caret && accept(r, "{");
    if ((caret || start == r->i) && peek(r) >= '1' && peek(r) <= '9' && !is_digit(peek_at(r, r->i + 1))) {
        power = peek(r) - '0';
        r->i++;
        if (braced) accept(r, "}");
    } else {
        r->i = start;
    }
    return power == 1 && !inverse ? u
                                  : expr_power(r->pool, u, expr_integer(r->pool, inverse ? -power : power));
}

const expr *read_with_unit(reader *r, const expr *amount, const expr *unit) {
    if (!expr_is_integer(amount, 1)) return expr_product(r->pool, amount, unit);
    return expr_node(r->pool, EXPR_PRODUCT, 0, (const expr *const[]){amount, unit}, 2);
}

typedef struct {
    const expr *product;
    bool inverse;  /* after "/" or "per" */
    int64_t power; /* from "square", "cubic" */
    bool percent, known;
} unit_phrase;

/* One word of the things counted. False, without having moved, where it is none. `certain`: every word is. */
static bool read_unit_word(reader *r, unit_phrase *p, bool certain) {
    size_t start = r->i, end = letters_end(r, start);
    if (end == start) return false;
    if (is_percent_word(r, start, &end)) {
        p->percent = p->known = true;
        r->i = end;
        return true;
    }
    bool square = word_is(r, start, end, "square") || word_is(r, start, end, "sq");
    if (square || word_is(r, start, end, "cubic") || word_is(r, start, end, "cu")) {
        p->power = square ? 2 : 3;
        r->i = end;
        accept(r, ".");
        return true;
    }
    if (word_is(r, start, end, "per")) {
        p->inverse = true;
        r->i = end;
        return true;
    }
    if (!certain && word_is(r, start, end, "in")) return false;
    int row = end - start > 1 || certain || r->running ? unit_find(r->at + start, end - start) : -1;
    if (row >= 0) {
        r->i = end;
        const expr *u = unit_power(r, expr_leaf(r->pool, EXPR_UNIT, row), p->power, p->inverse);
        p->product = read_with_unit(r, p->product, u);
        p->inverse = false;
        p->power = 1;
        p->known = true;
        return true;
    }
    if (!certain || end == start + 1 || word_is(r, start, end, "to") || is_half_of_day(r, start))
        return false;
    r->i = end;
    return true;
}

/* \text{ ... } after a factor. False where it is a connective or holds more than words. */
static bool read_words_group(reader *r, unit_phrase *p) {
    size_t start = r->i;
    if (read_connective(r)) {
        r->i = start;
        return false;
    }
    r->i++;
    const char *end = memchr(r->at + r->i, CLEAN_WORDS_CLOSE, r->length - r->i);
    size_t close = end ? (size_t)(end - r->at) : r->length;
    for (;;) {
        if (r->i > close) return true; /* with the exponent of a unit */
        while (is_space(peek(r)) || (peek(r) && strchr(".,;()-'\"", peek(r)))) r->i++;
        if (peek(r) == '/') {
            p->inverse = true;
            r->i++;
        } else if (peek(r) == CLEAN_WORDS_CLOSE) {
            r->i++;
            size_t after = r->i;
            if (accept(r, "^")) { /* the exponent of words that are no unit */
                if (!read_argument(r)) r->i = after;
            }
            return true;
        } else if (r->i >= r->length) {
            return true;
        } else if (!read_unit_word(r, p, true)) {
            r->i = start;
            return false;
        }
    }
}

static bool is_operator(unsigned char c) {
    return c && strchr("+*/=<>~", c);
}

/* Whether words that name the things counted, at most three, lead to an operator: "5 apples + 3 apples".
 * Moves to it. */
static bool skip_counted(reader *r) {
    size_t start = r->i;
    for (int n = 0; n < 4; n++) {
        skip_spaces(r);
        size_t word = r->i, end = letters_end(r, word);
        if (end == word) {
            bool minus = peek(r) == '-' && is_space(peek_at(r, r->i + 1));
            if (n > 0 && (is_operator(peek(r)) || minus)) return true;
            break;
        }
        if (word_among(r, word, end, stop_words, STOP_WORDS) || is_imaginary(r, word, end)) break;
        r->i = end;
        if (is_digit(peek(r))) r->i++; /* cm2 */
    }
    r->i = start;
    return false;
}

/* Words of mathematics end where something else begins: a function, a connective, a number. */
static bool drop_word(reader *r) {
    enum { WORD = 4 };
    size_t start = r->i, end = letters_end(r, start);
    if (end - start < WORD || function_find(r->at + start, end - start) >= 0 || read_connective(r)) {
        r->i = start;
        return false;
    }
    if (read_number_words(r) || read_constant(r, start, end)) {
        r->i = start;
        return false;
    }
    r->i = end;
    return true;
}

const expr *read_units(reader *r, const expr *factor) {
    unit_phrase p = {.product = factor, .power = 1};
    bool names = expr_has(factor, EXPR_NAME);
    for (;;) {
        size_t start = r->i;
        skip_spaces(r);
        if (p.known && peek(r) == '/' && is_letter(peek_at(r, r->i + 1))) {
            r->i++;
            p.inverse = true;
            if (read_unit_word(r, &p, false)) continue;
            p.inverse = false;
        } else if (peek(r) == CLEAN_WORDS_OPEN) {
            if (read_words_group(r, &p)) continue;
        } else if (!names && is_letter(peek(r))) {
            if (read_unit_word(r, &p, false)) continue;
            if (!r->running && drop_word(r)) continue;
            if (r->running && skip_counted(r)) continue;
        }
        r->i = start;
        return p.percent ? expr_node(r->pool, EXPR_PERCENT, 0, &p.product, 1) : p.product;
    }
}
