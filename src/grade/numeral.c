#include "grade/numeral.h"

#include "base/ascii.h"
#include "base/memory.h"
#include "grade/clean.h"

#include <string.h>

typedef struct {
    const char *at;
    size_t length;
} scan;

static unsigned char peek(const scan *s, size_t i) {
    return i < s->length ? (unsigned char)s->at[i] : 0;
}

static size_t digits_end(const scan *s, size_t i) {
    while (is_digit(peek(s, i))) i++;
    return i;
}

static bool group_of(const scan *s, size_t i, size_t digits) {
    return digits_end(s, i) == i + digits;
}

/* Whether `sign` separates groups by this much: it is the sign of all of them. */
static bool separates(unsigned char sign, unsigned how) {
    switch (sign) {
    case ',':
        return !(how & NUMERAL_NO_COMMAS);
    case ' ':
        return how & NUMERAL_SPACES;
    case '\'':
    case '_':
    case '.':
    case CLEAN_COMMA:
    case CLEAN_TIGHT_SPACE:
        return true;
    default:
        return false;
    }
}

/* The end of the groups of three that follow the digits before i, or i. */
static size_t groups_of_three(const scan *s, size_t i, unsigned how, numeral *out) {
    unsigned char sign = peek(s, i);
    size_t end = i;
    bool zero = false; /* a group begins with 0, so it is no number of its own */
    int groups = 0;
    if (!separates(sign, how)) return i;
    while (peek(s, end) == sign && group_of(s, end + 1, 3)) {
        zero |= peek(s, end + 1) == '0';
        end += 4;
        groups++;
    }
    if (sign == '.' && groups < 2 && !(groups == 1 && peek(s, end) == ',' && is_digit(peek(s, end + 1))))
        return i;
    if (sign == ',' && (how & NUMERAL_BRACKETS) && !zero) return i;
    out->commas = sign == ',' && end > i && !zero;
    return end;
}

/* 1,23,456: groups of two before the last of three. */
static size_t indian_groups(const scan *s, size_t start, size_t i, unsigned how) {
    size_t end = i;
    if (peek(s, i) != ',' || !separates(',', how) || (how & NUMERAL_BRACKETS) || i - start > 2) return i;
    while (peek(s, end) == ',' && group_of(s, end + 1, 2)) end += 3;
    return end > i && peek(s, end) == ',' && group_of(s, end + 1, 3) ? end + 4 : i;
}

/* The end of the whole part that starts at i. */
static size_t whole_end(const scan *s, size_t i, unsigned how, numeral *out) {
    size_t end = digits_end(s, i);
    out->whole = true;
    if (end == i || end - i > 3 || (s->at[i] == '0' && peek(s, end) != CLEAN_COMMA)) return end;
    size_t grouped = indian_groups(s, i, end, how);
    if (grouped == end) grouped = groups_of_three(s, end, how, out);
    out->whole = grouped == end;
    return grouped;
}

/* The digits of a fraction, and how many of them repeat. */
typedef struct {
    size_t start, end;           /* after the point */
    size_t repeated, repeat_end; /* in \overline{ } */
} fraction;

/* The digits of which the ones before `end` are repetitions: 6 of 0.1666, 142857 of 0.142857142857; their
 * number, or 0. One digit is repeated three times at least. */
static size_t repeated_digits(const scan *s, size_t start, size_t end) {
    enum { LONGEST = 12 };
    for (size_t n = 1; n <= LONGEST; n++) {
        size_t least = n == 1 ? 3 : 2;
        if (end - start < n * least) break;
        const char *last = s->at + end - n;
        if (memcmp(last, last - n, n) == 0 && (n > 1 || last[-2] == *last)) return n;
    }
    return 0;
}

static size_t fraction_end(const scan *s, size_t i, unsigned how, fraction *f) {
    static const char line[] = "\\overline {";
    size_t n = sizeof line - 1;
    f->start = i;
    f->end = digits_end(s, i);
    if (s->length > f->end && s->length - f->end > n && memcmp(s->at + f->end, line, n) == 0) {
        size_t first = f->end + n, last = digits_end(s, first);
        if (last > first && peek(s, last) == '}') {
            f->repeated = first;
            f->repeat_end = last;
            return last + 1;
        }
    }
    bool dots = (how & NUMERAL_DOTS) && s->length - f->end >= 3 && memcmp(s->at + f->end, "...", 3) == 0;
    size_t digits = dots ? repeated_digits(s, f->start, f->end) : 0;
    if (digits == 0) return f->end;
    f->repeated = f->end - digits;
    f->repeat_end = f->end;
    return f->end + 3;
}

/* e6, E-3 at i: its end, or i. */
static size_t exponent_end(const scan *s, size_t i, long *exponent) {
    if ((peek(s, i) | 0x20) != 'e') return i;
    size_t p = i + 1;
    bool negative = peek(s, p) == '-';
    p += negative || peek(s, p) == '+';
    size_t end = digits_end(s, p);
    unsigned char after = peek(s, end) | 0x20;
    if (end == p || (after >= 'a' && after <= 'z')) return i;
    long value = 0;
    for (size_t k = p; k < end && value <= NUMERAL_MAX_EXPONENT; k++) value = value * 10 + (s->at[k] - '0');
    *exponent = negative ? -value : value;
    return end;
}

/* Appends the digits of [start, end) to the value: value * 10^n + them. */
static void add_digits(fmpz_t value, const scan *s, size_t start, size_t end, size_t *count) {
    enum { CHUNK = 18 };
    ulong part = 0, scale = 1;
    size_t n = 0;
    for (size_t i = start; i < end; i++) {
        if (!is_digit(peek(s, i))) continue;
        part = part * 10 + (ulong)(s->at[i] - '0');
        scale *= 10;
        if (++n % CHUNK == 0) {
            fmpz_mul_ui(value, value, scale);
            fmpz_add_ui(value, value, part);
            part = 0;
            scale = 1;
        }
    }
    if (scale > 1) {
        if (!fmpz_is_zero(value)) fmpz_mul_ui(value, value, scale);
        fmpz_add_ui(value, value, part);
    }
    *count += n;
}

static void power_of_ten(fmpz_t out, size_t n) {
    fmpz_set_ui(out, 10);
    fmpz_pow_ui(out, out, n);
}

/* Adds 0.repeated, shifted to after the digits that value / 10^places has. */
static void add_repeated(fmpq_t value, const scan *s, const fraction *f, size_t places) {
    fmpz_t digits, scale;
    fmpq_t part;
    size_t n = 0;
    fmpz_init(digits);
    fmpz_init(scale);
    fmpq_init(part);
    add_digits(digits, s, f->repeated, f->repeat_end, &n);
    power_of_ten(scale, n);
    fmpz_sub_ui(scale, scale, 1);
    fmpq_set_fmpz_frac(part, digits, scale);
    power_of_ten(scale, places);
    fmpq_div_fmpz(part, part, scale);
    fmpq_add(value, value, part);
    fmpz_clear(digits);
    fmpz_clear(scale);
    fmpq_clear(part);
}

static void set_value(fmpq_t value, const scan *s, size_t whole, const fraction *f, long exponent) {
    size_t count = 0, places = 0;
    fmpq_zero(value);
    add_digits(fmpq_numref(value), s, 0, whole, &count);
    add_digits(fmpq_numref(value), s, f->start, f->end, &places);
    if (places > 0 || exponent != 0) {
        fmpz_t scale;
        fmpz_init(scale);
        long shift = exponent - (long)places;
        power_of_ten(scale, (size_t)(shift < 0 ? -shift : shift));
        (shift < 0 ? fmpq_div_fmpz : fmpq_mul_fmpz)(value, value, scale);
        fmpz_clear(scale);
    }
    if (f->repeat_end > f->repeated) add_repeated(value, s, f, places);
}

size_t numeral_read(const char *text, size_t length, unsigned how, fmpq_t value, numeral *out) {
    scan s = {text, length};
    fraction f = {0};
    long exponent = 0;
    *out = (numeral){0};
    size_t whole = whole_end(&s, 0, how, out), end = whole;
    bool dotted = !out->whole && memchr(text, '.', whole),
         point = peek(&s, end) == '.' || (dotted && peek(&s, end) == ',');
    if (point && (is_digit(peek(&s, end + 1)) || (end + 1 < length && text[end + 1] == '\\' && whole > 0))) {
        size_t after = fraction_end(&s, end + 1, how, &f);
        if (after > end + 1) {
            end = after;
            out->whole = false;
        }
    }
    if (end == 0) return 0;
    size_t further = exponent_end(&s, end, &exponent);
    if (further > end) out->whole = false;
    out->too_large =
        end > NUMERAL_MAX_DIGITS || exponent > NUMERAL_MAX_EXPONENT || exponent < -NUMERAL_MAX_EXPONENT;
    if (!out->too_large) set_value(value, &s, whole, &f, exponent);
    return further;
}
