/* Fields of a row of data. A field is described by one or more alternatives, a line each, of which the first
 * that the row has counts:
 *
 *   question.stem          a path: keys and list indexes ("-1" is the last), joined by dots
 *   {Body} {Question}      a text with paths in it (template.h)
 *   =none                  the text after the "=" itself: a default
 *
 * A member that is null counts as absent. */
#ifndef ESPALIER_TASK_FIELD_H
#define ESPALIER_TASK_FIELD_H

#include "base/error.h"
#include "base/memory.h"

#include <jansson.h>

/* The value of the first alternative that the row has; NULL: none. New reference. `fields` may be empty. */
json_t *field_value(const char *fields, const json_t *row);
/* The value at one path; NULL: there is none. Borrowed. */
json_t *field_at(const char *path, size_t length, const json_t *row);
/* Appends a value as text: a text, a number or a boolean, or a list of these, one per line. False: it is
 * none of them. */
bool field_text(const json_t *value, text_buffer *out);
/* Appends the alternatives for an error: "\"problem\" or \"question\"". */
void field_names(const char *fields, text_buffer *out);
esp_status field_check(const char *fields, const char *key, esp_error *error);

#endif
