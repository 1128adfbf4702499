/* Optimizer updates one after another, as SFT and preference learning need them. */
#ifndef ESPALIER_LOOP_UPDATES_H
#define ESPALIER_LOOP_UPDATES_H

#include "learn/schedule.h"
#include "loop/run_state.h"

/* What a learning phase does in each update, and how many there are. */
typedef struct {
    const char *phase; /* "sft" or "learn" */
    int64_t updates;   /* in all */
    schedule schedule;
    double progress_first, progress_last; /* place of this phase's updates in the schedule, as shares of it */
    bool
        optimizer_ends; /* its state stays out of the phase's last checkpoint: the next phase starts afresh */
    esp_status (*add)(void *context, trainer *t, int64_t update, batch_report *report, esp_error *error);
    void *context;
} update_plan;
/* Does the updates from position->update on. Writes a checkpoint every run.checkpoint_every updates and when
 * stopped (ESP_INTERRUPTED). On ESP_OK all are done and `checkpoint` (a name) holds the result; the store's
 * position is not yet moved. */
esp_status run_updates(run_state *run, const store_position *position, const update_plan *plan,
                       const char *checkpoint, esp_error *error);

#endif
