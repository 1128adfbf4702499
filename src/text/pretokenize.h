/* Pre-tokenizers split a text into words before byte-pair encoding. A pre-tokenizer is a chain of stages,
 * each of which splits the words of the previous stage: by a pattern (PCRE2, Unicode classes) or at
 * SentencePiece's white-space mark. */
#ifndef ESPALIER_TEXT_PRETOKENIZE_H
#define ESPALIER_TEXT_PRETOKENIZE_H

#include "base/memory.h"

/* What happens to the parts of a text that match a stage's pattern. */
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

/* Splits by a pattern in the syntax of Hugging Face's library (\s and \S mean Unicode White_Space). invert:
 * split by what does not match. A pattern that does not compile is an error that quotes it. */
esp_status pretokenizer_add_split(pretokenizer *p, const char *pattern, split_behavior behavior, bool invert,
                                  esp_error *error);
/* GPT-2's words. add_prefix_space: a piece that does not start with a space gets one. use_regex false: no
 * splitting. */
esp_status pretokenizer_add_byte_level(pretokenizer *p, bool add_prefix_space, bool use_regex,
                                       esp_error *error);
/* Replaces spaces by `mark`, adds one at the front according to `prepend`, and with `split` splits before
 * each mark. */
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

/* The words: segments of `text`. One per thread, reused for all calls. */
typedef struct {
    text_buffer text, other_text;
    segment_list words, other_words;
    MEM_LIST(text_part) parts;
    void *match; /* pcre2_match_data */
} word_list;
void word_list_free(word_list *w);

/* Where a text is in what is encoded: at its beginning, after a control token, or right after other text. */
typedef enum { TEXT_FIRST, TEXT_LATER, TEXT_CONTINUES } text_place;
/* Splits w->text, which the caller has filled. A text that continues another gets no space at its front. A
 * byte that is not valid UTF-8 becomes a separate word. */
esp_status pretokenize(const pretokenizer *p, word_list *w, text_place place, esp_error *error);

#endif
