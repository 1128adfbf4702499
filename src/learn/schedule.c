#include "learn/schedule.h"

#include <math.h>

#define PI 3.14159265358979323846

double schedule_rate(const schedule *s, int64_t step) {
    if (step < 0) step = 0;
    if (step < s->warmup_steps) return s->peak * (double)(step + 1) / (double)s->warmup_steps;
    if (s->kind == SCHEDULE_CONSTANT) return s->peak;
    if (step >= s->total_steps) return s->peak * s->floor;
    double t = (double)(step - s->warmup_steps) / (double)(s->total_steps - s->warmup_steps);
    double left = s->kind == SCHEDULE_LINEAR ? 1 - t : (1 + cos(PI * t)) / 2;
    return s->peak * (s->floor + (1 - s->floor) * left);
}

int64_t schedule_warmup(double fraction, int64_t total_steps) {
    return (int64_t)llround(fraction * (double)total_steps);
}

esp_status schedule_check(const schedule *s, esp_error *error) {
    if (!(s->peak > 0 && isfinite(s->peak)))
        return error_fail(error, "give a rate above 0, such as 1e-6", "learning rate %g is not above 0",
                          s->peak);
    if (s->total_steps <= 0)
        return error_fail(error, "give at least 1 step", "a schedule over %lld steps",
                          (long long)s->total_steps);
    if (s->warmup_steps < 0 || s->warmup_steps > s->total_steps)
        return error_fail(error, "warm up for at most all of the run's steps",
                          "warm-up of %lld steps in a run of %lld", (long long)s->warmup_steps,
                          (long long)s->total_steps);
    if (!(s->floor >= 0 && s->floor <= 1))
        return error_fail(error, "the floor is a fraction of the peak rate",
                          "schedule floor %g is not in 0 to 1", s->floor);
    return ESP_OK;
}
