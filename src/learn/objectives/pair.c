#include "learn/objectives/pair.h"

#include <math.h>

/* log(1 + exp(x)) without overflow; -log sigmoid(h) = softplus(-h). */
static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* sigmoid(x) for x <= 0, where the exponential cannot overflow. */
static double sigmoid_below(double x) {
    double e = exp(x);
    return e / (1 + e);
}

double smoothed_logistic(double h, double alpha) {
    if (isnan(h)) return h;
    return weighted(1 - alpha, softplus(-h)) + weighted(alpha, softplus(h));
}

double smoothed_logistic_slope(double h, double alpha) {
    return h > 0 ? alpha - sigmoid_below(-h) : sigmoid_below(h) - (1 - alpha);
}

double log_ratio_difference(const path_score *s) {
    return (s[CHOSEN].logp - s[CHOSEN].reference) - (s[REJECTED].logp - s[REJECTED].reference);
}

const char *const pair_metric_names[] = {"margin", "accuracy", "logp_chosen", "logp_rejected", NULL};
const char *const reference_metric_names[] = {"margin",        "accuracy", "logp_chosen",
                                              "logp_rejected", "kl",       NULL};

void pair_metrics(const path_score *s, double margin, double *metrics) {
    metrics[0] = margin;
    metrics[1] = margin > 0;
    metrics[2] = s[CHOSEN].logp;
    metrics[3] = s[REJECTED].logp;
}

void reference_metrics(const path_score *s, double margin, double *metrics) {
    pair_metrics(s, margin, metrics);
    metrics[4] = (s[CHOSEN].reference - s[CHOSEN].logp + s[REJECTED].reference - s[REJECTED].logp) / 2;
}
