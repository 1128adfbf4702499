/* Byte-pair encoding of one word (or of a whole text, for SentencePiece models without a pre-tokenizer). The
 * merge of the lowest rank is done first, and the leftmost of equal ones; a heap makes a long word cost n log
 * n. */
#ifndef ESPALIER_TEXT_BPE_H
#define ESPALIER_TEXT_BPE_H

#include "text/tokenizer.h"
#include "text/vocabulary.h"

typedef struct {
    int32_t id, before, after; /* neighbours by index, -1 at the ends; id -1: joined into an earlier one */
} bpe_symbol;

typedef struct {
    uint64_t key; /* rank, then position */
    int32_t left, right;
} bpe_candidate;

/* Memory that is reused for all words; one per thread. Must be zeroed at first. */
typedef struct {
    MEM_LIST(bpe_symbol) symbols;
    MEM_LIST(bpe_candidate) heap;
} bpe_scratch;
void bpe_scratch_free(bpe_scratch *s);

/* Appends the ids of a word, in merge form (raw bytes for byte-level vocabularies, characters otherwise). */
void bpe_word(const vocabulary *v, bpe_scratch *s, const char *word, size_t length, token_list *out);

#endif
