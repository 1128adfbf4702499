/* Patterns of a task (PCRE2, UTF-8 where the text is), with a bounded number of tries. */
#ifndef ESPALIER_TASK_PATTERN_H
#define ESPALIER_TASK_PATTERN_H

#include "base/error.h"
#include "base/memory.h"

typedef struct pattern pattern;

/* `key` is the setting that the pattern is of. */
esp_status pattern_new(pattern **out, const char *text, const char *key, esp_error *error);
void pattern_free(pattern *p);

typedef struct {
    size_t start, end;             /* of the match */
    size_t group_start, group_end; /* of its first group that took part, else of the match */
} pattern_match;

/* The first match that begins at `from` or later in text[0, length), which may hold any bytes. */
bool pattern_find(const pattern *p, const char *text, size_t length, size_t from, pattern_match *out);
/* Appends text[0, length) without what matches. */
void pattern_remove(const pattern *p, const char *text, size_t length, text_buffer *out);

#endif
