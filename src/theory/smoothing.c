/* T2, the fixed point of a smoothed preference (docs/theory.md 2). */
#include "search/harvest.h"
#include "theory/loglinear.h"
#include "theory/topic.h"

#include <math.h>

static double entropy(double a) {
    return -a * log(a) - (1 - a) * log(1 - a);
}

static void compute_case(theory_table *t, double beta, int N_w, int N_l) {
    double odds = (double)N_w / N_l, alpha = harvest_doubt_by_visits(N_w, N_l), reference[2], logp[2];
    loglinear policy = {
        .answers = 2, .features = 1, .log_base = {-M_LN2, -M_LN2}, .phi = {{1}, {0}}, .theta = {-1}};
    preference pair = {.chosen = 0, .rejected = 1, .alpha = alpha};
    loglinear_logprobs(&(loglinear){.answers = 2, .log_base = {-M_LN2, -M_LN2}}, reference);
    double loss = loglinear_fit(&policy, &pair, 1, beta, reference);
    loglinear_logprobs(&policy, logp);
    double difference = (logp[0] - reference[0]) - (logp[1] - reference[1]);
    theory_value values[] = {
        {.quantity = "alpha", .prediction = 1 / (1 + odds), .computed = alpha, .allowed = ALLOWED_ROUNDING},
        {.quantity = "h*", .prediction = log(odds), .computed = beta * difference},
        {.quantity = "log-ratio difference (nats)", .prediction = log(odds) / beta, .computed = difference},
        {.quantity = "least loss", .prediction = entropy(1 / (1 + odds)), .computed = loss},
    };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        if (values[i].allowed == 0) values[i].allowed = ALLOWED_DESCENT;
        theory_add(t, values[i], "beta = %g, N_w = %d, N_l = %d", beta, N_w, N_l);
    }
}

static void compute(theory_table *t, rng_key_t key) {
    (void)key;
    compute_case(t, 0.1, 3, 1);
    compute_case(t, 0.1, 15, 5);
    compute_case(t, 0.5, 3, 1);
    compute_case(t, 1, 3, 1);
    compute_case(t, 0.1, 9, 1);
    compute_case(t, 0.1, 1, 1);
}

const theory_topic theory_smoothing = {
    .title = "Fixed point of smoothing",
    .about = "Two steps, uniform under the reference; gradient descent on the loss dpo with alpha from "
             "visits, from one nat in favour of the rejected step. The policy ends where its odds are the "
             "reference's times the visits' odds to the power 1 / beta; equal visits teach nothing.",
    .compute = compute,
};
