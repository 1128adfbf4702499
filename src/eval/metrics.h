/* Numbers of an evaluation: estimators, intervals and tests (docs/method.md 7). Pure functions of counts and
 * arrays; random draws are keyed (base/random.h), so the same data give the same interval. A figure that the
 * data do not define (no problems, one class only) is NAN, and its interval the widest. */
#ifndef ESPALIER_EVAL_METRICS_H
#define ESPALIER_EVAL_METRICS_H

#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    double low, high;
} metrics_interval;

/* pass@k of one problem from n samples of which c are right, unbiased: 1 - C(n - c, k) / C(n, k). 0 <= c <=
 * n, 1 <= k <= n, else NAN. Chen et al., "Evaluating Large Language Models Trained on Code", arXiv
 * 2107.03374, eq. 1. */
double metrics_pass_at_k(int64_t n, int64_t c, int64_t k);

/* The answer with most votes: the index of its first vote, or -1 when there is none. Votes with equal group
 * are for one answer, 0 <= group < n; -1 is a sample without an answer, which has no vote. Ties go to the
 * answer that came first (docs/method.md 7). weights are the votes' weights, NULL for 1 each; a weight that
 * is not above 0 does not vote. maj@k is this over the first k samples. */
int64_t metrics_majority(const int64_t *group, const double *weights, int64_t n);

/* The share of correct answers among those that could be judged: right / (n - unknown). */
double metrics_judged_accuracy(int64_t right, int64_t n, int64_t unknown);

/* The place of the largest score; ties go to the first. -1: there are none, or one is NAN. */
int32_t metrics_largest(const double *scores, int32_t n);

/* Wilson's 95% interval of a share (Wilson 1927, without continuity correction), within 0 and 1. */
metrics_interval metrics_wilson(int64_t successes, int64_t n);

/* The middle 95% of the values, which are sorted; n >= 1. Between two values it is linear. */
metrics_interval metrics_percentiles(double *values, int64_t n);

/* Difference of the means of two policies on the same problems, a[i] - b[i], with the 95% percentile interval
 * of the paired bootstrap: problems are drawn with replacement, `resamples` times (2,000 is plenty). */
typedef struct {
    double difference;
    metrics_interval interval;
} metrics_difference;
metrics_difference metrics_paired_bootstrap(const double *a, const double *b, int64_t n, int64_t resamples,
                                            rng_key_t key);

/* McNemar's exact two-sided p: only_a problems are right under the first policy alone, only_b under the
 * second alone; twice the smaller tail of Binomial(only_a + only_b, 1/2), at most 1. */
double metrics_mcnemar(int64_t only_a, int64_t only_b);

/* Mean, and standard deviation (n - 1; 0 for one value). NAN for no values. */
double metrics_mean(const double *values, int64_t n);
double metrics_deviation(const double *values, int64_t n);

/* The mean of a few measurements with its 95% interval by Student's t; of one, the interval is NAN. */
typedef struct {
    int64_t n;
    double mean;
    metrics_interval interval;
} metrics_estimate;
metrics_estimate metrics_student(const double *values, int64_t n);
/* The 97.5% point of Student's distribution with n degrees of freedom, n > 0. */
double metrics_student_point(int64_t n);

#endif
