/* RLOO: as GRPO, but the advantage of a chain is its reward less the mean reward of the other chains of its
 * group, which makes the gradient of the first update unbiased. Ahmadian et al., "Back to Basics: Revisiting
 * REINFORCE Style Optimization", arXiv 2402.14740. Theirs takes one update from each sample and needs no
 * clipping; ratios are clipped per token here, so that an iteration may have several updates. */
#include "learn/objectives/clipped.h"

typedef struct {
    clip_range clip;
} rloo_options;

static double rloo_value(const void *options, const example *e, const float *logp, double *dlogp,
                         double *metrics) {
    const rloo_options *o = options;
    return clipped_value(o->clip, 1, e, logp, dlogp, metrics);
}

/* x - (n mean - x) / (n - 1) = (x - mean) n / (n - 1) */
static void rloo_advantages(const double *rewards, int64_t n, double *advantages) {
    double mean = mean_of(rewards, n);
    for (int64_t i = 0; i < n; i++) advantages[i] = (rewards[i] - mean) * (double)n / (double)(n - 1);
}

static const option rloo_table[] = {OPTIONS_CLIP(rloo_options)};

const objective objective_rloo = {
    .name = "rloo",
    .about = "RLOO: as GRPO, against the mean of the other solutions (Ahmadian et al., arXiv 2402.14740)",
    .source = LEARNS_FROM_GROUPS,
    .paths = 1,
    .options = {rloo_table, sizeof rloo_table / sizeof *rloo_table},
    .options_size = sizeof(rloo_options),
    .metrics = clipped_metric_names,
    .mean = MEAN_OVER_TOKENS,
    .token_value = rloo_value,
    .group_advantages = rloo_advantages,
};
