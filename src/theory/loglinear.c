#include "theory/loglinear.h"

#include "learn/objective.h"

#include <math.h>

double preference_loss(double beta, preference pair, const double *logp, const double *reference,
                       double dlogp[2]) {
    dpo_options options = {.beta = beta};
    example e = {.alpha = pair.alpha};
    path_score scores[] = {
        {.logp = logp[pair.chosen], .reference = reference[pair.chosen], .tokens = 1},
        {.logp = logp[pair.rejected], .reference = reference[pair.rejected], .tokens = 1},
    };
    double metrics[OBJECTIVE_METRICS];
    return objective_dpo.value(&options, &e, scores, dlogp, metrics);
}

void loglinear_logprobs(const loglinear *policy, double *logp) {
    double most = -INFINITY, sum = 0;
    for (int y = 0; y < policy->answers; y++) {
        logp[y] = policy->log_base[y];
        for (int j = 0; j < policy->features; j++) logp[y] += policy->theta[j] * policy->phi[y][j];
        most = fmax(most, logp[y]);
    }
    for (int y = 0; y < policy->answers; y++) sum += exp(logp[y] - most);
    for (int y = 0; y < policy->answers; y++) logp[y] -= most + log(sum);
}

/* The loss, and its derivative by theta: d log pi(y) / d theta = phi(y) - mean of phi under pi. */
static double loss_and_slope(const loglinear *policy, const preference *pairs, int count, double beta,
                             const double *reference, double *slope) {
    double logp[LOGLINEAR_ANSWERS], mean[LOGLINEAR_FEATURES] = {0}, loss = 0;
    loglinear_logprobs(policy, logp);
    for (int j = 0; j < policy->features; j++) {
        slope[j] = 0;
        for (int y = 0; y < policy->answers; y++) mean[j] += exp(logp[y]) * policy->phi[y][j];
    }
    for (int i = 0; i < count; i++) {
        double dlogp[2];
        loss += preference_loss(beta, pairs[i], logp, reference, dlogp);
        for (int j = 0; j < policy->features; j++)
            slope[j] += dlogp[0] * (policy->phi[pairs[i].chosen][j] - mean[j]) +
                        dlogp[1] * (policy->phi[pairs[i].rejected][j] - mean[j]);
    }
    return loss;
}

/* 1 / L, where L bounds the second derivative: that of a pair is at most (beta |phi(w) - phi(l)|)^2 / 4. */
static double step_length(const loglinear *policy, const preference *pairs, int count, double beta) {
    double bound = 0;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < policy->features; j++) {
            double apart = beta * (policy->phi[pairs[i].chosen][j] - policy->phi[pairs[i].rejected][j]);
            bound += apart * apart / 4;
        }
    return 1 / bound;
}

double loglinear_fit(loglinear *policy, const preference *pairs, int count, double beta,
                     const double *reference) {
    double step = step_length(policy, pairs, count, beta);
    for (int i = 0; i < 100000; i++) {
        double slope[LOGLINEAR_FEATURES], largest = 0;
        double loss = loss_and_slope(policy, pairs, count, beta, reference, slope);
        for (int j = 0; j < policy->features; j++) {
            policy->theta[j] -= step * slope[j];
            largest = fmax(largest, fabs(step * slope[j]));
        }
        if (largest < 1e-11) return loss;
    }
    return NAN;
}
