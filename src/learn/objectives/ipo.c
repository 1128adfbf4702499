/* IPO: the difference of the log ratios, u in nats, is drawn to 1 / (2 beta) instead of to infinity:
 *   value = (1 - alpha) (u - 1/(2 beta))^2 + alpha (u + 1/(2 beta))^2.
 * Azar et al., "A General Theoretical Paradigm to Understand Learning from Human Preferences", arXiv
 * 2310.12036, eq. 17 at alpha = 0 (their tau is beta); alpha is the chance that the order is wrong, as in
 * their eq. 12. Log-probs are sums, as in the paper, not means per token. */
#include "learn/objectives/pair.h"

typedef struct {
    double beta; /* > 0 */
} ipo_options;

static double ipo_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                        double *metrics) {
    const ipo_options *o = options;
    double u = log_ratio_difference(scores), target = 1 / (2 * o->beta), alpha = e->alpha;
    double below = u - target, above = u + target;
    double slope = 2 * ((1 - alpha) * below + alpha * above);
    dlogp[CHOSEN] = slope;
    dlogp[REJECTED] = -slope;
    reference_metrics(scores, o->beta * u, metrics);
    return (1 - alpha) * below * below + alpha * above * above;
}

static const option ipo_table[] = {
    OPTION_BETA(ipo_options),
};

const objective objective_ipo = {
    .name = "ipo",
    .about = "IPO: the margin is drawn to a finite value (Azar et al., arXiv 2310.12036)",
    .paths = 2,
    .needs_reference = true,
    .options = {ipo_table, sizeof ipo_table / sizeof *ipo_table},
    .options_size = sizeof(ipo_options),
    .metrics = reference_metric_names,
    .value = ipo_value,
};
