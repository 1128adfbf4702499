/* A log-linear policy over a few answers, log pi(y) = log base(y) + theta . phi(y) - log of the sum, and its
 * training on preferences by the program's loss `dpo` (docs/method.md 5.2). Private to src/theory. */
#ifndef ESPALIER_THEORY_LOGLINEAR_H
#define ESPALIER_THEORY_LOGLINEAR_H

enum { LOGLINEAR_ANSWERS = 3, LOGLINEAR_FEATURES = 2 }; /* the most */

typedef struct {
    int answers, features;
    double log_base[LOGLINEAR_ANSWERS]; /* log-probs at theta = 0, in nats */
    double phi[LOGLINEAR_ANSWERS][LOGLINEAR_FEATURES];
    double theta[LOGLINEAR_FEATURES];
} loglinear;

typedef struct {
    int chosen, rejected; /* answers */
    double alpha;         /* chance that the order is wrong */
} preference;

/* The loss `dpo` of one preference, and its derivatives by the two log-probs. logp and reference: log-probs
 * of the answers in nats. */
double preference_loss(double beta, preference pair, const double *logp, const double *reference,
                       double dlogp[2]);

/* The answers' log-probs in nats, into logp [answers]. */
void loglinear_logprobs(const loglinear *policy, double *logp);

/* Minimises the sum of the losses of `count` preferences by gradient descent from the policy's theta. Where
 * several theta are optimal it ends at the one nearest to where it began, since every step is a combination
 * of the pairs' differences of phi. Returns the loss at the end, or NAN where 100,000 steps were not enough.
 */
double loglinear_fit(loglinear *policy, const preference *pairs, int count, double beta,
                     const double *reference);

#endif
