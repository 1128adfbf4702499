/* The language-model sampler: our own model proposes and judges steps (policy/sampler.h), through the engine:
 * prompts from prompt/, meaning from policy/answer.h, tokens from engine/. What a tree becomes does not
 * depend on what else is in the batch, up to the rounding of matrix products of another height. */
#ifndef ESPALIER_POLICY_LM_H
#define ESPALIER_POLICY_LM_H

#include "engine/engine.h"
#include "policy/answer.h"
#include "policy/sampler.h"

#include <signal.h>

typedef struct {
    float temperature;        /* T of the candidates (docs/method.md 2.3), > 0 */
    step_size step_size;      /* docs/method.md 2.0 */
    int32_t max_step_tokens;  /* at least 1 */
    int32_t max_chain_tokens; /* all steps of a chain together; at least max_step_tokens */
    grader *grader;           /* of finished chains where gold is known, borrowed; NULL: the task */
    answer_worth worth;       /* of a chain that cannot be judged (docs/method.md 2.4) */
    bool example;             /* the judge sees the gold rationale where gold is known (docs/method.md 3.1) */
    int64_t kv_tokens;        /* as engine_settings */
    int32_t max_batch_tokens; /* as engine_settings */
    int32_t max_sequences;    /* as engine_settings */
    bool unshared;            /* as engine_settings: to compare with */
    model *judge;             /* borrowed: judges steps in the policy's place; NULL: the policy does */
    const volatile sig_atomic_t *stop; /* as engine_settings */
    int64_t *tree_nanoseconds; /* the time in search_next and search_feed is added to it; NULL: no clock */
} lm_settings;

/* model and words are borrowed. Fails on settings out of range and when the cache does not fit in memory. Of
 * a search it fails too when the cache is smaller than one request needs (the message says how large it must
 * be). The cache is empty between calls. */
esp_status lm_new(sampler **out, model *m, const prompt_words *words, const lm_settings *settings,
                  esp_error *error);

#endif
