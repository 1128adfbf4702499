/* Answers that are numbers: finding the answer of a solution, comparing and grading. The answer is, in this
 * order:
 *   1. the last "####" that is followed by a number, or that is on the last line ("#### Step 2" further up is
 * a heading). An empty last line "####" is no answer: nothing else is looked at then;
 *   2. the last of "answer is", "answer:", "answer =" (any case, * and _ of markdown between) and "\boxed{"
 * that is followed by a number on its line (on the next line that is not blank, when the rest of its own is);
 *   3. the last number of the text.
 * In 1 and 2 the first number counts ("72 clips for 5 friends" is 72), in "10 - 3 = 7" the one after the "=".
 *
 * Two numbers are equal when their exact values are: 5.0 = 5, 1/2 = .5, 1,000 = 1000. Currency signs and
 * units are not looked at. Votes ignore a percent sign: 50% and 50 are one answer. Grading is more lenient
 * with gold: when both numbers have a percent sign, or neither has, the values are compared; when one of them
 * has it, that one may be read as its number or as its hundredth: 50% is correct for 50 (percent was the unit
 * asked for) and for 0.5 (its meaning), and 0.5% is not correct for 50%.
 *
 * Text may hold any bytes. All of this takes linear time. */
#ifndef ESPALIER_TASK_NUMERIC_H
#define ESPALIER_TASK_NUMERIC_H

#include "task/number.h"
#include "task/task_ops.h"

extern const answer_kind numeric_answers;

/* task_make_mistake for solutions whose steps have results that are numbers. The result of a step is the
 * first number after its last "=", else its last number. It becomes another number (off by a little, another
 * number of the problem, a digit changed, another operation's result), and so does every later number of the
 * same value. */
bool numeric_mistake(const problem *p, const task_mistake_place *place, rng_key_t key, text_buffer *out,
                     size_t *changed);

typedef enum {
    NUMERIC_NONE,        /* nothing in the text is an answer */
    NUMERIC_MARK,        /* after "####" */
    NUMERIC_PHRASE,      /* after "The answer is" or the like */
    NUMERIC_BOX,         /* in \boxed{} */
    NUMERIC_LAST_NUMBER, /* the last number of the text */
} numeric_source;

/* Where an answer is in its text. */
typedef struct {
    numeric_source source;
    size_t start, length;
} numeric_span;

/* Finds the answer. *number is filled when the span that was found holds a number; else number->end is 0. */
numeric_span numeric_find_span(const char *text, size_t length, number_token *number);

/* The number's one spelling (number_text), with "%" when keep_percent and it has one; NULL when it has no
 * value. */
char *numeric_text(const number_token *number, bool keep_percent);

#endif
