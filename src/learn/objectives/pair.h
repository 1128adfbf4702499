/* What objectives on pairs share: the logistic function without loss of digits, and the metrics of a pair.
 * The first path of a pair is the chosen one, the second the rejected one. */
#ifndef ESPALIER_LEARN_OBJECTIVES_PAIR_H
#define ESPALIER_LEARN_OBJECTIVES_PAIR_H

#include "learn/objective.h"

enum { CHOSEN, REJECTED };

/* docs/method.md 5.2: -(1 - alpha) log sigmoid(h) - alpha log sigmoid(-h), alpha in [0, 1]. */
double smoothed_logistic(double h, double alpha);
/* Its derivative by h: sigmoid(h) - (1 - alpha), computed where nothing cancels. */
double smoothed_logistic_slope(double h, double alpha);

/* log pi(w) / pi_ref(w) - log pi(l) / pi_ref(l), in nats: docs/method.md 5.1 without beta. */
double log_ratio_difference(const path_score *scores);

/* "margin", "accuracy", "logp_chosen", "logp_rejected": of any pair. */
extern const char *const pair_metric_names[];
void pair_metrics(const path_score *scores, double margin, double *metrics);
/* The same and "kl", the mean over both steps of log pi_ref - log pi, in nats per step. */
extern const char *const reference_metric_names[];
void reference_metrics(const path_score *scores, double margin, double *metrics);

/* The row of `beta` that objectives with a reference share; `options` has that member. */
#define OPTION_BETA(options)                                                                                 \
    {                                                                                                        \
        .key = "beta", .flag = "--beta", .type = OPTION_FLOAT, .initial = "0.1", .low = 0, .high = 1000,     \
        .marks = OPTION_ABOVE_LOW, .offset = offsetof(options, beta),                                        \
        .help = "how strongly the model is held to the reference: higher allows less change"                 \
    }

#endif
