/* Learning-rate schedules: a pure function of the step, so that a resumed run needs only the step it stopped
 * at. */
#ifndef ESPALIER_LEARN_SCHEDULE_H
#define ESPALIER_LEARN_SCHEDULE_H

#include "base/error.h"

typedef enum { SCHEDULE_CONSTANT, SCHEDULE_LINEAR, SCHEDULE_COSINE } schedule_kind;

typedef struct {
    schedule_kind kind;
    double peak;          /* the rate after warm-up, > 0 */
    int64_t warmup_steps; /* 0 to total_steps */
    int64_t total_steps;  /* updates of the whole run, all iterations together; > 0. Constant does not look at
                             it */
    double floor;         /* what is left at total_steps, as a fraction of peak, 0 to 1 */
} schedule;

/* The rate of update `step` (0-based). Warm-up rises in equal parts and reaches the peak with its last step:
 * the rate of step s is peak (s + 1) / warmup_steps, so no update is wasted on a rate of 0. Then, with t = (s
 * - warmup_steps) / (total_steps - warmup_steps): constant peak; linear peak (1 - (1 - floor) t); cosine peak
 * (floor + (1 - floor) (1 + cos(pi t)) / 2). From total_steps on linear and cosine stay at peak floor. */
double schedule_rate(const schedule *s, int64_t step);

/* Warm-up steps for a fraction (0 to 1) of the run, rounded to the nearest. */
int64_t schedule_warmup(double fraction, int64_t total_steps);

/* An error that names the member which is out of its range. */
esp_status schedule_check(const schedule *s, esp_error *error);

#endif
