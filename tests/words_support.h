/* The words of a task's prompts with the tiny model's tokenizer, for tests of what needs no model. */
#ifndef ESPALIER_TESTS_WORDS_SUPPORT_H
#define ESPALIER_TESTS_WORDS_SUPPORT_H

#include "task_support.h"

#include "prompt/prompt.h"

typedef struct {
    tokenizer *tokens;
    prompt_words *words;
} opened_words;

static inline opened_words open_words(void) {
    static esp_error error;
    opened_words w;
    OK(tokenizer_open(&w.tokens, TEST_DATA "/models/tinystories-656k", &error));
    OK(prompt_words_new(&w.words, w.tokens, test_task("gsm8k"), chat_builtin(CHAT_PLAIN), &error));
    return w;
}

static inline void close_words(opened_words *w) {
    prompt_words_free(w->words);
    tokenizer_close(w->tokens);
}

#endif
