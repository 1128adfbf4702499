/* Answers to problems of mathematics, read and compared: the entry to this folder.
 *
 * An answer is text as people and models write it, in LaTeX or without (clean.h, read.h). Gold answers and
 * answers of models go through the same reader. What is compared how, and what is proved, is in compare.h.
 *
 * All of this is bounded: an answer of more than GRADE_MAX_BYTES, or one that needs more digits, terms, depth
 * or steps than the limits of expression.h, cannot be judged, unless the two texts are the same. */
#ifndef ESPALIER_GRADE_GRADE_H
#define ESPALIER_GRADE_GRADE_H

#include "grade/verdict.h"

#include <stdbool.h>
#include <stddef.h>

#define GRADE_MAX_BYTES 16384

/* The verdict on two answers. *reason, which may be NULL, becomes a constant where the verdict is
 * GRADE_UNKNOWN. Symmetric; equal texts are equal. */
grade_verdict grade_compare(const char *a, size_t a_length, const char *b, size_t b_length,
                            const char **reason);

/* Reasons of an unknown verdict. */
extern const char grade_reason_too_large[], grade_reason_unreadable[], grade_reason_undefined[],
    grade_reason_undecided[];

/* Whether the text can be read as an answer that has a value. */
bool grade_is_readable(const char *text, size_t length);

/* A number in running text. */
typedef struct {
    size_t start, end;  /* of the text */
    bool words_before;  /* letters come before it */
    bool percent, unit; /* it has a percent sign, a known unit that is no currency */
    bool several;       /* alternatives: "5 or 6" */
    const char
        *fault;   /* why it has no value: grade_reason_undefined (1/0), grade_reason_too_large; else NULL */
    char *number; /* its one spelling without percent and unit ("-18", "0.5", "1/3"); NULL where it is no
                     rational number: \\pi, 5 or 6, 9:45. Freed by mem_free */
} grade_number;

/* The number that text[start, length) states: the first one, and where it begins an equation, what is after
 * the last
 * "=" ("5 apples + 3 apples = 8 apples" is 8). Bytes before start are context. False where there is none. */
bool grade_stated_number(const char *text, size_t start, size_t length, grade_number *out);
/* The verdict on what two texts state; otherwise as grade_compare. */
grade_verdict grade_compare_stated(const char *a, size_t a_length, const char *b, size_t b_length,
                                   const char **reason);
/* The last number of the text, without the operations around it. */
bool grade_last_number(const char *text, size_t length, grade_number *out);

#endif
