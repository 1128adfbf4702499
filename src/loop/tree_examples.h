/* What a policy gradient or a list learns from, read off an iteration's stored trees
 * (docs/method.md 5.6, 5.7): the chains that were sampled for a problem, or single steps, with their
 * advantages; or the steps after a state, with their values. Log-probs of the policy that sampled are those
 * that the trees hold. */
#ifndef ESPALIER_LOOP_TREE_EXAMPLES_H
#define ESPALIER_LOOP_TREE_EXAMPLES_H

#include "learn/objective.h"
#include "store/store.h"

typedef struct {
    const objective_term *term; /* of a source that this module knows: tree_examples_know */
    int64_t max_length;         /* tokens of a prefix with its tail; longer paths are left out */
    bool reference_sampled;     /* the reference is the policy that sampled; else it is left unknown */
} tree_examples_options;

typedef struct {
    example *at; /* [count], by tree, then by node; group is the tree */
    int64_t count;
    int64_t too_long; /* chains, steps or states left out for their length */
    int64_t level;    /* left out because nothing is better than anything else: all chains of a problem have
                         the same reward, a step has no advantage, all steps after a state the same value */
    arena *memory;
} tree_examples;

bool tree_examples_know(example_source source);

/* Groups: the chains of the root probe that were judged or cut, each as often as it was sampled; an advantage
 * counts those that are too long as well. Steps: those that were sampled, with finished chains through them.
 * States: where at least two of the steps after it have finished chains through them; of more than
 * EXAMPLE_PATHS those with the most. Freed by tree_examples_free, which takes a zeroed one too. */
esp_status tree_examples_gather(store *s, int64_t iteration, const tree_examples_options *options,
                                tree_examples *out, esp_error *error);
void tree_examples_free(tree_examples *examples);

#endif
