/* Writes JSON that may stand inside a script element of an HTML page: `<`, `>`, `&`, U+2028 and U+2029 are
 * escaped, so no string can end the element, and any bytes become valid UTF-8 (a byte that is none becomes
 * U+FFFD). Streams into a text_buffer; the caller keeps begins and ends in pairs. */
#ifndef ESPALIER_VIEW_DOCUMENT_H
#define ESPALIER_VIEW_DOCUMENT_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    text_buffer text;
    bool comma;       /* a value stands before what comes next */
    bool mathematics; /* some text holds TeX: \(, \frac, $x^2$ ... */
} document;

void document_free(document *d);

void document_begin(document *d, char bracket); /* '{' or '[' */
void document_end(document *d, char bracket);   /* '}' or ']' */
void document_key(document *d, const char *key);

void document_null(document *d);
void document_bool(document *d, bool value);
void document_integer(document *d, int64_t value);
/* The shortest digits that give the same double back; null where it is not finite. */
void document_number(document *d, double value);
/* At most `digits` significant digits, for the many numbers of trees; null where it is not finite. */
void document_short(document *d, double value, int digits);
/* The whole text; NULL is null. */
void document_text(document *d, const char *text);
/* The same, cut behind `most` bytes at a character's border with " … [N bytes more]" in the place of the
 * rest. */
void document_text_cut(document *d, const char *text, size_t most);
/* JSON that was written elsewhere (another document's text), as one value. */
void document_raw(document *d, const char *json, size_t length);

/* Key and value in one. */
void document_put_text(document *d, const char *key, const char *text);
void document_put_integer(document *d, const char *key, int64_t value);
void document_put_number(document *d, const char *key, double value);
void document_put_bool(document *d, const char *key, bool value);

#endif
