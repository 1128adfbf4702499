/* Updates in a row: gradients of a batch, the optimizer's step, a report, again. A run's phases and
 * `espalier train` learn by this one loop. */
#ifndef ESPALIER_LEARN_UPDATE_LOOP_H
#define ESPALIER_LEARN_UPDATE_LOOP_H

#include "learn/batches.h"

/* One update that was made. */
typedef struct {
    int64_t update; /* from 1 */
    double rate, grad_norm, seconds;
    learn_report batch;
} update_report;

typedef struct {
    batches *batches;
    batches *beside; /* what every update learns from besides, dealt once over all of them; may be NULL */
    int64_t first, count;                                /* makes updates first + 1 to count */
    double (*rate)(const void *context, int64_t update); /* of the update with this number, from 0 */
    /* Called after each update. Another status than ESP_OK ends the work. */
    esp_status (*done)(void *context, const update_report *u, esp_error *error);
    void *context;
} updates_plan;

esp_status updates_make(trainer *t, const updates_plan *plan, esp_error *error);

#endif
