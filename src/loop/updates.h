/* The optimizer updates of a phase: done, recorded, kept in checkpoints, stopped on request. */
#ifndef ESPALIER_LOOP_UPDATES_H
#define ESPALIER_LOOP_UPDATES_H

#include "learn/batches.h"
#include "learn/schedule.h"
#include "learn/update_loop.h"
#include "loop/run_state.h"

typedef struct {
    const char *phase; /* "sft" or "learn" */
    batches *batches;
    batches *beside; /* as updates_plan; may be NULL */
    int64_t updates; /* in all */
    schedule schedule;
    double progress_first, progress_last; /* place of this phase's updates in the schedule, as shares of it */
    bool optimizer_ends; /* the phase's last checkpoint has no optimizer state: the next phase has its own */
} update_plan;
/* Records an update in the run's store and log. */
esp_status record_update(run_state *run, const char *phase, int64_t iteration, const update_report *u,
                         esp_error *error);
/* Does the updates from position->update on. Writes a checkpoint every run.checkpoint_every updates and when
 * stopped (ESP_INTERRUPTED). On ESP_OK all are done and `checkpoint` (a name) holds the result; the store's
 * position is not yet moved. */
esp_status run_updates(run_state *run, const store_position *position, const update_plan *plan,
                       const char *checkpoint, esp_error *error);

#endif
