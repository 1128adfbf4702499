/* GRPO: policy gradient on the chains that were sampled for a problem. The advantage of a chain, which all of
 * its tokens have, is its reward less the mean of its group, over their standard deviation (of a sample, n -
 * 1, and 1e-4 so that it is not divided by 0, both as TRL has it). Shao et al., "DeepSeekMath", arXiv
 * 2402.03300, 4.1; without their KL term, and as a mean over the tokens of all chains of an update (Yu et
 * al., "DAPO", arXiv 2503.14476) where theirs is a mean over chains of each chain's mean. */
#include "learn/objectives/clipped.h"

#include <math.h>

typedef struct {
    clip_range clip;
} grpo_options;

static double grpo_value(const void *options, const example *e, const float *logp, double *dlogp,
                         double *metrics) {
    const grpo_options *o = options;
    return clipped_value(o->clip, 1, e, logp, dlogp, metrics);
}

static void grpo_advantages(const double *rewards, int64_t n, double *advantages) {
    double mean = mean_of(rewards, n), squares = 0;
    for (int64_t i = 0; i < n; i++) squares += (rewards[i] - mean) * (rewards[i] - mean);
    double deviation = sqrt(squares / (double)(n - 1));
    for (int64_t i = 0; i < n; i++) advantages[i] = (rewards[i] - mean) / (deviation + 1e-4);
}

static const option grpo_table[] = {OPTIONS_CLIP(grpo_options)};

const objective objective_grpo = {
    .name = "grpo",
    .about = "GRPO: policy gradient on groups of sampled solutions (Shao et al., arXiv 2402.03300)",
    .source = LEARNS_FROM_GROUPS,
    .paths = 1,
    .options = {grpo_table, sizeof grpo_table / sizeof *grpo_table},
    .options_size = sizeof(grpo_options),
    .metrics = clipped_metric_names,
    .mean = MEAN_OVER_TOKENS,
    .token_value = grpo_value,
    .group_advantages = grpo_advantages,
};
