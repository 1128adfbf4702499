/* DPO with label smoothing. With h = beta [(log pi(w) - log pi_ref(w)) - (log pi(l) - log pi_ref(l))]:
 *   value = -(1 - alpha) log sigmoid(h) - alpha log sigmoid(-h),
 *   dvalue/dlogp(w) = beta (sigmoid(h) - (1 - alpha)) = -dvalue/dlogp(l).
 * Rafailov et al., "Direct Preference Optimization", arXiv 2305.18290, eq. 7; smoothing as in docs/method.md
 * 4.2. */
#include "learn/objectives/pair.h"

static double dpo_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                        double *metrics) {
    const dpo_options *o = options;
    double h = o->beta * log_ratio_difference(scores);
    double slope = o->beta * smoothed_logistic_slope(h, e->alpha);
    dlogp[CHOSEN] = slope;
    dlogp[REJECTED] = -slope;
    reference_metrics(scores, h, metrics);
    return smoothed_logistic(h, e->alpha);
}

static const option dpo_table[] = {
    OPTION_BETA(dpo_options),
};

const objective objective_dpo = {
    .name = "dpo",
    .about = "DPO with label smoothing (Rafailov et al., arXiv 2305.18290)",
    .paths = 2,
    .needs_reference = true,
    .options = {dpo_table, sizeof dpo_table / sizeof *dpo_table},
    .options_size = sizeof(dpo_options),
    .metrics = reference_metric_names,
    .value = dpo_value,
};
