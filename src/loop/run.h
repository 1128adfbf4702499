/* The loop (docs/method.md 1): SFT if asked, then iterations of search, learning and evaluation, recorded in
 * a run directory. A kill at any moment leaves it consistent, and resuming it gives the same bits as if there
 * had been no interruption. */
#ifndef ESPALIER_LOOP_RUN_H
#define ESPALIER_LOOP_RUN_H

#include "loop/phase_order.h"
#include "recipe/session.h"

typedef struct {
    const char *folder; /* the run directory */
    bool resume; /* continue the run there; refused if the recipe has changed in a key that decides results */
    int phases;  /* RUN_ALL or some of them */
    bool unshared; /* the search shares nothing between sequences (engine/engine.h) */
    const observer *observer;
    const volatile sig_atomic_t *stop;
} run_options;

/* Runs to the end, or until stopped (ESP_INTERRUPTED). After an error, esp_error.resumable says whether the
 * run can be resumed. */
esp_status run_recipe(const recipe *r, const run_options *options, esp_error *error);
/* The run's position, evaluations, judgements, updates and digest as JSON. New reference. */
esp_status run_summary(const char *folder, json_t **out, esp_error *error);

#endif
