#include "eval/metrics.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The 97.5% point of the standard normal distribution. */
#define Z95 1.959963984540054

double metrics_pass_at_k(int64_t n, int64_t c, int64_t k) {
    if (n < 1 || c < 0 || c > n || k < 1 || k > n) return NAN;
    if (n - c < k) return 1;
    double miss = 1; /* C(n - c, k) / C(n, k), factor by factor */
    for (int64_t i = n - c + 1; i <= n; i++) miss *= 1 - (double)k / (double)i;
    return 1 - miss;
}

int64_t metrics_majority(const int64_t *group, const double *weights, int64_t n) {
    double *sum = MEM_ARRAY(double, n > 0 ? n : 1);
    int64_t *first = MEM_ARRAY(int64_t, n > 0 ? n : 1),
            best = -1; /* first: one more than the place; 0: none yet */
    for (int64_t i = 0; i < n; i++) {
        if (group[i] < 0 || (weights && !(weights[i] > 0))) continue;
        sum[group[i]] += weights ? weights[i] : 1;
        if (!first[group[i]]) first[group[i]] = i + 1;
    }
    for (int64_t i = 0; i < n; i++) {
        bool leads = group[i] >= 0 && first[group[i]] == i + 1;
        if (leads && (best < 0 || sum[group[i]] > sum[group[best]])) best = i;
    }
    mem_free(sum);
    mem_free(first);
    return best;
}

int32_t metrics_largest(const double *scores, int32_t n) {
    int32_t best = -1;
    for (int32_t i = 0; i < n; i++) {
        if (isnan(scores[i])) return -1;
        if (best < 0 || scores[i] > scores[best]) best = i;
    }
    return best;
}

double metrics_judged_accuracy(int64_t right, int64_t n, int64_t unknown) {
    return n > unknown ? (double)right / (double)(n - unknown) : NAN;
}

metrics_interval metrics_wilson(int64_t successes, int64_t n) {
    if (n <= 0) return (metrics_interval){0, 1};
    double share = (double)successes / (double)n, z2 = Z95 * Z95, size = (double)n;
    double middle = share + z2 / (2 * size);
    double half = Z95 * sqrt(share * (1 - share) / size + z2 / (4 * size * size));
    double scale = 1 + z2 / size;
    /* at the ends the bound is exactly 0 or 1; rounding must not move it */
    return (metrics_interval){.low = successes == 0 ? 0 : fmax(0, (middle - half) / scale),
                              .high = successes == n ? 1 : fmin(1, (middle + half) / scale)};
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double sorted_quantile(const double *sorted, int64_t n, double q) {
    double at = q * (double)(n - 1);
    int64_t below = (int64_t)floor(at);
    if (below >= n - 1) return sorted[n - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

metrics_interval metrics_percentiles(double *values, int64_t n) {
    qsort(values, (size_t)n, sizeof *values, by_value);
    return (metrics_interval){sorted_quantile(values, n, 0.025), sorted_quantile(values, n, 0.975)};
}

metrics_difference metrics_paired_bootstrap(const double *a, const double *b, int64_t n, int64_t resamples,
                                            rng_key_t key) {
    metrics_difference d = {NAN, {-INFINITY, INFINITY}};
    if (n < 1 || resamples < 1) return d;
    double *gaps = MEM_ARRAY(double, n), *means = MEM_ARRAY(double, resamples);
    for (int64_t i = 0; i < n; i++) gaps[i] = a[i] - b[i];
    for (int64_t r = 0; r < resamples; r++) {
        rng_key_t draw = rng_mix(key, (uint64_t)r);
        double sum = 0;
        for (int64_t i = 0; i < n; i++) sum += gaps[rng_below(draw, (uint64_t)i, (uint64_t)n)];
        means[r] = sum / (double)n;
    }
    d.difference = metrics_mean(gaps, n);
    d.interval = metrics_percentiles(means, resamples);
    mem_free(gaps);
    mem_free(means);
    return d;
}

/* log C(n, k). lgamma_r because lgamma writes a global. */
static double log_choose(double n, double k) {
    int sign;
    return lgamma_r(n + 1, &sign) - lgamma_r(k + 1, &sign) - lgamma_r(n - k + 1, &sign);
}

double metrics_mcnemar(int64_t only_a, int64_t only_b) {
    if (only_a < 0 || only_b < 0) return NAN;
    int64_t n = only_a + only_b, least = only_a < only_b ? only_a : only_b;
    double term = exp(log_choose((double)n, (double)least) - (double)n * log(2)), tail = 0;
    for (int64_t k = least; k >= 0 && term > 0;
         k--) { /* from the largest term down: C(n, k-1) = C(n, k) k/(n-k+1) */
        tail += term;
        term *= (double)k / (double)(n - k + 1);
    }
    return fmin(1, 2 * tail);
}

double metrics_mean(const double *values, int64_t n) {
    if (n < 1) return NAN;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

double metrics_deviation(const double *values, int64_t n) {
    if (n < 1) return NAN;
    if (n == 1) return 0;
    double mean = metrics_mean(values, n), sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (values[i] - mean) * (values[i] - mean);
    return sqrt(sum / (double)(n - 1));
}

/* P(|T| <= t) for n degrees of freedom, a finite sum (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4). */
static double student_within(double t, int64_t n) {
    double angle = atan2(t, sqrt((double)n)), c = cos(angle), sum = 0, term = n % 2 ? c : 1;
    for (int64_t k = n % 2 ? 1 : 0; k <= n - 2; k += 2) {
        sum += term;
        term *= c * c * (double)(k + 1) / (double)(k + 2);
    }
    sum *= sin(angle);
    return n % 2 ? 2 / acos(-1.0) * (angle + sum) : sum;
}

double metrics_student_point(int64_t n) {
    if (n < 1) return NAN;
    double low = 0, high = 16;
    for (int i = 0; i < 100; i++) {
        double middle = (low + high) / 2;
        if (student_within(middle, n) < 0.95)
            low = middle;
        else
            high = middle;
    }
    return high;
}

metrics_estimate metrics_student(const double *values, int64_t n) {
    metrics_estimate e = {.n = n, .mean = metrics_mean(values, n), .interval = {NAN, NAN}};
    if (n < 2) return e;
    double half = metrics_student_point(n - 1) * metrics_deviation(values, n) / sqrt((double)n);
    e.interval = (metrics_interval){e.mean - half, e.mean + half};
    return e;
}
