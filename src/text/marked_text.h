/* A text of which only some spans are the template's, so that only these can become control tokens. */
#ifndef ESPALIER_TEXT_MARKED_TEXT_H
#define ESPALIER_TEXT_MARKED_TEXT_H

#include "base/memory.h"

/* Bytes [start, end) of a text. */
typedef struct {
    size_t start, end;
} text_span;

typedef struct {
    text_buffer text;
    MEM_LIST(text_span) trusted; /* in order, apart from each other */
} marked_text;

/* Appends words of the template; words of somebody else. */
void marked_text_own(marked_text *out, const char *words, size_t length);
void marked_text_other(marked_text *out, const char *words, size_t length);
/* Appends bytes [start, end) of another text with their marks. */
void marked_text_part(marked_text *out, const marked_text *from, size_t start, size_t end);
void marked_text_free(marked_text *text);

#endif
