/* The comparison of methods as text; shared by the verbs compare and sweep. */
#ifndef ESPALIER_APP_COMPARE_H
#define ESPALIER_APP_COMPARE_H

#include "sweep/comparison.h"

/* Tables in the form of Markdown, aligned so that they can be read as they are. */
void compare_text(const comparison *c, text_buffer *out);

/* Compares the runs of a sweep's folder and prints the tables, or with json the document. baseline NULL: the
 * sweep's own. target: as comparison_make. */
esp_status compare_sweep(const char *folder, const char *baseline, double target, bool json,
                         esp_error *error);

#endif
