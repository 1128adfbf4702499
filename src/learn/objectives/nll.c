/* Negative log-likelihood of a tail: value = -log p, over its tokens with per_token. Supervised fine-tuning,
 * RFT (fine-tuning on the policy's own correct chains; Yuan et al., arXiv 2308.01825) and the likelihood
 * beside a preference loss (Pang et al., "Iterative Reasoning Preference Optimization", arXiv 2404.19733,
 * eq. 1, with per_token). An empty tail has value 0. */
#include "learn/objective.h"

static double nll_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                        double *metrics) {
    (void)e, (void)metrics;
    const nll_options *o = options;
    int64_t tokens = scores->tokens;
    bool per_token = o && o->per_token;
    dlogp[0] = tokens == 0 ? 0 : per_token ? -1 / (double)tokens : -1;
    return tokens == 0 ? 0 : dlogp[0] * scores->logp;
}

static const char *const no_metrics[] = {NULL};

const objective objective_nll = {
    .name = "rft",
    .about = "likelihood of the correct solutions that the search found (Yuan et al., arXiv 2308.01825)",
    .source = LEARNS_FROM_CHAINS,
    .paths = 1,
    .metrics = no_metrics,
    .mean = MEAN_OVER_TOKENS,
    .value = nll_value,
};
