/* What the policy gradients share: the clipped ratio of PPO on each token of one path, with one advantage for
 * all of them (docs/method.md 5.6). */
#ifndef ESPALIER_LEARN_OBJECTIVES_CLIPPED_H
#define ESPALIER_LEARN_OBJECTIVES_CLIPPED_H

#include "learn/objective.h"

typedef struct {
    double clip_low, clip_high; /* the ratio is clipped to [1 - clip_low, 1 + clip_high] */
} clip_range;

/* With rho_t = exp(logp_t - sampled_t), A the example's advantage and n the tail's tokens:
 *   value = - sum over t of min(rho_t A, clip(rho_t) A),
 *   dvalue/dlogp_t = -A rho_t, or 0 where the clipped term is the smaller one.
 * Where A < 0, tokens that were sampled with a probability above `mask_above` add nothing (1: all tokens
 * count). Schulman et al., "Proximal Policy Optimization Algorithms", arXiv 1707.06347, eq. 7; two bounds as
 * in Yu et al., "DAPO", arXiv 2503.14476. The value is a sum, for a mean over the tokens of a batch.
 *
 * Metrics, as means over tokens: the share that is clipped; an estimate of KL(policy that sampled || policy)
 * in nats per token, rho - 1 - log rho, which is unbiased and never negative (J. Schulman, "Approximating KL
 * divergence", 2020, k3); the advantage. */
double clipped_value(clip_range clip, double mask_above, const example *e, const float *logp, double *dlogp,
                     double *metrics);
extern const char *const clipped_metric_names[]; /* "clipped", "kl_sampled", "advantage" */

/* The mean of n numbers, added in their order. */
double mean_of(const double *x, int64_t n);

/* The rows of `clip`, a member of `options`. 0.2 is PPO's, 0.28 DAPO's ("clip higher"). */
#define OPTIONS_CLIP(options)                                                                                \
    {.key = "clip_low",                                                                                      \
     .type = OPTION_FLOAT,                                                                                   \
     .initial = "0.2",                                                                                       \
     .low = 0,                                                                                               \
     .high = 1,                                                                                              \
     .offset = offsetof(options, clip.clip_low),                                                             \
     .help = "a token whose probability has fallen by more than this share is not pushed down further"},     \
    {                                                                                                        \
        .key = "clip_high", .type = OPTION_FLOAT, .initial = "0.28", .low = 0, .high = 1000,                 \
        .offset = offsetof(options, clip.clip_high),                                                         \
        .help = "a token whose probability has risen by more than this share is not pushed up further"       \
    }

#endif
