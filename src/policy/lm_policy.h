/* The language-model sampler from inside: its settings and its engines. */
#ifndef ESPALIER_POLICY_LM_POLICY_H
#define ESPALIER_POLICY_LM_POLICY_H

#include "engine/replicas.h"
#include "policy/lm.h"

typedef struct {
    sampler base;
    lm_settings set;
    engine_replicas *replicas;
} lm_policy;

/* Where steps end by the settings. */
step_rules lm_rules(const lm_policy *p);
/* The engine's counts of one group as the sampler's, with `shared` (what all groups have in common) if it is
 * this group that they count for. */
token_counts lm_counts_of(const engine_counts *own, const engine_counts *shared);

/* lm_search.c, lm_chains.c, lm_score.c: the operations of the sampler */
esp_status lm_search(sampler *s, const search_source *source, esp_error *error);
esp_status lm_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                     void *user, esp_error *error);
esp_status lm_score(sampler *s, score_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                    void *user, esp_error *error);

#endif
