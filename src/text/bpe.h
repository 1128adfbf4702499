/* Byte-pair encoding of one word (for SentencePiece models without a pre-tokenizer: of a whole text): the
 * merge of the lowest rank first, the leftmost of equals, through a heap, so that a long word costs n log n.
 */
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

/* Memory that is used again from word to word; one a thread. Zeroed to begin with. */
typedef struct {
    MEM_LIST(bpe_symbol) symbols;
    MEM_LIST(bpe_candidate) heap;
} bpe_scratch;
void bpe_scratch_free(bpe_scratch *s);

/* Appends the ids of a word, in merge form (raw bytes for byte-level vocabularies, characters otherwise). */
void bpe_word(const vocabulary *v, bpe_scratch *s, const char *word, size_t length, token_list *out);

#endif
