/* Reads and writes JSON with jansson; errors name the file and the line. Rows are read from JSONL files. */
#ifndef ESPALIER_FORMATS_JSON_H
#define ESPALIER_FORMATS_JSON_H

#include "base/error.h"

#include <jansson.h>

/* Parses a text, any value; integers over 64 bits become real numbers. NULL: *at says why. New reference. */
json_t *json_parse(const char *text, size_t length, json_error_t *at);
/* The same, but such integers become strings, so that no digit is lost. */
json_t *json_parse_row(const char *text, size_t length, json_error_t *at);
/* Parses a whole file; *out is owned by the caller (json_decref). */
esp_status json_read_file(const char *path, json_t **out, esp_error *error);
/* Writes atomically (base/file.h), compact or indented; doubles keep 17 significant digits. */
esp_status json_write_file(const char *path, const json_t *value, bool indented, esp_error *error);

/* A required member of a given type; an error names `where` (free text: file and line) and the key. */
esp_status json_need_string(const json_t *object, const char *key, const char *where, const char **out,
                            esp_error *error);
esp_status json_need_number(const json_t *object, const char *key, const char *where, double *out,
                            esp_error *error);
esp_status json_need_integer(const json_t *object, const char *key, const char *where, int64_t *out,
                             esp_error *error);

/* The shortest decimal that reads as this number. Freed by mem_free. */
char *json_number_text(const json_t *value);

/* A number, or null if it is not finite, which JSON cannot represent. New reference. */
json_t *json_real_or_null(double x);
/* A string of any bytes: bytes that are not UTF-8 become U+FFFD. New reference, as all of these. */
json_t *json_from_text(const char *text, size_t length);
json_t *json_from_ids(const int32_t *ids, int64_t count);

/* JSONL: one JSON value per line; an integer of more than 64 bits becomes a string, so that no digit is lost;
 * blank lines are skipped. path "-" is standard input; a file whose name ends in .gz is decompressed. Each
 * row is a borrowed reference, valid until the next call. *row is NULL at the end. */
typedef struct jsonl_reader jsonl_reader;
esp_status jsonl_open(jsonl_reader **out, const char *path, esp_error *error);
esp_status jsonl_next(jsonl_reader *r, json_t **row, esp_error *error);
int64_t jsonl_line(const jsonl_reader *r);      /* 1-based line of the last row */
const char *jsonl_where(const jsonl_reader *r); /* "path:line" of the last row */
void jsonl_close(jsonl_reader *r);
/* The error of a file that is Parquet, by its name or its first bytes; returns ESP_FAILED. */
esp_status json_refuse_parquet(const char *path, esp_error *error);
bool json_is_parquet(const char *text, size_t length);

#endif
