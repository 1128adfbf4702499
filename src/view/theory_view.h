/* The tables of the theory (theory/theory.h) as text for a terminal, and as the document of a page with their
 * figures. */
#ifndef ESPALIER_VIEW_THEORY_VIEW_H
#define ESPALIER_VIEW_THEORY_VIEW_H

#include "theory/theory.h"
#include "view/document.h"

/* Appends a table: a line per value with the prediction, the computed value and their difference. */
void theory_text(const theory_table *table, int width, text_buffer *out);

/* Appends {"page": "theory", "name", "espalier", "seed", "values", "differ", "tables": [{"name", "title",
 * "about", "values": [{"quantity", "at", "prediction", "computed", "difference", "relation", "allowed",
 * "holds"}], "figures": [{"title", "caption", "x", "y", "log_x", "lines": [{"name", "plain", "points": [[x,
 * y]]}]}]}]}; relation is "=", ">=" or "<=", of the computed value to the prediction. */
void theory_document(const theory_table *tables, int count, int64_t seed, document *out);

/* How many of the values do not hold; *values: how many there are. */
int64_t theory_count_differing(const theory_table *tables, int count, int64_t *values);

#endif
