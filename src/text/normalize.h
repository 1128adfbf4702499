/* Normalizers of a tokenizer: what is done to a stretch of text before it is cut into words. */
#ifndef ESPALIER_TEXT_NORMALIZE_H
#define ESPALIER_TEXT_NORMALIZE_H

#include "base/memory.h"

typedef enum { NORMAL_PREPEND, NORMAL_REPLACE, NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD } normal_kind;

typedef struct {
    normal_kind kind;
    char *from; /* REPLACE: what is replaced */
    char *to;   /* REPLACE: by what; PREPEND: what is put in front of a text that is not empty */
} normal_step;

typedef MEM_LIST(normal_step) normalizer;

/* Steps are run in the order they were added; strings are copied. */
void normalizer_add(normalizer *n, normal_kind kind, const char *from, const char *to);
void normalizer_free(normalizer *n);

/* Replaces the text in *text. Bytes that are not UTF-8 are left as they are by the Unicode forms. */
void normalize(const normalizer *n, text_buffer *text);

#endif
