/* Shared by the tables of the theory: what a table is made of. Private to src/theory. */
#ifndef ESPALIER_THEORY_TOPIC_H
#define ESPALIER_THEORY_TOPIC_H

#include "theory/theory.h"

/* A table is one file with its topic, and one row in theory.c. */
typedef struct {
    const char *title, *about;
    void (*compute)(theory_table *table, rng_key_t key);
} theory_topic;

/* How far a computed value may be from its prediction. */
#define ALLOWED_ROUNDING 1e-9 /* sums and products of doubles */
#define ALLOWED_DESCENT  1e-6 /* the end of a gradient descent */

/* Adds a value; the rest is the printf-style text of where it is. */
void theory_add(theory_table *table, theory_value value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The new last figure of the table. */
theory_figure *theory_add_figure(theory_table *table, theory_figure figure);
/* The new last line of a figure; valid until the next one is added. */
theory_line *theory_add_line(theory_figure *figure, const char *name);
void theory_add_point(theory_line *line, double x, double y);

#endif
