/* Numbers: literals with what belongs to them (a base, a fraction, a magnitude), and numbers in words. */
#include "grade/numeral.h"
#include "grade/reader.h"

#include <strings.h>

/* ---- Words ---- */

static const struct {
    const char *word;
    int64_t value;
} small_words[] = {
    {"zero", 0},      {"one", 1},       {"two", 2},       {"three", 3},    {"four", 4},     {"five", 5},
    {"six", 6},       {"seven", 7},     {"eight", 8},     {"nine", 9},     {"ten", 10},     {"eleven", 11},
    {"twelve", 12},   {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15}, {"sixteen", 16}, {"seventeen", 17},
    {"eighteen", 18}, {"nineteen", 19}, {"twenty", 20},   {"thirty", 30},  {"forty", 40},   {"fifty", 50},
    {"sixty", 60},    {"seventy", 70},  {"eighty", 80},   {"ninety", 90},
};

static const struct {
    const char *word;
    int64_t value;
} magnitudes[] = {
    {"hundred", 100},   {"thousand", 1000},          {"million", 1000000}, {"billion", 1000000000},
    {"bn", 1000000000}, {"trillion", 1000000000000}, {"lakh", 100000},     {"crore", 10000000},
};

/* Letters that multiply where they end a number of running text: 5k, $2M. */
static const struct {
    char letter;
    int64_t value;
} suffixes[] = {{'k', 1000}, {'K', 1000}, {'M', 1000000}, {'B', 1000000000}};

static bool word_is(const reader *r, size_t start, size_t end, const char *word) {
    size_t n = strlen(word);
    return end - start == n && strncasecmp(r->at + start, word, n) == 0;
}

static int64_t small_word(const reader *r, size_t start, size_t end) {
    for (size_t i = 0; i < sizeof small_words / sizeof *small_words; i++)
        if (word_is(r, start, end, small_words[i].word)) return small_words[i].value;
    return -1;
}

static int64_t magnitude_word(const reader *r, size_t start, size_t end) {
    size_t singular = end > start && (r->at[end - 1] | 0x20) == 's' ? end - 1 : end; /* millions */
    for (size_t i = 0; i < sizeof magnitudes / sizeof *magnitudes; i++)
        if (word_is(r, start, end, magnitudes[i].word) || word_is(r, start, singular, magnitudes[i].word))
            return magnitudes[i].value;
    return -1;
}

/* The next word after spaces and perhaps a hyphen or "and"; its start, or 0 where there is none. */
static size_t next_word(const reader *r, size_t i, size_t *end) {
    while (is_space(peek_at(r, i)) || peek_at(r, i) == '-') i++;
    *end = letters_end(r, i);
    if (word_is(r, i, *end, "and")) {
        while (is_space(peek_at(r, *end))) (*end)++;
        i = *end;
        *end = letters_end(r, i);
    }
    return *end > i ? i : 0;
}

/* "two hundred thirty-five thousand and one": `part` is below a thousand, `total` the groups before it. */
const expr *read_number_words(reader *r) {
    size_t start = r->i, end = letters_end(r, start);
    int64_t total = 0, part = small_word(r, start, end), last = part;
    if (part < 0) return NULL;
    size_t taken = end;
    for (size_t word; (word = next_word(r, taken, &end)); taken = end) {
        int64_t small = small_word(r, word, end), scale = magnitude_word(r, word, end);
        bool bare = is_space(peek_at(r, taken)) || peek_at(r, taken) == '-';
        if (!bare) break;
        if (small >= 0 && ((last >= 20 && last < 100 && small > 0 && small < 10) || last >= 100)) {
            part += small;
            last = small;
        } else if (scale == 100 && part > 0 && part < 100) {
            part *= 100;
            last = 100;
        } else if (scale > 100 && total < INT64_MAX / scale / 1000) {
            total += (part ? part : 1) * scale;
            part = 0;
            last = scale;
        } else {
            break;
        }
    }
    r->i = taken;
    return expr_integer(r->pool, total + part);
}

/* ---- Literals ---- */

/* "million" or, in running text, "k" after a number. */
static const expr *with_magnitude(reader *r, const expr *number) {
    size_t start = r->i;
    skip_spaces(r);
    if (peek(r) == CLEAN_WORDS_OPEN) r->i++;
    skip_spaces(r);
    size_t word = r->i, end = letters_end(r, word);
    int64_t scale = magnitude_word(r, word, end);
    if (scale < 0 && r->running && word == start && end == word + 1)
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
            if (r->at[word] == suffixes[i].letter) scale = suffixes[i].value;
    if (scale < 0) {
        r->i = start;
        return number;
    }
    r->i = end;
    if (word > start && memchr(r->at + start, CLEAN_WORDS_OPEN, word - start)) { /* \text{ million dollars} */
        const char *close = memchr(r->at + end, CLEAN_WORDS_CLOSE, r->length - end);
        r->i = close ? (size_t)(close - r->at) + 1 : r->length;
    }
    number = expr_product(r->pool, number, expr_integer(r->pool, scale));
    return with_magnitude(r, number);
}

static bool read_digits(reader *r, int64_t *value) {
    size_t start = r->i;
    *value = 0;
    while (is_digit(peek(r)) && r->i - start < 9) *value = *value * 10 + (r->at[r->i++] - '0');
    return r->i > start && !is_digit(peek(r));
}

/* {12} or, where `bare`, 12 too. */
static bool read_part(reader *r, bool bare, int64_t *value) {
    skip_spaces(r);
    if (peek(r) != '{') return bare && read_digits(r, value);
    r->i++;
    skip_spaces(r);
    if (!read_digits(r, value)) return false;
    skip_spaces(r);
    return peek(r) == '}' && r->i++ + 1;
}

/* The fraction of a mixed number after its whole part: \frac{1}{2}, or 1/2 after a space. */
static bool read_mixed(reader *r, int64_t *top, int64_t *bottom) {
    size_t start = r->i;
    if (accept_command(r, "frac")) {
        skip_spaces(r);
        size_t args = r->i;
        if (read_part(r, false, top) && read_part(r, false, bottom)) return *bottom > 0;
        r->i = args;
        if (is_digit(peek(r)) && is_digit(peek_at(r, args + 1))) { /* \frac12 */
            *top = r->at[args] - '0';
            *bottom = r->at[args + 1] - '0';
            r->i = args + 2;
            return *bottom > 0;
        }
        return false;
    }
    skip_spaces(r);
    bool joined = r->running && starts_with(r, r->i, "and ");
    if (joined) r->i += 4;
    return r->i > start && read_digits(r, top) && accept(r, "/") && read_digits(r, bottom) &&
           *bottom > *top && !(peek(r) == '/' && is_digit(peek_at(r, r->i + 1)));
}

static const expr *with_fraction(reader *r, const expr *whole) {
    size_t start = r->i;
    int64_t top, bottom;
    if (!read_mixed(r, &top, &bottom)) {
        r->i = start;
        return whole;
    }
    const expr *fraction = expr_quotient(r->pool, expr_integer(r->pool, top), expr_integer(r->pool, bottom));
    return expr_sum(r->pool, whole, fraction);
}

/* 52_8 and 52_{8}; NULL where no base follows. The digits' value in that base is not looked at: who is asked
 * for base 8 wants these digits. */
static const expr *with_base(reader *r, size_t start) {
    size_t end = r->i;
    int64_t base;
    if (peek(r) != '_') return NULL;
    r->i++;
    bool braced = accept(r, "{"), fine = read_digits(r, &base);
    if (fine && braced) fine = accept(r, "}");
    if (!fine || base < 2 || base > 36) {
        r->i = end;
        return NULL;
    }
    expr *e = (expr *)expr_named(r->pool, EXPR_BASED, r->at + start, end - start);
    e->which = (int32_t)base;
    return e;
}

const expr *read_numeral(reader *r) {
    unsigned how = r->brackets ? NUMERAL_BRACKETS : NUMERAL_SPACES;
    if (r->no_commas) how |= NUMERAL_NO_COMMAS;
    if (!r->running) how |= NUMERAL_DOTS;
    numeral found;
    fmpq_t value;
    fmpq_init(value);
    size_t start = r->i, n = numeral_read(r->at + start, r->length - start, how, value, &found);
    const expr *e = NULL;
    if (n > 0) {
        r->i += n;
        r->had_commas |= found.commas;
        if (found.too_large) r->pool->too_large = true;
        e = found.whole ? with_base(r, start) : NULL;
        if (!e) {
            e = expr_number(r->pool, value);
            if (found.whole) e = with_fraction(r, e);
            if (!r->running && peek(r) == '.' && r->i + 1 < r->length && strchr(" )}]", r->at[r->i + 1]))
                r->i++; /* 10. */
            e = with_magnitude(r, e);
        }
    }
    fmpq_clear(value);
    return e;
}
