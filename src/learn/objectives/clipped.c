#include "learn/objectives/clipped.h"

#include <math.h>

const char *const clipped_metric_names[] = {"clipped", "kl_sampled", "advantage", NULL};

double mean_of(const double *x, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

double clipped_value(clip_range clip, double mask_above, const example *e, const float *logp, double *dlogp,
                     double *metrics) {
    double A = e->advantage, low = 1 - clip.clip_low, high = 1 + clip.clip_high, value = 0;
    double masked_above = A < 0 && mask_above < 1 ? log(mask_above) : 0; /* no log-prob is above 0 */
    metrics[0] = metrics[1] = metrics[2] = 0;
    for (int64_t t = 0; t < e->path[0].tail_count; t++) {
        double sampled = (double)e->path[0].sampled[t], log_ratio = (double)logp[t] - sampled;
        double ratio = exp(log_ratio);
        bool clipped = A > 0 ? ratio > high : A < 0 && ratio<low, masked = sampled> masked_above;
        dlogp[t] = 0;
        if (!isfinite(log_ratio)) return (double)NAN;
        metrics[1] += ratio - 1 - log_ratio;
        metrics[2] += A;
        if (masked) continue;
        metrics[0] += clipped;
        value -= A * (!clipped ? ratio : A > 0 ? high : low);
        if (!clipped) dlogp[t] = -A * ratio;
    }
    return value;
}
