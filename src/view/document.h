/* Writes JSON for a script element of an HTML page: `<`, `>`, `&`, U+2028 and U+2029 are escaped, so no
 * string can end the element, and any bytes become valid UTF-8 (invalid bytes become U+FFFD). Appends to a
 * text_buffer; the caller must pair begins and ends. */
#ifndef ESPALIER_VIEW_DOCUMENT_H
#define ESPALIER_VIEW_DOCUMENT_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    text_buffer text;
    bool comma;       /* the next value needs a comma before it */
    bool mathematics; /* some text contains TeX: \(, \frac, $x^2$ ... */
} document;

void document_free(document *d);

void document_begin(document *d, char bracket); /* '{' or '[' */
void document_end(document *d, char bracket);   /* '}' or ']' */
void document_key(document *d, const char *key);

void document_null(document *d);
void document_integer(document *d, int64_t value);
/* The fewest digits that identify the double; null if it is not finite. */
void document_number(document *d, double value);
/* At most `digits` significant digits, for the many numbers of trees; null if it is not finite. */
void document_short(document *d, double value, int digits);
/* The whole text; NULL is null. */
void document_text(document *d, const char *text);
/* The same, cut at a character boundary after at most `most` bytes; " … [N bytes more]" replaces the rest. */
void document_text_cut(document *d, const char *text, size_t most);
/* Appends JSON from elsewhere (another document's text) as one value. */
void document_raw(document *d, const char *json, size_t length);

/* Key and value in one. */
void document_put_text(document *d, const char *key, const char *text);
void document_put_integer(document *d, const char *key, int64_t value);
void document_put_number(document *d, const char *key, double value);
void document_put_bool(document *d, const char *key, bool value);

#endif
