/* Listwise: all steps after a state at once, instead of pairs of them (docs/method.md 5.7). With h_j = beta
 * (log pi(j) - log pi_ref(j)) and the target t = softmax(value / temperature):
 *   value = - sum over j of t_j log softmax(h)_j,
 *   dvalue/dlogp(j) = beta (softmax(h)_j - t_j).
 * For two steps that is DPO with 1 - alpha = sigmoid((value_w - value_l) / temperature). Cross entropy
 * between two softmaxes over a list: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise
 * Approach", ICML 2007, top one; with implicit rewards: Liu et al., "LiPO", arXiv 2402.01878.
 *
 * Metrics are those of a pair of the step of largest value and the step of smallest; accuracy: the margin is
 * largest for the step of largest value; kl: a mean over the steps. */
#include "learn/objectives/pair.h"

#include <math.h>

typedef struct {
    double beta;              /* > 0 */
    double value_temperature; /* > 0 */
} listwise_options;

/* log softmax(x)_j, in place. */
static void log_softmax(double *x, int n) {
    double most = x[0], sum = 0;
    for (int j = 1; j < n; j++)
        if (!(x[j] <= most)) most = x[j]; /* also what is not a number */
    for (int j = 0; j < n; j++) sum += exp(x[j] - most);
    for (int j = 0; j < n; j++) x[j] -= most + log(sum);
}

static int largest(const double *x, int n, double sign) {
    int best = 0;
    for (int j = 1; j < n; j++)
        if (sign * x[j] > sign * x[best]) best = j;
    return best;
}

static double listwise_value(const void *options, const example *e, const path_score *scores, double *dlogp,
                             double *metrics) {
    const listwise_options *o = options;
    double h[EXAMPLE_PATHS] = {0}, target[EXAMPLE_PATHS] = {0}, value = 0, kl = 0;
    int n = e->path_count;
    for (int j = 0; j < n; j++) {
        h[j] = o->beta * (scores[j].logp - scores[j].reference);
        target[j] = e->path[j].value / o->value_temperature;
        kl += (scores[j].reference - scores[j].logp) / n;
    }
    int best = largest(target, n, 1), worst = largest(target, n, -1);
    double margin = h[best] - h[worst];
    bool first = largest(h, n, 1) == best && margin > 0;
    log_softmax(h, n);
    log_softmax(target, n);
    for (int j = 0; j < n; j++) {
        value -= exp(target[j]) * h[j];
        dlogp[j] = o->beta * (exp(h[j]) - exp(target[j]));
    }
    metrics[0] = margin;
    metrics[1] = first;
    metrics[2] = scores[best].logp;
    metrics[3] = scores[worst].logp;
    metrics[4] = kl;
    return value;
}

static const option listwise_table[] = {
    OPTION_BETA(listwise_options),
    {.key = "value_temperature",
     .type = OPTION_FLOAT,
     .initial = "0.25",
     .low = 0,
     .high = 1000,
     .marks = OPTION_ABOVE_LOW,
     .offset = offsetof(listwise_options, value_temperature),
     .help = "the smaller, the more of the target is on the step of largest value"},
};

const objective objective_listwise = {
    .name = "listwise",
    .about = "all steps after a state at once, by their values (docs/method.md 5.7)",
    .source = LEARNS_FROM_STATES,
    .paths = EXAMPLE_PATHS,
    .needs_reference = true,
    .options = {listwise_table, sizeof listwise_table / sizeof *listwise_table},
    .options_size = sizeof(listwise_options),
    .metrics = reference_metric_names,
    .value = listwise_value,
};
