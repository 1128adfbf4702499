/* A tiny model, in f32 and on two threads, for the tests of the language-model sampler. */
#ifndef TEST_POLICY_TINY_H
#define TEST_POLICY_TINY_H

#include "policy/lm.h"
#include "compute_support.h"
#include "task_support.h"

static esp_error error;

typedef struct {
    compute *c;
    model *m;
    tokenizer *tokens;
    const task *t;
    prompt_words *words;
} bench;

static inline bench bench_open_for(const char *backend, const char *task) {
    bench b;
    const char *path = TEST_DATA "/models/tinystories-656k";
    OK(test_compute_new(&b.c, backend, DTYPE_F32, 2, &error));
    OK(model_open(&b.m, path, &(model_options){.compute = b.c}, &error));
    OK(tokenizer_open(&b.tokens, path, &error));
    b.t = test_task(task);
    OK(prompt_words_new(&b.words, b.tokens, b.t, chat_builtin(CHAT_PLAIN), &error));
    return b;
}

static inline bench bench_open_on(const char *backend) {
    return bench_open_for(backend, "gsm8k");
}

static inline void bench_close(bench *b) {
    prompt_words_free(b->words);
    tokenizer_close(b->tokens);
    model_free(b->m);
    compute_free(b->c);
}

static const lm_settings usual = {.temperature = 1,
                                  .step_size = STEP_LINE,
                                  .max_step_tokens = 12,
                                  .max_chain_tokens = 60,
                                  .example = true,
                                  .kv_tokens = 40000,
                                  .max_batch_tokens = 96,
                                  .max_sequences = 16};

#endif
