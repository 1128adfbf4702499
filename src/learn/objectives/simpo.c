/* SimPO: the reward is the mean log-prob per token, without a reference, and must be larger for the chosen
 * step by gamma. With h = beta [log pi(w) / |w| - log pi(l) / |l|]:
 *   value = -(1 - alpha) log sigmoid(h - gamma) - alpha log sigmoid(gamma - h).
 * Meng, Xia and Chen, "SimPO: Simple Preference Optimization with a Reference-Free Reward", arXiv 2405.14734,
 * eq. 6 at alpha = 0. Their betas are 2 to 10, and gamma / beta about 0.5. The margin that is reported is h.
 */
#include "learn/objectives/pair.h"

typedef struct {
    double beta;  /* > 0 */
    double gamma; /* >= 0 */
} simpo_options;

static double simpo_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                          double *metrics) {
    const simpo_options *o = options;
    double w = (double)scores[CHOSEN].tokens, l = (double)scores[REJECTED].tokens;
    double h = o->beta * (scores[CHOSEN].logp / w - scores[REJECTED].logp / l);
    double slope = o->beta * smoothed_logistic_slope(h - o->gamma, e->alpha);
    dlogp[CHOSEN] = slope / w;
    dlogp[REJECTED] = -slope / l;
    pair_metrics(scores, h, metrics);
    return smoothed_logistic(h - o->gamma, e->alpha);
}

static const option simpo_table[] = {
    {.key = "beta",
     .flag = "--beta",
     .type = OPTION_FLOAT,
     .initial = "2",
     .low = 0,
     .high = 1000,
     .marks = OPTION_ABOVE_LOW,
     .offset = offsetof(simpo_options, beta),
     .help = "factor of the mean log-prob per token, which is the reward"},
    {.key = "gamma",
     .type = OPTION_FLOAT,
     .initial = "1",
     .low = 0,
     .high = 1000,
     .offset = offsetof(simpo_options, gamma),
     .help = "margin by which the reward of the chosen step must be larger"},
};

const objective objective_simpo = {
    .name = "simpo",
    .about = "SimPO: mean log-probs per token, without a reference (Meng et al., arXiv 2405.14734)",
    .paths = 2,
    .options = {simpo_table, sizeof simpo_table / sizeof *simpo_table},
    .options_size = sizeof(simpo_options),
    .metrics = pair_metric_names,
    .value = simpo_value,
};
