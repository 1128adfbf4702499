/* DPO-positive: DPO on h - beta penalty max(0, log pi_ref(w) - log pi(w)), which holds the log-prob of the
 * chosen step up. Pal et al., "Smaug: Fixing Failure Modes of Preference Optimisation with DPO-Positive",
 * arXiv 2402.13228, eq. 3 (their lambda is 50). At the kink, where both log-probs are equal, the derivative
 * is that without the penalty. The margin that is reported is h, without the penalty. */
#include "learn/objectives/pair.h"

typedef struct {
    double beta;    /* > 0 */
    double penalty; /* >= 0 */
} dpop_options;

static double dpop_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                         double *metrics) {
    const dpop_options *o = options;
    double h = o->beta * log_ratio_difference(scores), fall = scores[CHOSEN].reference - scores[CHOSEN].logp;
    bool fell = fall > 0;
    double held = fell ? h - o->beta * o->penalty * fall : h;
    double slope = o->beta * smoothed_logistic_slope(held, e->alpha);
    dlogp[CHOSEN] = fell ? slope * (1 + o->penalty) : slope;
    dlogp[REJECTED] = -slope;
    reference_metrics(scores, h, metrics);
    return smoothed_logistic(held, e->alpha);
}

static const option dpop_table[] = {
    OPTION_BETA(dpop_options),
    {.key = "penalty",
     .type = OPTION_FLOAT,
     .initial = "50",
     .low = 0,
     .high = 1e6,
     .offset = offsetof(dpop_options, penalty),
     .help = "penalty for a chosen step that becomes less likely than under the reference"},
};

const objective objective_dpop = {
    .name = "dpop",
    .about = "DPO-positive: chosen steps are held up (Pal et al., arXiv 2402.13228)",
    .paths = 2,
    .needs_reference = true,
    .options = {dpop_table, sizeof dpop_table / sizeof *dpop_table},
    .options_size = sizeof(dpop_options),
    .metrics = reference_metric_names,
    .value = dpop_value,
};
