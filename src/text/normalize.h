/* Normalizers of a tokenizer: changes to a text before it is split into words. */
#ifndef ESPALIER_TEXT_NORMALIZE_H
#define ESPALIER_TEXT_NORMALIZE_H

#include "base/memory.h"

typedef enum { NORMAL_PREPEND, NORMAL_REPLACE, NORMAL_NFC, NORMAL_NFD, NORMAL_NFKC, NORMAL_NFKD } normal_kind;

typedef struct {
    normal_kind kind;
    char *from; /* REPLACE: the text to replace */
    char *to;   /* REPLACE: its replacement; PREPEND: the prefix of a text that is not empty */
} normal_step;

typedef MEM_LIST(normal_step) normalizer;

/* Steps are applied in the order they were added; strings are copied. */
void normalizer_add(normalizer *n, normal_kind kind, const char *from, const char *to);
void normalizer_free(normalizer *n);

/* How many times longer a text can become by all replacements in turn. */
double normalizer_growth(const normalizer *n);

/* Normalizes *text. continues: it follows other text and gets no prefix. The Unicode forms leave bytes that
 * are not UTF-8 unchanged. */
void normalize(const normalizer *n, text_buffer *text, bool continues);

#endif
