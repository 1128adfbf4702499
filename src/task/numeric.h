/* Solutions whose steps have results that are numbers. */
#ifndef ESPALIER_TASK_NUMERIC_H
#define ESPALIER_TASK_NUMERIC_H

#include "task/number.h"
#include "task/task_ops.h"

/* task_make_mistake for such solutions. The result of a step is the first number after its last "=", else its
 * last number. It becomes another number (off by a little, another number of the problem, a digit changed,
 * another operation's result), and so does every later number of the same value. */
bool numeric_mistake(const problem *p, const task_mistake_place *place, rng_key_t key, text_buffer *out,
                     size_t *changed);

/* The number's one spelling (number_text), with "%" when keep_percent and it has one; NULL when it has no
 * value. Freed by mem_free. */
char *numeric_text(const number_token *number, bool keep_percent);

#endif
