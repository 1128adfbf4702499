/* The judge's verdict against the other one (docs/method.md 3.4). With z = log p(verdict) - log p(other):
 *   value = -(1 - alpha) log sigmoid(z) - alpha log sigmoid(-z),
 *   dvalue/dlog p(verdict) = sigmoid(z) - (1 - alpha) = -dvalue/dlog p(other):
 * DPO with beta 1 and without a reference. Only the difference of the two has a gradient, so the judge learns
 * which of them to say and nothing about how likely they are together. The paths are the verdict, which is
 * the correct one, and the other. */
#include "learn/objectives/pair.h"

static double verdict_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                            double *metrics) {
    (void)options;
    double z = scores[CHOSEN].logp - scores[REJECTED].logp, slope = smoothed_logistic_slope(z, e->alpha);
    dlogp[CHOSEN] = slope;
    dlogp[REJECTED] = -slope;
    metrics[0] = z;
    metrics[1] = z > 0;
    return smoothed_logistic(z, e->alpha);
}

static const char *const verdict_metrics[] = {"verdict_margin", "verdict_accuracy", NULL};

const objective objective_verdict = {
    .name = "verdict",
    .about = "the correct verdict on a solution so far, against the other one",
    .paths = 2,
    .metrics = verdict_metrics,
    .value = verdict_value,
};
