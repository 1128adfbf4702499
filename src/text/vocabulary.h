/* A tokenizer's vocabulary: pieces with their ids, the bytes of each id, the merges of byte-pair encoding by
 * rank, and what to do with characters that are not a piece. Filled once, then only read. */
#ifndef ESPALIER_TEXT_VOCABULARY_H
#define ESPALIER_TEXT_VOCABULARY_H

#include "base/memory.h"

typedef enum {
    PIECE_ABSENT,  /* a hole in the ids */
    PIECE_MODEL,   /* a piece of the byte-pair model */
    PIECE_ADDED,   /* an added token that is ordinary text (never split) */
    PIECE_SPECIAL, /* a control token: beginning, end, roles of a chat */
} piece_kind;

typedef struct {
    const char *at;
    uint32_t length;
} byte_run;

typedef struct {
    uint64_t pair; /* left id in the upper half, right id in the lower */
    int32_t rank;  /* smaller merges first */
    int32_t made;  /* id of the joined piece; -1 for an empty slot */
} merge_slot;

typedef struct {
    bool byte_level;    /* pieces are raw bytes; otherwise characters, and the members below apply to unknown
                           ones */
    bool byte_fallback; /* an unknown character becomes its bytes' pieces */
    bool fuse_unknown;  /* consecutive unknown characters are one unknown token */
    bool whole_words;   /* a word that is a piece becomes that piece without merges ("ignore_merges") */
    int32_t unknown;    /* id for characters that cannot be expressed; -1: they are dropped */
    int32_t byte_piece[256]; /* id for each byte; -1: none */

    int32_t size;      /* ids are 0 .. size-1 */
    byte_run *pieces;  /* [size] as the merges see them */
    byte_run *outputs; /* [size] their bytes in text */
    uint8_t *kinds;    /* [size] piece_kind */

    arena *memory;
    int32_t *slots; /* open addressing: piece -> id, -1 empty */
    uint32_t slot_mask;
    merge_slot *merges;
    uint32_t merge_mask;
    int64_t merge_count;
} vocabulary;

/* An empty vocabulary with room for ids 0 .. size-1 and merges. Freed by vocabulary_free. */
void vocabulary_init(vocabulary *v, int32_t size, int64_t merges);
void vocabulary_free(vocabulary *v);

/* Adds piece `id`; findable: vocabulary_find and the merges can find it. Its output is the same bytes at
 * first. Fails on an id that is in use or out of range, and on a findable piece that already has another id.
 * Copies the bytes. */
esp_status vocabulary_add(vocabulary *v, int32_t id, const char *bytes, size_t length, piece_kind kind,
                          bool findable, esp_error *error);
void vocabulary_set_output(vocabulary *v, int32_t id, const char *bytes, size_t length);

/* id of a piece (merge form), or -1. */
int32_t vocabulary_find(const vocabulary *v, const char *bytes, size_t length);

/* Adds a merge of rank `rank`: left, right and their concatenation must be pieces. */
esp_status vocabulary_add_merge(vocabulary *v, int32_t rank, const char *left, size_t left_length,
                                const char *right, size_t right_length, esp_error *error);

/* The merge of two ids, or NULL. */
const merge_slot *vocabulary_merge(const vocabulary *v, int32_t left, int32_t right);

/* The GPT-2 alphabet, which writes each of the 256 bytes as a printable character. Reading fails (false) on a
 * character outside the alphabet. */
void byte_alphabet_write(const char *bytes, size_t length, text_buffer *out);
bool byte_alphabet_read(const char *text, size_t length, text_buffer *out);

#endif
