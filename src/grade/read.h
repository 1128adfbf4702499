/* Reads an answer into a tree (expression.h). Text comes cleaned (clean.h). Bounded in steps and depth. */
#ifndef ESPALIER_GRADE_READ_H
#define ESPALIER_GRADE_READ_H

#include "grade/expression.h"

typedef struct {
    const expr *value; /* NULL where nothing was read */
    bool had_commas;   /* a number's commas could as well separate answers: "100,200" */
    size_t end;        /* where reading ended */
} reading;

/* A whole answer: mathematics, or words (EXPR_TEXT). no_commas: commas separate answers, never groups of
 * digits. value is NULL where the text is neither. */
reading read_answer(expr_pool *pool, const char *text, size_t length, bool no_commas);

/* What running text states: the first quantity, and where it begins an equation, what is after its last "=".
 */
typedef struct {
    const expr *value;
    bool words_before; /* letters come before it */
    size_t start, end; /* where it is */
} stated;
bool read_stated(expr_pool *pool, const char *text, size_t length, stated *out);

/* The last number of text[0, length) that is written as one, without the operations around it. */
bool read_last_number(expr_pool *pool, const char *text, size_t length, stated *out);

#endif
