/* The parser of cleaned text (clean.h) into a tree. Each read_x reads one x at the current place and moves
 * after it; it returns NULL, without having moved, where there is none. The grammar, loosest first:
 *
 *   list     = relation (("," | ";" | and | or) relation)*
 *   relation = ratio (("=" | "<" | "<=" | "!=" | "~=" | \in ...) ratio)*
 *   ratio    = union (":" union)*
 *   union    = sum ((\cup | \cap) sum)*
 *   sum      = term (("+" | "-" | \pm) term)*
 *   term     = factor (("*" | "/" | nothing) factor)*
 *   factor   = sign* power
 *   power    = primary ("^" exponent | "!" | "%" | degree)*
 *   primary  = numeral, name, function, fraction, root, brackets, matrix, words
 *
 * In running text (read_stated) letters are words, not names; a number may be followed by some that name what
 * it counts
 * ("5 apples + 3 apples = 8 apples").
 *
 * This header is for the files read_*.c; read.h is for others. */
#ifndef ESPALIER_GRADE_READER_H
#define ESPALIER_GRADE_READER_H

#include "base/ascii.h"
#include "grade/clean.h"
#include "grade/expression.h"

#include <string.h>

typedef struct {
    const char *at; /* ends in a zero */
    size_t length, i;
    expr_pool *pool;
    int depth;     /* of nested calls */
    int64_t steps; /* primaries tried */
    int brackets;  /* open around this place */
    int words;     /* \text{ open around this place */
    bool clock;    /* after a colon: am and pm are no names */
    bool running;  /* text around numbers, not mathematics alone */
    bool no_number_words;
    bool no_commas;  /* commas separate answers, never groups of digits */
    bool had_commas; /* a number was read whose commas could separate answers */
    bool i_is_name;  /* i counts the terms of a sum here */
    bool failed;     /* too deep, or too many steps: everything ends */
} reader;

enum { READER_MAX_DEPTH = 100, READER_MAX_STEPS = 100000 };

const expr *read_list(reader *r);
const expr *read_relation(reader *r);
const expr *read_sum(reader *r);
const expr *read_product(reader *r);
const expr *read_factor(reader *r);
const expr *read_power(reader *r);
const expr *read_primary(reader *r);
const expr *read_exponent(reader *r); /* after "^" */
/* Moves past the sign of a relation, which is returned as one letter (expression.h); 0: there is none. */
char accept_relation(reader *r);

const expr *read_numeral(reader *r);
/* A number in words ("twenty-five", "two hundred") at the letters here. */
const expr *read_number_words(reader *r);
const expr *read_letters(reader *r);
const expr *read_command(reader *r);
const expr *read_brackets(reader *r);
/* The argument of \frac and its like: a group, a command, or one character. */
const expr *read_argument(reader *r);
/* After the command: \\sum, \\prod, \\int, \\lim, \\begin{cases}. */
const expr *read_series_sum(reader *r);
const expr *read_series_product(reader *r);
const expr *read_integral(reader *r);
const expr *read_limit(reader *r);
const expr *read_cases(reader *r);
/* {x | x > 2} after its bracket. */
const expr *read_set_by_rule(reader *r);
/* The argument of the function and its call; the name has been read. */
const expr *read_call(reader *r, function_id id);

/* Units and other words after a number: product with the units, words dropped. The factor itself where none
 * follow. */
const expr *read_units(reader *r, const expr *factor);
/* amount * unit, which stays a product where the amount is 1. */
const expr *read_with_unit(reader *r, const expr *amount, const expr *unit);
/* Whether the letters are "and" or "or". */
bool is_connective(const reader *r, size_t start, size_t end);
/* Such a word: also as \text{ or }. */
bool read_connective(reader *r);

/* Whether a factor may follow here, after spaces since `before`, without a sign between. */
bool read_is_juxtaposed(const reader *r, size_t before);

/* ---- Characters ---- */

static inline unsigned char peek_at(const reader *r, size_t i) {
    return i < r->length ? (unsigned char)r->at[i] : 0;
}

static inline unsigned char peek(const reader *r) {
    return peek_at(r, r->i);
}

static inline bool is_letter(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static inline bool is_space(unsigned char c) {
    return c == ' ' || c == CLEAN_TIGHT_SPACE;
}

static inline void skip_spaces(reader *r) {
    while (is_space(peek(r))) r->i++;
}

static inline size_t letters_end(const reader *r, size_t i) {
    while (is_letter(peek_at(r, i))) i++;
    return i;
}

static inline bool starts_with(const reader *r, size_t i, const char *text) {
    size_t n = strlen(text);
    return i <= r->length && r->length - i >= n && memcmp(r->at + i, text, n) == 0;
}

/* Moves past `text` after spaces, if it is here. */
static inline bool accept(reader *r, const char *text) {
    size_t start = r->i;
    skip_spaces(r);
    if (starts_with(r, r->i, text)) {
        r->i += strlen(text);
        return true;
    }
    r->i = start;
    return false;
}

/* The command \name after spaces, which ends where its letters do. */
static inline bool accept_command(reader *r, const char *name) {
    size_t start = r->i;
    skip_spaces(r);
    size_t n = strlen(name);
    if (peek(r) == '\\' && starts_with(r, r->i + 1, name) && !is_letter(peek_at(r, r->i + 1 + n))) {
        r->i += n + 1;
        return true;
    }
    r->i = start;
    return false;
}

#endif
