/* Jinja, as far as chat templates use it: a template is compiled once and rendered with a context of JSON
 * values. Every string has marks: which of its bytes are words of the template, and which came from the
 * context. The marks go through all operations, so that only the template's own words can become control
 * tokens afterwards. The set-up is that of transformers: white space as with trim_blocks and lstrip_blocks,
 * break and continue, tojson, raise_exception, strftime_now, and no value of the context can be changed.
 *
 * What is not supported is refused by name, with its line and column. A template can read no file and no
 * clock. */
#ifndef ESPALIER_TEXT_JINJA_JINJA_H
#define ESPALIER_TEXT_JINJA_JINJA_H

#include "base/error.h"
#include "text/marked_text.h"

#include <jansson.h>

typedef struct jinja jinja;

/* Compiles a template; the source is copied. Errors name line and column, and what is not supported. */
esp_status jinja_compile(jinja **out, const char *source, size_t length, esp_error *error);
void jinja_free(jinja *template);

typedef struct {
    int64_t steps; /* expressions and statements evaluated, and each 64 bytes of strings made */
    size_t bytes;  /* of all strings made, and of the result */
    int depth;     /* of calls and expressions in each other */
} jinja_limits;
#define JINJA_LIMITS ((jinja_limits){.steps = 1000000, .bytes = 16 << 20, .depth = 200})

typedef struct {
    const json_t *context;  /* an object: the names that the template sees */
    const char *const *own; /* NULL-terminated: keys whose strings are the template's words too, as "role" and
                                "bos_token"; NULL: none */
    const char *date;       /* of strftime_now, "26 Jul 2024" */
    jinja_limits limits;
} jinja_input;

/* Appends the rendered text; marks: text_span of the template's words. An error that the template raises
 * itself (raise_exception) is passed on with its words. On failure *out stays as it was. */
esp_status jinja_render(const jinja *template, const jinja_input *input, marked_text *out, esp_error *error);

/* Of text[0, *length): where it starts and how long it is without white space at its ends, as the filter trim
 * has it. */
void jinja_strip(const char *text, size_t *start, size_t *length);

#endif
