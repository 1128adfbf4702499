/* Pre-tokenizers: cut a text into words before byte-pair encoding. A chain of stages, each of which cuts the
 * pieces of the one before it further: by a pattern (PCRE2, Unicode classes), or at SentencePiece's
 * white-space mark. */
#ifndef ESPALIER_TEXT_PRETOKENIZE_H
#define ESPALIER_TEXT_PRETOKENIZE_H

#include "base/memory.h"

/* What becomes of the parts of a text that match a stage's pattern. */
typedef enum {
    SPLIT_REMOVED,
    SPLIT_ISOLATED,
    SPLIT_WITH_PREVIOUS,
    SPLIT_WITH_NEXT,
    SPLIT_CONTIGUOUS,
} split_behavior;

typedef enum { METASPACE_NEVER, METASPACE_FIRST, METASPACE_ALWAYS } metaspace_prepend;

typedef struct pretokenizer pretokenizer;
pretokenizer *pretokenizer_new(void);
void pretokenizer_free(pretokenizer *p);

/* Cut by a pattern in the syntax of Hugging Face's library (\s and \S mean Unicode White_Space). invert: cut
 * by what does not match. A pattern that does not compile is an error that quotes it. */
esp_status pretokenizer_add_split(pretokenizer *p, const char *pattern, split_behavior behavior, bool invert,
                                  esp_error *error);
/* GPT-2's words; a space is put before a piece that does not start with one if add_prefix_space. use_regex
 * false: no cutting. */
esp_status pretokenizer_add_byte_level(pretokenizer *p, bool add_prefix_space, bool use_regex,
                                       esp_error *error);
/* Spaces become `mark`, one is put in front as `prepend` says, and with `split` the text is cut before each.
 */
esp_status pretokenizer_add_metaspace(pretokenizer *p, const char *mark, metaspace_prepend prepend,
                                      bool split, esp_error *error);

typedef struct {
    size_t start, end;
} text_segment;
typedef MEM_LIST(text_segment) segment_list;
typedef struct {
    size_t start, end;
    bool matched;
} text_part;

/* The words: segments of `text`. One a thread, used again from call to call. */
typedef struct {
    text_buffer text, other_text;
    segment_list words, other_words;
    MEM_LIST(text_part) parts;
    void *match; /* pcre2_match_data */
} word_list;
void word_list_free(word_list *w);

/* Cuts w->text, which the caller filled. first: the text stands at the beginning of what is encoded. A byte
 * that is not valid UTF-8 becomes a word of its own. */
esp_status pretokenize(const pretokenizer *p, word_list *w, bool first, esp_error *error);

#endif
