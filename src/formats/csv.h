/* CSV as RFC 4180 has it, with a first row of names, by libcsv. */
#ifndef ESPALIER_FORMATS_CSV_H
#define ESPALIER_FORMATS_CSV_H

#include "base/error.h"

#include <jansson.h>

typedef struct csv_table csv_table;

/* Reads a whole text. Errors name `path` and the line. */
esp_status csv_read(csv_table **out, const char *path, const char *text, size_t length, char separator,
                    esp_error *error);
/* Row `index` (0-based, after the names) as an object of texts, a new reference; NULL past the last. *line:
 * the 1-based line on which it begins. */
esp_status csv_row(const csv_table *t, int64_t index, json_t **row, int64_t *line, esp_error *error);
void csv_free_table(csv_table *t);

#endif
