/* The comparison of methods as text; shared by the verbs compare and sweep. */
#ifndef ESPALIER_APP_COMPARE_H
#define ESPALIER_APP_COMPARE_H

#include "sweep/comparison.h"

/* Tables in the form of Markdown, aligned so that they can be read as they are. by_iteration: also accuracy
 * and tokens by iteration. */
void compare_text(const comparison *c, bool by_iteration, text_buffer *out);

/* Compares the runs of a sweep's folder with its own baseline, and prints the tables, or with json the
 * document. */
esp_status compare_sweep(const char *folder, bool json, esp_error *error);

#endif
