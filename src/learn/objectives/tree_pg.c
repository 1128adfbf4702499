/* Tree advantage: policy gradient on the steps of a tree. The advantage of a step is the value of the state
 * that it leads to less that of the state before it (docs/method.md 4.4), times the square root of the number
 * of finished chains through it, which are its evidence. Steps that change the value by less than
 * `min_advantage` are left out. Tokens that were nearly certain when they were sampled are not blamed for an
 * incorrect step (the probability mask of Guo et al., "Segment Policy Optimization", arXiv 2505.23564).
 * Values of states from the chains that were sampled below them: Kazemnejad et al., "VinePPO", arXiv
 * 2410.01679; from trees: Yang et al., "TreeRPO", arXiv 2506.05183. */
#include "learn/objectives/clipped.h"

#include <math.h>

typedef struct {
    clip_range clip;
    double mask_above, min_advantage;
} tree_pg_options;

static double tree_pg_value(const void *options, const example *e, const float *logp, double *dlogp,
                            double *metrics) {
    const tree_pg_options *o = options;
    return clipped_value(o->clip, o->mask_above, e, logp, dlogp, metrics);
}

static double tree_pg_advantage(const void *options, double after, double before, int64_t chains) {
    const tree_pg_options *o = options;
    double change = after - before;
    return fabs(change) < o->min_advantage ? 0 : change * sqrt((double)chains);
}

static const option tree_pg_table[] = {
    OPTIONS_CLIP(tree_pg_options),
    {.key = "mask_above",
     .type = OPTION_FLOAT,
     .initial = "0.9",
     .low = 0,
     .high = 1,
     .marks = OPTION_ABOVE_LOW,
     .offset = offsetof(tree_pg_options, mask_above),
     .help = "tokens sampled with a higher probability than this are not pushed down; 1: all may be"},
    {.key = "min_advantage",
     .type = OPTION_FLOAT,
     .initial = "0.02",
     .low = 0,
     .high = 1,
     .offset = offsetof(tree_pg_options, min_advantage),
     .help = "steps that change the chance of a correct solution by less than this are left out"},
};

const objective objective_tree_pg = {
    .name = "tree_pg",
    .about = "tree advantage: policy gradient on steps, by what each changes (docs/method.md 5.6)",
    .source = LEARNS_FROM_STEPS,
    .paths = 1,
    .options = {tree_pg_table, sizeof tree_pg_table / sizeof *tree_pg_table},
    .options_size = sizeof(tree_pg_options),
    .metrics = clipped_metric_names,
    .mean = MEAN_OVER_TOKENS,
    .token_value = tree_pg_value,
    .step_advantage = tree_pg_advantage,
};
