/* Where numbers are in running text, and their exact values: what a mistake is put into (numeric_mistake.c).
 * Answers are read by src/grade/, which reads more than this.
 *
 *   number    = sign? currency? sign? value percent?
 *   value     = decimal (e exponent)? | decimal / decimal | whole fraction | fraction
 *   decimal   = digits, or 1 to 3 digits and groups of 3 after "," or a fixed space;
 *               then perhaps .digits; or .digits alone
 *   fraction  = digits/digits | \frac{digits}{digits} | one of ½ ⅓ ⅔ ¼ ¾ ...
 *   sign      = - or its Unicode forms, not directly after a letter, digit or closing
 *               bracket ("10-3" holds 10 and 3)
 *   percent   = % | \% | percent
 *
 * Words around a number are not part of it. Text may hold any bytes; a scan over it takes linear time. */
#ifndef ESPALIER_TASK_NUMBER_H
#define ESPALIER_TASK_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#include <flint/fmpq.h>

/* A number with more digits than this is not looked at: no problem needs it, and it bounds the work. */
#define NUMBER_MAX_DIGITS   1000
#define NUMBER_MAX_EXPONENT 1000

/* Digits with their separators and at most one point. length 0: absent. */
typedef struct {
    const char *at;
    size_t length;
} number_digits;

typedef struct {
    size_t start, end; /* of the text, with sign, currency and percent */
    bool negative, percent;
    number_digits whole, top, bottom; /* whole + top / bottom */
    long exponent;                    /* of ten, of the whole */
} number_token;

/* The next number that starts at `from` or later in text[0, length); false when there is none. Go on from
 * out->end. */
bool number_next(const char *text, size_t length, size_t from, number_token *out);

/* Its exact value; a percent sign is not applied (50% is 50). False when it has too many digits, an exponent
 * out of range or a denominator of 0. `value` is initialised by the caller. */
bool number_value(const number_token *token, fmpq_t value);

#endif
