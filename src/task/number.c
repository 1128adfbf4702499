#include "task/number.h"

#include "base/ascii.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The text being scanned. Reading beyond either end gives 0, which is part of no number. */
typedef struct {
    const char *at;
    size_t length;
} scan;

static unsigned char byte_at(const scan *s, size_t i) {
    return i < s->length ? (unsigned char)s->at[i] : 0;
}

static bool is_letter(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool starts_with(const scan *s, size_t i, const char *word) {
    size_t n = strlen(word);
    return i <= s->length && s->length - i >= n && memcmp(s->at + i, word, n) == 0;
}

static bool starts_with_any_case(const scan *s, size_t i, const char *word) {
    size_t n = strlen(word);
    return i <= s->length && s->length - i >= n && strncasecmp(s->at + i, word, n) == 0;
}

static bool ends_with(const scan *s, size_t end, size_t floor, const char *word) {
    size_t n = strlen(word);
    return end - floor >= n && memcmp(s->at + end - n, word, n) == 0;
}

/* Bytes of the separator between two groups of three digits at i, or 0. */
static size_t separator(const scan *s, size_t i) {
    static const char *const separators[] = {",", "\xc2\xa0" /* fixed space */, "\xe2\x80\xaf" /* narrow */,
                                             "\xe2\x80\x89" /* thin */, "{,}" /* TeX */};
    for (size_t k = 0; k < sizeof separators / sizeof *separators; k++)
        if (starts_with(s, i, separators[k])) return strlen(separators[k]);
    return 0;
}

static size_t digits_end(const scan *s, size_t i) {
    while (is_digit(byte_at(s, i))) i++;
    return i;
}

/* Reads a decimal at i; returns its end, or i when there is none. */
static size_t decimal_end(const scan *s, size_t i, bool *has_point) {
    size_t end = digits_end(s, i);
    if (end > i && end - i <= 3) {
        for (;;) {
            size_t group = separator(s, end);
            if (group == 0) break;
            size_t first = end + group;
            if (!is_digit(byte_at(s, first)) || !is_digit(byte_at(s, first + 1)) ||
                !is_digit(byte_at(s, first + 2)) || is_digit(byte_at(s, first + 3)))
                break;
            end = first + 3;
        }
    }
    *has_point = byte_at(s, end) == '.' && is_digit(byte_at(s, end + 1));
    return *has_point ? digits_end(s, end + 1) : end;
}

static const struct {
    const char *sign, *top, *bottom;
} vulgar_fractions[] = {
    {"\xc2\xbd", "1", "2"},     {"\xc2\xbc", "1", "4"},     {"\xc2\xbe", "3", "4"},
    {"\xe2\x85\x93", "1", "3"}, {"\xe2\x85\x94", "2", "3"}, {"\xe2\x85\x95", "1", "5"},
    {"\xe2\x85\x96", "2", "5"}, {"\xe2\x85\x97", "3", "5"}, {"\xe2\x85\x98", "4", "5"},
    {"\xe2\x85\x99", "1", "6"}, {"\xe2\x85\x9a", "5", "6"}, {"\xe2\x85\x9b", "1", "8"},
    {"\xe2\x85\x9c", "3", "8"}, {"\xe2\x85\x9d", "5", "8"}, {"\xe2\x85\x9e", "7", "8"},
};

/* ½ and its like at i; returns the end, or i. */
static size_t vulgar_end(const scan *s, size_t i, number_token *out) {
    if (byte_at(s, i) != 0xc2 && byte_at(s, i) != 0xe2) return i;
    for (size_t k = 0; k < sizeof vulgar_fractions / sizeof *vulgar_fractions; k++)
        if (starts_with(s, i, vulgar_fractions[k].sign)) {
            out->top = (number_digits){vulgar_fractions[k].top, 1};
            out->bottom = (number_digits){vulgar_fractions[k].bottom, 1};
            return i + strlen(vulgar_fractions[k].sign);
        }
    return i;
}

/* \frac{a}{b} at i, also \dfrac and \tfrac; returns the end, or i. */
static size_t tex_fraction_end(const scan *s, size_t i, number_token *out) {
    static const char *const names[] = {"\\frac{", "\\dfrac{", "\\tfrac{"};
    size_t p = i;
    for (size_t k = 0; p == i && k < 3; k++)
        if (starts_with(s, i, names[k])) p += strlen(names[k]);
    if (p == i) return i;
    bool negative = byte_at(s, p) == '-', point;
    p += negative;
    size_t top = p;
    p = decimal_end(s, top, &point);
    if (p == top || !starts_with(s, p, "}{")) return i;
    size_t bottom = p + 2, end = decimal_end(s, bottom, &point);
    if (end == bottom || byte_at(s, end) != '}') return i;
    out->negative ^= negative;
    out->top = (number_digits){s->at + top, p - top};
    out->bottom = (number_digits){s->at + bottom, end - bottom};
    return end + 1;
}

/* Bytes of a fraction bar at i, or 0. */
static size_t bar(const scan *s, size_t i) {
    return byte_at(s, i) == '/' ? 1 : starts_with(s, i, "\xe2\x81\x84") ? 3 : 0;
}

/* "/ digits" at i after a number that started at `start`; returns the end, or i. Dates such as 1/2/2020 are
 * no fractions. */
static size_t below_bar_end(const scan *s, size_t start, size_t i, number_digits *bottom) {
    size_t p = i + (byte_at(s, i) == ' '), n = bar(s, p);
    if (n == 0 || (start >= 2 && s->at[start - 1] == '/' && is_digit(byte_at(s, start - 2)))) return i;
    p += n;
    p += byte_at(s, p) == ' ';
    bool point;
    size_t end = decimal_end(s, p, &point);
    if (end == p || (byte_at(s, end) == '/' && is_digit(byte_at(s, end + 1)))) return i;
    *bottom = (number_digits){s->at + p, end - p};
    return end;
}

static long short_number(const scan *s, size_t start, size_t end) {
    long value = 0;
    for (size_t i = start; i < end; i++) value = value * 10 + (s->at[i] - '0');
    return value;
}

/* The fraction of a mixed number ("1 1/2", "1½", "1\frac{1}{2}") at i; returns the end, or i. The part after
 * the space must be a proper fraction of short numbers: "12 10/2" are two numbers. */
static size_t mixed_end(const scan *s, size_t i, number_token *out) {
    size_t end = tex_fraction_end(s, i, out);
    if (end > i) return end;
    size_t p = i + (byte_at(s, i) == ' ');
    end = vulgar_end(s, p, out);
    if (end > p) return end;
    if (p == i) return i;
    size_t top = p;
    while (p - top < 5 && is_digit(byte_at(s, p))) p++;
    size_t n = bar(s, p), bottom = p + n;
    if (p == top || n == 0) return i;
    end = bottom;
    while (end - bottom < 5 && is_digit(byte_at(s, end))) end++;
    unsigned char after = byte_at(s, end);
    if (end == bottom || is_digit(after) || (after == '/' && is_digit(byte_at(s, end + 1)))) return i;
    if (short_number(s, top, p) >= short_number(s, bottom, end)) return i;
    out->top = (number_digits){s->at + top, p - top};
    out->bottom = (number_digits){s->at + bottom, end - bottom};
    return end;
}

/* e6, E-3 at i; returns the end, or i. */
static size_t exponent_end(const scan *s, size_t i, long *exponent) {
    if ((byte_at(s, i) | 0x20) != 'e') return i;
    size_t p = i + 1;
    bool negative = byte_at(s, p) == '-';
    p += negative || byte_at(s, p) == '+';
    size_t end = digits_end(s, p);
    if (end == p || is_letter(byte_at(s, end))) return i;
    long value = 0;
    for (size_t k = p; k < end && value <= NUMBER_MAX_EXPONENT; k++) value = value * 10 + (s->at[k] - '0');
    *exponent = negative ? -value : value;
    return end;
}

static size_t value_end(const scan *s, size_t i, number_token *out) {
    size_t end = vulgar_end(s, i, out);
    if (end > i) return end;
    if (byte_at(s, i) == '\\') return tex_fraction_end(s, i, out);
    unsigned char before = i > 0 ? byte_at(s, i - 1) : 0;
    if (byte_at(s, i) == '.' && (is_digit(before) || is_letter(before) || before == '.')) return i;
    bool point;
    end = decimal_end(s, i, &point);
    if (end == i) return i;
    out->whole = (number_digits){s->at + i, end - i};
    size_t further = exponent_end(s, end, &out->exponent);
    if (further > end) return further;
    further = below_bar_end(s, i, end, &out->bottom);
    if (further > end) {
        out->top = out->whole;
        out->whole = (number_digits){NULL, 0};
        return further;
    }
    return point ? end : mixed_end(s, end, out);
}

static const char *const minus_signs[] = {"-", "\xe2\x88\x92" /* minus */, "\xe2\x80\x93" /* en dash */,
                                          "\xef\xb9\xa3" /* small */, "\xef\xbc\x8d" /* full width */};
static const char *const currencies[] = {"\\$", "$", "\xe2\x82\xac" /* euro */, "\xc2\xa3" /* pound */,
                                         "\xc2\xa5" /* yen */};

/* Steps back over a minus that ends at `end`, where it is a sign. */
static size_t sign_start(const scan *s, size_t end, size_t floor) {
    for (size_t k = 0; k < sizeof minus_signs / sizeof *minus_signs; k++) {
        if (!ends_with(s, end, floor, minus_signs[k])) continue;
        size_t start = end - strlen(minus_signs[k]);
        unsigned char before = start > 0 ? byte_at(s, start - 1) : 0;
        bool operator_ = is_digit(before) || is_letter(before) || (before && strchr(")]}%-", before));
        return operator_ ? end : start;
    }
    return end;
}

static size_t currency_start(const scan *s, size_t end, size_t floor) {
    size_t p = end - (end > floor && s->at[end - 1] == ' ');
    for (size_t k = 0; k < sizeof currencies / sizeof *currencies; k++)
        if (ends_with(s, p, floor, currencies[k])) return p - strlen(currencies[k]);
    return end;
}

static void widen_left(const scan *s, size_t floor, number_token *out) {
    size_t p = sign_start(s, out->start, floor);
    bool negative = p < out->start;
    size_t money = currency_start(s, p, floor);
    if (money < p) {
        p = money;
        if (!negative) {
            size_t sign = sign_start(s, p, floor);
            negative = sign < p;
            p = sign;
        }
    }
    out->start = p;
    out->negative ^= negative;
}

static void widen_right(const scan *s, number_token *out) {
    size_t p = out->end + (byte_at(s, out->end) == ' ');
    static const char *const percents[] = {"%", "\\%", "percent", "per cent"};
    for (size_t k = 0; k < sizeof percents / sizeof *percents; k++)
        if (starts_with_any_case(s, p, percents[k])) {
            out->percent = true;
            out->end = p + strlen(percents[k]);
            return;
        }
}

bool number_next(const char *text, size_t length, size_t from, number_token *out) {
    scan s = {text, length};
    for (size_t i = from; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if (!is_digit(c) && c != '.' && c != '\\' && c != 0xc2 && c != 0xe2) continue;
        *out = (number_token){.start = i};
        out->end = value_end(&s, i, out);
        if (out->end == i) continue;
        widen_left(&s, from, out);
        widen_right(&s, out);
        return true;
    }
    return false;
}

static void power_of_ten(fmpz_t out, size_t exponent) {
    fmpz_set_ui(out, 10);
    fmpz_pow_ui(out, out, (ulong)exponent);
}

/* The exact value of digits with separators and a point. */
static bool digits_value(number_digits d, fmpq_t value) {
    char plain[NUMBER_MAX_DIGITS + 2];
    size_t n = 0, decimals = 0;
    bool after_point = false;
    for (size_t i = 0; i < d.length; i++) {
        if (d.at[i] == '.') after_point = true;
        if (!is_digit((unsigned char)d.at[i])) continue;
        if (n == NUMBER_MAX_DIGITS) return false;
        plain[n++] = d.at[i];
        decimals += after_point;
    }
    plain[n] = 0;
    if (n == 0 || fmpz_set_str(fmpq_numref(value), plain, 10) != 0) return false;
    power_of_ten(fmpq_denref(value), decimals);
    fmpq_canonicalise(value);
    return true;
}

static void scale_by_ten(fmpq_t value, long exponent) {
    fmpz_t power;
    fmpz_init(power);
    power_of_ten(power, (size_t)labs(exponent));
    if (exponent > 0)
        fmpq_mul_fmpz(value, value, power);
    else
        fmpq_div_fmpz(value, value, power);
    fmpz_clear(power);
}

bool number_value(const number_token *token, fmpq_t value) {
    fmpq_t top, bottom;
    fmpq_init(top);
    fmpq_init(bottom);
    fmpq_zero(value);
    bool fine = labs(token->exponent) <= NUMBER_MAX_EXPONENT;
    if (fine && token->whole.length) fine = digits_value(token->whole, value);
    if (fine && token->exponent) scale_by_ten(value, token->exponent);
    if (fine && token->bottom.length) {
        fine = digits_value(token->top, top) && digits_value(token->bottom, bottom) && !fmpq_is_zero(bottom);
        if (fine) {
            fmpq_div(top, top, bottom);
            fmpq_add(value, value, top);
        }
    }
    if (token->negative) fmpq_neg(value, value);
    fmpq_clear(top);
    fmpq_clear(bottom);
    return fine;
}
