/* A policy and a judge that are functions of a key: what they say at a node depends on the path to it alone.
 */
#ifndef ESPALIER_TESTS_SYNTHETIC_H
#define ESPALIER_TESTS_SYNTHETIC_H

#include "base/memory.h"
#include "search/harvest.h"
#include "search/rules/puct.h"
#include "search/search.h"

#include "support.h"

#include <math.h>
#include <string.h>

#define SYNTHETIC_TOKENS 12
#define SYNTHETIC_TEXTS  9 /* few different texts, so that siblings are often the same step */

typedef struct {
    search *s;
    search_config config;
    MEM_LIST(rng_key_t) keys; /* by node */
    int64_t duplicates;       /* that the policy knows it made */
    double unknown;           /* share of the finished chains that nobody can judge */
    /* what the candidates of one reply point to */
    search_candidate candidates[32];
    int32_t ids[32][SYNTHETIC_TOKENS];
    float logprobs[32][SYNTHETIC_TOKENS];
    double confidences[32];
} synthetic;

static inline synthetic *synthetic_new(const search_config *config, uint64_t seed) {
    synthetic *y = MEM_NEW(synthetic);
    esp_error error = {0};
    if (search_new(&y->s, config, rng_key(seed), &error)) fail_msg("%s", error.message);
    y->config = *config;
    MEM_LIST_PUSH(&y->keys, rng_mix(rng_key(seed), 77));
    return y;
}

static inline void synthetic_free(synthetic *y) {
    search_free(y->s);
    MEM_LIST_FREE(&y->keys);
    mem_free(y);
}

static inline rng_key_t synthetic_key(synthetic *y, int32_t node) {
    while (y->keys.count <= node) {
        search_node n = search_node_at(y->s, (int32_t)y->keys.count);
        rng_key_t key = rng_mix(y->keys.at[n.parent], (uint64_t)n.candidate);
        MEM_LIST_PUSH(&y->keys, key);
    }
    return y->keys.at[node];
}

static inline search_candidate synthetic_candidate(synthetic *y, rng_key_t key, int32_t slot, int32_t depth) {
    search_candidate c = {.ids = y->ids[slot], .logprobs = y->logprobs[slot]};
    c.n = 1 + (int32_t)rng_below(key, 0, SYNTHETIC_TOKENS);
    for (int32_t i = 0; i < c.n; i++) {
        y->ids[slot][i] = (int32_t)rng_below(key, 100 + (uint64_t)i, 50000);
        y->logprobs[slot][i] = -2 * (float)rng_uniform(key, 200 + (uint64_t)i);
        c.logprob += y->logprobs[slot][i];
    }
    c.text_key = rng_below(key, 1, SYNTHETIC_TEXTS);
    if (rng_uniform(key, 2) < 0.12 * depth) c.outcome = rng_below(key, 3, 2) ? SEARCH_RIGHT : SEARCH_WRONG;
    if (c.outcome != SEARCH_OPEN && rng_uniform(key, 5) < y->unknown) c.outcome = SEARCH_FINISHED_UNKNOWN;
    return c;
}

/* Fills the reply to a request. */
static inline search_reply synthetic_reply(synthetic *y, const search_request *q) {
    if (q->kind == SEARCH_JUDGE) {
        for (int32_t i = 0; i < q->count; i++)
            y->confidences[i] = rng_uniform(synthetic_key(y, q->node + i), 4);
        return (search_reply){.confidences = y->confidences, .confidence_count = q->count};
    }
    int32_t depth = search_node_at(y->s, q->node).depth + 1, count = q->count + (q->wants_gold ? 1 : 0);
    for (int32_t i = 0; i < count; i++) {
        rng_key_t key = rng_mix(synthetic_key(y, q->node), (uint64_t)(q->first_candidate + i));
        y->candidates[i] = synthetic_candidate(y, key, i, depth);
        y->candidates[i].gold = i == q->count;
        bool twin = false;
        for (int32_t j = 0; j < i; j++) twin = twin || y->candidates[j].text_key == y->candidates[i].text_key;
        for (int32_t c = search_node_at(y->s, q->node).first_child; c >= 0;
             c = search_node_at(y->s, c).next_sibling)
            twin = twin || search_node_at(y->s, c).text_key == y->candidates[i].text_key;
        y->duplicates += twin;
    }
    return (search_reply){.candidates = y->candidates, .candidate_count = count};
}

/* One request answered; false when the search is done. */
static inline bool synthetic_step(synthetic *y) {
    search_request q;
    search_next(y->s, &q);
    if (q.kind == SEARCH_DONE) return false;
    search_reply reply = synthetic_reply(y, &q);
    esp_error error = {0};
    if (search_feed(y->s, &reply, &error)) fail_msg("%s", error.message);
    return true;
}

static inline synthetic *synthetic_run_unknown(const search_config *config, uint64_t seed, double unknown) {
    synthetic *y = synthetic_new(config, seed);
    y->unknown = unknown;
    while (synthetic_step(y)) {
    }
    return y;
}

static inline synthetic *synthetic_run(const search_config *config, uint64_t seed) {
    return synthetic_run_unknown(config, seed, 0);
}

static inline puct_options *puct_of(search_config *config) {
    return search_rule_options(config);
}

/* Plain docs/method.md 2.1 to 2.7, of a size to look at: no probe, no switch of 2.8. Complete, so that no
 * test depends on a default. */
static inline search_config plain_config(void) {
    search_config c = {.limits = {.simulations = 5,
                                  .root_multiplier = 1,
                                  .breadth_root = 4,
                                  .breadth = 3,
                                  .horizon = 4,
                                  .max_steps = 10,
                                  .rest_from_depth = -1},
                       .prior = {.kind = SEARCH_PRIOR_LENGTH_NORMALISED, .lambda = 1},
                       .rewards = {.cut_reward = -1,
                                   .right_other_reward = 1,
                                   .short_bonus_1 = 1,
                                   .short_bonus_2 = 1,
                                   .gamma = 1,
                                   .judge = true}};
    *puct_of(&c) = (puct_options){.c_puct = 1, .commit = PUCT_COMMIT_VISITS};
    return c;
}

/* 4.1 and 4.2 as printed: one pair per commitment. */
static inline harvest_options plain_harvest(void) {
    return (harvest_options){.pairs_from = HARVEST_FROM_VISITED,
                             .pairs_at = HARVEST_AT_COMMITMENTS,
                             .smoothing = HARVEST_BY_VISITS,
                             .smoothing_cap = 0.5,
                             .loser = HARVEST_LOSER_SMALLEST_Q};
}

/* A random one. */
static inline search_config synthetic_config(uint64_t seed) {
    rng_key_t key = rng_mix(rng_key(seed), 5);
    search_config c = plain_config();
    c.limits.simulations = 1 + (int32_t)rng_below(key, 0, 24);
    c.limits.root_multiplier = 1 + (int32_t)rng_below(key, 1, 4);
    c.limits.breadth_root = 2 + (int32_t)rng_below(key, 2, 5);
    c.limits.breadth = 1 + (int32_t)rng_below(key, 3, 4);
    c.limits.horizon = 1 + (int32_t)rng_below(key, 4, 5);
    c.limits.max_steps = 2 + (int32_t)rng_below(key, 5, 8);
    puct_of(&c)->c_puct = 2 * rng_uniform(key, 6);
    puct_of(&c)->commit = (puct_commit)rng_below(key, 7, 3);
    c.rewards.judge = rng_below(key, 9, 4) > 0;
    return c;
}

/* All that can be read of two searches is the same to the bit. */
static inline void assert_same_search(const search *a, const search *b) {
    assert_int_equal(search_node_count(a), search_node_count(b));
    for (int32_t i = 0; i < search_node_count(a); i++) {
        search_node x = search_node_at(a, i), y = search_node_at(b, i);
        if (x.n) {
            assert_memory_equal(x.ids, y.ids, (size_t)x.n * sizeof *x.ids);
            assert_memory_equal(x.logprobs, y.logprobs, (size_t)x.n * sizeof *x.logprobs);
        }
        double p[] = {x.Q, x.V, x.R, x.r, x.p, x.C, x.O, x.logprob},
               q[] = {y.Q, y.V, y.R, y.r, y.p, y.C, y.O, y.logprob};
        assert_memory_equal(p, q, sizeof p);
        assert_int_equal(x.N, y.N);
        assert_int_equal(x.parent, y.parent);
        assert_int_equal(x.outcome, y.outcome);
        assert_int_equal(x.gold, y.gold);
    }
    assert_int_equal(search_commitment_count(a), search_commitment_count(b));
    for (int32_t i = 0; i < search_commitment_count(a); i++)
        assert_int_equal(search_commitment_at(a, i).picked, search_commitment_at(b, i).picked);
}

#endif
