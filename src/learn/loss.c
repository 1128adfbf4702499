#include "learn/loss.h"

#include "search/harvest.h"

#include <math.h>
#include <string.h>

/* log(1 + exp(x)) without overflow; -log sigmoid(h) = softplus(-h). */
static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

/* sigmoid(x) for x <= 0, where the exponential cannot overflow. */
static double sigmoid_below(double x) {
    double e = exp(x);
    return e / (1 + e);
}

/* sigmoid(h) - (1 - alpha), from the side on which nothing cancels. */
static double logistic_pull(double h, double alpha) {
    return h > 0 ? alpha - sigmoid_below(-h) : sigmoid_below(h) - (1 - alpha);
}

/* A weight of exactly 0 drops its term, also where the term is infinite. */
static double weighted(double weight, double value) {
    return weight == 0 ? 0 : weight * value;
}

static double logistic_loss(double h, double alpha) {
    if (isnan(h)) return h;
    return weighted(1 - alpha, softplus(-h)) + weighted(alpha, softplus(h));
}

double loss_smoothing(double visits_chosen, double visits_rejected, double cap) {
    return fmin(harvest_doubt_by_visits(visits_chosen, visits_rejected), cap);
}

static double log_ratio_difference(loss_logps logps) {
    return (logps.chosen - logps.ref_chosen) - (logps.rejected - logps.ref_rejected);
}

double loss_margin(loss_logps logps, double beta) {
    return beta * log_ratio_difference(logps);
}

loss_result loss_dpo(loss_logps logps, double beta, double alpha) {
    double h = loss_margin(logps, beta);
    double pull = beta * logistic_pull(h, alpha);
    return (loss_result){.loss = logistic_loss(h, alpha), .margin = h, .dchosen = pull, .drejected = -pull};
}

loss_result loss_ipo(loss_logps logps, double beta, double alpha) {
    double u = log_ratio_difference(logps), target = 1 / (2 * beta);
    double below = u - target, above = u + target;
    double pull = 2 * ((1 - alpha) * below + alpha * above);
    return (loss_result){.loss = (1 - alpha) * below * below + alpha * above * above,
                         .margin = beta * u,
                         .dchosen = pull,
                         .drejected = -pull};
}

loss_result loss_dpo_positive(loss_logps logps, double beta, double alpha, double lambda) {
    double h = loss_margin(logps, beta), fall = logps.ref_chosen - logps.chosen;
    bool fell = fall > 0;
    double held = fell ? h - beta * lambda * fall : h;
    double pull = beta * logistic_pull(held, alpha);
    return (loss_result){.loss = logistic_loss(held, alpha),
                         .margin = h,
                         .dchosen = fell ? pull * (1 + lambda) : pull,
                         .drejected = -pull};
}

double loss_nll(double logp, int64_t tokens, double weight, bool per_token, double *dlogp) {
    *dlogp = 0;
    if (tokens <= 0 || weight == 0) return 0;
    double scale = per_token ? weight / (double)tokens : weight;
    *dlogp = -scale;
    return -scale * logp;
}

loss_options loss_defaults(void) {
    return (loss_options){
        .kind = LOSS_DPO, .beta = 0.1, .weight = 1, .lambda = 50, .nll_weight = 0, .nll_per_token = true};
}

static const char *const kind_names[] = {
    [LOSS_DPO] = "dpo", [LOSS_IPO] = "ipo", [LOSS_DPO_POSITIVE] = "dpo_positive"};

esp_status loss_kind_parse(const char *name, loss_kind *out, esp_error *error) {
    for (int i = 0; i < (int)(sizeof kind_names / sizeof *kind_names); i++)
        if (strcmp(name, kind_names[i]) == 0) {
            *out = (loss_kind)i;
            return ESP_OK;
        }
    return error_fail(error, "use dpo, ipo or dpo_positive", "unknown preference loss \"%s\"", name);
}

const char *loss_kind_name(loss_kind kind) {
    return kind_names[kind];
}

loss_result loss_preference(const loss_options *options, loss_logps logps, double alpha) {
    loss_result r;
    switch (options->kind) {
    case LOSS_IPO:
        r = loss_ipo(logps, options->beta, alpha);
        break;
    case LOSS_DPO_POSITIVE:
        r = loss_dpo_positive(logps, options->beta, alpha, options->lambda);
        break;
    default:
        r = loss_dpo(logps, options->beta, alpha);
        break;
    }
    r.loss = weighted(options->weight, r.loss);
    r.dchosen = weighted(options->weight, r.dchosen);
    r.drejected = weighted(options->weight, r.drejected);
    return r;
}

loss_result loss_pair(const loss_options *options, loss_logps logps, double alpha, int64_t chosen_tokens) {
    loss_result r = loss_preference(options, logps, alpha);
    double dnll;
    r.loss += loss_nll(logps.chosen, chosen_tokens, options->nll_weight, options->nll_per_token, &dnll);
    r.dchosen += dnll;
    return r;
}
