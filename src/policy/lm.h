/* The language-model policy: who proposes and judges steps, for many searches at once, over one KV cache. One
 * scheduler fills each call of model_extend from all searches in flight (continuous batching: the slot of a
 * finished step is taken by the next request of any tree), and every token is computed once in each prefix:
 * candidates of a node share its run, and each other's for as long as their tokens agree.
 *
 * Token ids are the truth: a step keeps the ids that were sampled. A random number is a function of
 * (request, candidate, token) alone (docs/architecture.md, idea 4), so what a tree becomes does not depend on
 * what else is in the batch, up to the rounding of matrix products of another height.
 *
 * The end of a chain has one form: where a newline ends the answer's line, end-of-sequence takes the
 * newline's place, and its log-prob is the one at that place, as supervised fine-tuning teaches it; where the
 * newline stands in one token with other text, that token stays and end-of-sequence comes behind it. */
#ifndef ESPALIER_POLICY_LM_H
#define ESPALIER_POLICY_LM_H

#include "model/model.h"
#include "policy/sampler.h"

#include <signal.h>

enum { LM_USUAL_SEQUENCES = 64, LM_USUAL_BATCH_TOKENS = 512 };

typedef struct {
    float temperature;        /* (2.3) T of the candidates, > 0 */
    step_size step_size;      /* (2.0) */
    int32_t max_step_tokens;  /* (2.0) at least 1 */
    int32_t max_chain_tokens; /* (2.0) all steps of a chain together; at least max_step_tokens */
    bool example;             /* (3.1) the gold rationale stands in the judge's prefix, where gold is known */
    int64_t kv_tokens;        /* size of the KV cache */
    int32_t max_batch_tokens; /* tokens of one model call; 0: LM_USUAL_BATCH_TOKENS */
    int32_t max_sequences;    /* sequences in flight; 0: LM_USUAL_SEQUENCES */
    bool plain; /* lm_search, to compare with: one tree and one candidate at a time, all computed anew */
    const volatile sig_atomic_t *stop; /* looked at between calls; not zero: ESP_INTERRUPTED. May be NULL */
    int64_t *tree_nanoseconds; /* the time in search_next and search_feed is added to it; NULL: no clock */
} lm_settings;

/* model and words are borrowed. Fails on settings out of range and when the cache does not fit in memory. Of
 * a search it fails too when the cache is smaller than one request needs (the message says how large it must
 * be). The cache is empty between calls. */
esp_status lm_new(sampler **out, model *m, const prompt_words *words, const lm_settings *settings,
                  esp_error *error);

#endif
