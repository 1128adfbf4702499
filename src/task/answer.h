/* Finding the numeric answer in a solution, and comparing it. In this order:
 *   1. the last "####" that is followed by a number, or that stands on the last line ("#### Step 2" further
 * up is a heading). An empty last line "####" is no answer: nothing else is looked at then;
 *   2. the last of "answer is", "answer:", "answer =" (any case, * and _ of markdown between) and "\boxed{"
 * that has a number behind it on its line (on the next line that is not blank, when its own is);
 *   3. the last number of the text.
 * In 1 and 2 the first number counts ("72 clips for 5 friends" is 72), in "10 - 3 = 7" the one behind the
 * "=".
 *
 * Two numbers are equal when their exact values are: 5.0 = 5, 1/2 = .5, 1,000 = 1000. Currency signs and
 * units are not looked at. A percent sign: when both numbers have one, or neither has, the values are
 * compared as they stand. When one of them has it, that one may be read as its number or as its hundredth:
 * 50% is equal to 50 (percent was the unit asked for) and to 0.5 (that is what it means), and 0.5% is not
 * equal to 50%.
 *
 * Text may hold any bytes. All of this takes linear time. */
#ifndef ESPALIER_TASK_ANSWER_H
#define ESPALIER_TASK_ANSWER_H

#include "task/number.h"
#include "task/task.h"

/* Finds the answer. *number is filled when the span that was found holds a number; else number->end is 0. */
task_answer answer_find(const char *text, size_t length, number_token *number);

/* The number's one spelling (number_text), with "%" when keep_percent and it has one; NULL when it has no
 * value. */
char *answer_text(const number_token *number, bool keep_percent);

/* Equality by the rule above. *fine is false when either has no value (then the result is false). */
bool answer_equal(const number_token *a, const number_token *b, bool *fine);

/* text[start, start + length) as valid UTF-8 without control characters, at most 100 bytes and "..."; for
 * messages. */
char *answer_excerpt(const char *text, size_t start, size_t length);

#endif
