/* Texts with places to fill: "{question}\n{options}". "{{" and "}}" are braces. An empty value takes the line
 * ends after its place with it, or at the end of the template those before it, so that one template serves
 * problems with and without options. */
#ifndef ESPALIER_TASK_TEMPLATE_H
#define ESPALIER_TASK_TEMPLATE_H

#include "base/error.h"
#include "base/memory.h"

/* Appends the value of the place name[0, length). False: there is no such place, or it has no value. */
typedef bool (*template_value)(void *user, const char *name, size_t length, text_buffer *out);

/* False where a place had no value; *out then has a part of the text. */
bool template_fill(const char *template, template_value value, void *user, text_buffer *out);
/* Fails for a brace that is not closed, and for a place that is none of `places` ("question options": words;
 * NULL: any). `key` is the setting that the template is of. */
esp_status template_check(const char *template, const char *places, const char *key, esp_error *error);
bool template_has_places(const char *text);
/* Whether the place of that name occurs. */
bool template_has_place(const char *template, const char *name);

#endif
