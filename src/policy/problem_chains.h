/* The same number of chains for each of many problems: for an evaluation, and for judge rows of the policy's
 * own. */
#ifndef ESPALIER_POLICY_PROBLEM_CHAINS_H
#define ESPALIER_POLICY_PROBLEM_CHAINS_H

#include "policy/sampler.h"

typedef struct {
    const problem *problems; /* [count] */
    int64_t count, each;     /* problems, and chains per problem */
    float temperature;       /* 0: greedy */
    int32_t max_tokens;
    rng_key_t (*key)(void *user, int64_t problem, int64_t chain); /* problem: place in the array */
    /* The problem's prompt leaves no room for an answer in the model's context. May be NULL. */
    void (*left_out)(void *user, int64_t problem);
    /* Each chain of the others, by problem and chain. */
    void (*take)(void *user, int64_t problem, int64_t chain, const chain_job *job);
    sampler_progress *progress; /* chains done, tokens sampled */
    void *user;
} problem_chains;

/* counts: of all. */
esp_status problem_chains_run(sampler *s, const problem_chains *c, token_counts *counts, esp_error *error);

#endif
