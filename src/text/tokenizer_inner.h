/* Shared by the files of the tokenizer: the struct, and the functions that fill it. */
#ifndef ESPALIER_TEXT_TOKENIZER_INNER_H
#define ESPALIER_TEXT_TOKENIZER_INNER_H

#include "text/bpe.h"
#include "text/normalize.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

#include <jansson.h>

/* A token that is searched for in the text before anything else. */
typedef struct {
    char *content;
    size_t length;
    int32_t id;
    bool special;
    bool strip_left, strip_right; /* includes the white space next to it */
    bool single_word;             /* not inside a word */
} added_token;

typedef struct word_cache word_cache;

struct tokenizer {
    vocabulary words;
    MEM_LIST(added_token) added; /* by first byte, then the longest first */
    int32_t added_from[257];     /* index of the first token with that first byte */
    normalizer normal;
    pretokenizer *cutter;
    bool cuts;             /* there is a pre-tokenizer: words are short, so they are cached */
    size_t strip_at_start; /* spaces that decoding removes at the beginning */
    word_cache *cache;

    int32_t bos, eos;
    MEM_LIST(int32_t) ends; /* eos first */
    bool adds_bos;
    char *chat_template; /* NULL: none */
    char *json;          /* the tokenizer.json, as read or generated */
    size_t json_length;
    json_t *config; /* tokenizer_config.json as read; NULL: none */
};

/* Fills *t from a tokenizer.json. where: its name in errors. */
esp_status tokenizer_fill_from_json(tokenizer *t, const json_t *file, const char *where, esp_error *error);
/* Converts a GGUF file's tokenizer to a tokenizer.json (a new reference); stores what that form lacks
 * directly in *t. */
esp_status tokenizer_read_gguf(tokenizer *t, const char *path, json_t **file, esp_error *error);
/* Reads tokenizer_config.json and related files of a folder: bos, eos, whether bos is added, the chat
 * template. */
esp_status tokenizer_read_config(tokenizer *t, const char *folder, esp_error *error);

/* Adds an id to those that end an answer, unless it is there or is none of the vocabulary. */
void tokenizer_add_end(tokenizer *t, int64_t id);

word_cache *word_cache_new(void);
void word_cache_free(word_cache *c);
/* bpe_word with a cache. */
void word_cache_encode(word_cache *c, const vocabulary *v, bpe_scratch *s, const char *word, size_t length,
                       token_list *out);

#endif
