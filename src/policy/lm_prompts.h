/* Jobs that are all there from the beginning, each a prompt and one sequence after it, dealt over the
 * replicas. Those of one prompt stay together: they are a group of the engine, in one request, or in a few
 * where there is no room for all at once. What a job is and what becomes of it is the client's affair. */
#ifndef ESPALIER_POLICY_LM_PROMPTS_H
#define ESPALIER_POLICY_LM_PROMPTS_H

#include "policy/lm_policy.h"

typedef struct prompt_work prompt_work;

typedef struct {
    const prompt_work *work;
    int64_t first, count;       /* its jobs, by their number in the work */
    int64_t begun;              /* of them, those of earlier requests: sequence i is job first + begun + i */
    engine_sequence *sequences; /* [count], zeroed; filled by prepare */
    sequence_group *group;
    int64_t sampled; /* tokens, where the client counts them */
    void *own;       /* the client's, of this prompt */
} prompt_group;

struct prompt_work {
    const lm_policy *policy;
    int64_t jobs;
    int64_t tokens_each; /* of a sequence, about (engine_replicas_run) */
    /* Whether two jobs, one after the other, are of one group. */
    bool (*together)(const prompt_work *work, int64_t a, int64_t b);
    /* Checks the group's jobs, sets the prompt and fills the sequences. */
    esp_status (*prepare)(prompt_group *g, const model *m, esp_error *error);
    const engine_reader *reader; /* its user is the prompt_group */
    /* The first n sequences of the present request are complete. May be NULL. */
    esp_status (*finished)(prompt_group *g, int64_t n, esp_error *error);
    /* Frees what is the client's; also after a prepare that failed. May be NULL. */
    void (*clear)(prompt_group *g);
    void *user; /* the client's own */
};

/* counts: of all jobs; may be NULL. progress: may be NULL. */
esp_status lm_run_prompts(const prompt_work *work, token_counts *counts, sampler_progress *progress,
                          void *user, esp_error *error);

#endif
