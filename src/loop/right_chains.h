/* The correct chains of an iteration's trees, which RFT learns from and learn.nll may be computed on
 * (docs/method.md 5.4, 6). Chains of a problem whose texts are equal (with white space collapsed) count once,
 * whatever their trees, steps and token ids. */
#ifndef ESPALIER_LOOP_RIGHT_CHAINS_H
#define ESPALIER_LOOP_RIGHT_CHAINS_H

#include "learn/objective.h"
#include "store/store.h"

typedef struct {
    learn_path *at; /* [count], by tree, then by node: the prompt and the chain */
    int64_t *tree;  /* [count] */
    int64_t count;
    int64_t too_long; /* distinct ones left out for their length */
    int64_t same;     /* left out because their text had been seen */
    int64_t surplus;  /* left out as more than `most` of a problem */
    arena *memory;
} right_chains;

/* most: of a problem, the first ones; 0: all. max_length: tokens of prompt and chain. Freed by
 * right_chains_free, which takes a zeroed one too. */
esp_status right_chains_gather(store *s, int64_t iteration, int64_t most, int64_t max_length,
                               right_chains *out, esp_error *error);
void right_chains_free(right_chains *chains);

#endif
