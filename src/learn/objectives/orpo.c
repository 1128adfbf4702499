/* ORPO: fine-tuning on the chosen step and, beside it, the odds ratio of both steps, without a reference.
 * With log p the mean log-prob per token and log odds = log p - log(1 - p): value = -log p(w) - lambda log
 * sigmoid(log odds(w) - log odds(l)). Hong, Lee and Thorne, "ORPO: Monolithic Preference Optimization without
 * Reference Model", arXiv 2403.07691, eq. 3 to 7; their lambda is 0.1 to 0.25. It has no label smoothing:
 * alpha is not used, because a share of the reversed term would grow without limit as p approaches 1. The
 * margin that is reported is the difference of the log odds. */
#include "learn/objectives/pair.h"

#include <math.h>

typedef struct {
    double lambda; /* >= 0 */
} orpo_options;

/* The mean log-prob per token. Log-probs are f32 numbers: 1 - p has no digits nearer to 0 than this. */
static double mean_logp(const path_score *s) {
    const double nearest = -1e-7;
    double mean = s->logp / (double)s->tokens;
    return mean > nearest ? nearest : mean;
}

/* log(1 - exp(x)) for x < 0, in the form of which no digits cancel (Maechler 2012). */
static double log1mexp(double x) {
    return x > -0.693 ? log(-expm1(x)) : log1p(-exp(x));
}

static double log_odds(double logp) {
    return logp - log1mexp(logp);
}

/* d log odds / d log p = 1 / (1 - p). */
static double log_odds_slope(double logp) {
    return -1 / expm1(logp);
}

static double orpo_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                         double *metrics) {
    (void)e;
    const orpo_options *o = options;
    double w = mean_logp(&scores[CHOSEN]), l = mean_logp(&scores[REJECTED]);
    double ratio = log_odds(w) - log_odds(l), nll = -w;
    double slope = o->lambda * smoothed_logistic_slope(ratio, 0);
    dlogp[CHOSEN] = (slope * log_odds_slope(w) - 1) / (double)scores[CHOSEN].tokens;
    dlogp[REJECTED] = -slope * log_odds_slope(l) / (double)scores[REJECTED].tokens;
    pair_metrics(scores, ratio, metrics);
    metrics[4] = nll;
    return isfinite(ratio) ? nll + o->lambda * smoothed_logistic(ratio, 0) : (double)NAN;
}

static const option orpo_table[] = {
    {.key = "lambda",
     .type = OPTION_FLOAT,
     .initial = "0.1",
     .low = 0,
     .high = 1000,
     .offset = offsetof(orpo_options, lambda),
     .help = "weight of the log odds ratio beside the likelihood of the chosen step"},
};

static const char *const orpo_metrics[] = {"margin", "accuracy", "logp_chosen", "logp_rejected", "nll", NULL};

const objective objective_orpo = {
    .name = "orpo",
    .about = "ORPO: likelihood and odds ratio, without a reference (Hong et al., arXiv 2403.07691)",
    .paths = 2,
    .options = {orpo_table, sizeof orpo_table / sizeof *orpo_table},
    .options_size = sizeof(orpo_options),
    .metrics = orpo_metrics,
    .value = orpo_value,
};
