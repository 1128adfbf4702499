/* Rows of data from files: JSON lines, a JSON array, or CSV, each also compressed with gzip. The name
 * decides: .csv and .tsv (fields separated by tabs) are CSV as RFC 4180 has it, with a first row of names;
 * .jsonl is JSON lines; anything else, and "-" (standard input), is JSON: an array if it begins with "[",
 * else lines. Values of CSV are texts. */
#ifndef ESPALIER_FORMATS_ROWS_H
#define ESPALIER_FORMATS_ROWS_H

#include "base/error.h"

#include <jansson.h>

typedef struct rows_reader rows_reader;

esp_status rows_open(rows_reader **out, const char *path, esp_error *error);
/* The next row, borrowed until the next call; NULL at the end. */
esp_status rows_next(rows_reader *r, json_t **row, esp_error *error);
int64_t rows_line(const rows_reader *r);      /* 1-based line on which the last row begins */
const char *rows_where(const rows_reader *r); /* "path:line" of the last row */
void rows_close(rows_reader *r);

#endif
