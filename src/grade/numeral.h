/* Number literals in cleaned text (clean.h), read exactly.
 *
 *   literal  = whole? ("." digits? repeated?)? exponent?
 *   whole    = digits, perhaps in groups of three: 1,234,567  1 234 567  1'234'567  1_234_567  1.234.567
 *              or in Indian groups: 1,23,45,678
 *   repeated = \overline{digits}: 0.1\overline{6} is 1/6; or dots after digits that repeat: 0.1666... is too
 *   exponent = e digits, e-digits
 *
 * "1.234,5" has its point as a comma: 1234.5. "1,5" does not: it is a list of two. */
#ifndef ESPALIER_GRADE_NUMERAL_H
#define ESPALIER_GRADE_NUMERAL_H

#include <stdbool.h>
#include <stddef.h>

#include <flint/fmpq.h>

/* A literal beyond these is not read: no problem needs it, and it bounds the work. */
#define NUMERAL_MAX_DIGITS   10000
#define NUMERAL_MAX_EXPONENT 10000

typedef struct {
    bool commas;    /* in groups by commas that could as well separate two numbers: "100,200" */
    bool whole;     /* digits alone, without groups, point or exponent */
    bool too_large; /* beyond the limits; the value is not set */
} numeral;

enum {
    NUMERAL_SPACES = 1,    /* a plain space separates groups too */
    NUMERAL_BRACKETS = 2,  /* inside brackets a comma separates groups only where a group begins with 0:
                              (12,102) is a pair and (1,000) a number */
    NUMERAL_NO_COMMAS = 4, /* a comma never separates groups */
    NUMERAL_DOTS = 8       /* dots after digits that repeat say that they go on, and end no sentence */
};

/* Reads the literal at text[0, length); the number of bytes it has, 0 where there is none. `value` is
 * initialised by the caller. */
size_t numeral_read(const char *text, size_t length, unsigned how, fmpq_t value, numeral *out);

#endif
