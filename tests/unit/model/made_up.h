/* What the tests of model/ make up: runs of random tokens, and models with a compute layer of their own. */
#ifndef TEST_MODEL_MADE_UP_H
#define TEST_MODEL_MADE_UP_H

#include "base/random.h"
#include "model/internal.h"
#include "compute_support.h"
#include "made_up_shape.h"
#include "support.h"

static esp_error error;

/* One to train, whose weights the shape decides. */
static inline model *made_up_model(const model_config *shape, const char *kind, dtype act, int threads,
                                   bool recompute) {
    compute *c;
    model *m;
    OK(test_compute_new(&c, kind, act, threads, &error));
    OK(model_create(&m, shape, &(model_options){.compute = c, .trainable = true, .recompute = recompute}, 5,
                    &error));
    return m;
}

static inline void close_model(model *m) {
    compute *c = model_compute(m);
    model_free(m);
    compute_free(c);
}

/* A run of n tokens below vocab, n up to 64, which its place in the tree decides. */
static inline int32_t add_run(token_tree_builder *b, int32_t parent, int n, int64_t vocab) {
    int32_t ids[64];
    rng_key_t key = rng_mix(rng_key(3), (uint64_t)b->start.count);
    for (int i = 0; i < n; i++) ids[i] = (int32_t)rng_below(key, (uint64_t)i, (uint64_t)vocab);
    return token_tree_add(b, parent, ids, n);
}

#endif
