/* Reads and writes JSON lines and text as streams. Every failed write is an error. */
#ifndef ESPALIER_APP_OUTPUT_H
#define ESPALIER_APP_OUTPUT_H

#include "text/tokenizer.h"

#include "formats/json.h"

/* Writes one line of compact JSON to standard output; takes over the reference. real_digits: significant
 * digits of reals (17 preserves a double, 9 a float). */
esp_status output_json(json_t *value, int real_digits, esp_error *error);
/* Writes text unchanged. */
esp_status output_text(const char *text, size_t length, esp_error *error);
/* Flushes standard output; called once at the end of the program. */
esp_status output_flush(esp_error *error);

/* Reads a whole file, or standard input for "-"; zero-terminated, freed by mem_free. */
esp_status input_read(const char *path, char **text, size_t *length, esp_error *error);

/* Appends the token ids of a member, all in [0, limit). An error names `where` and the key. */
esp_status json_need_ids(const json_t *object, const char *key, const char *where, int64_t limit,
                         token_list *out, esp_error *error);

#endif
