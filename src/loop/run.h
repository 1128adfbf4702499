/* The loop (docs/method.md 1): SFT if configured, then iterations of search, learning and evaluation,
 * recorded in a run directory. A kill at any moment leaves it consistent, and a later call continues the run
 * with the same result, bit for bit. */
#ifndef ESPALIER_LOOP_RUN_H
#define ESPALIER_LOOP_RUN_H

#include "loop/phase_order.h"
#include "recipe/session.h"

typedef struct {
    const char *folder; /* the run directory */
    bool resume; /* it exists: go on; refused where the recipe has changed in a key that decides results */
    int phases;
    bool unshared; /* the search shares nothing between sequences (engine/engine.h) */
    const observer *observer;
    const volatile sig_atomic_t *stop;
} run_options;

/* Runs to the end, or until stopped (ESP_INTERRUPTED: what was finished is kept; the message says how to
 * resume). */
esp_status run_recipe(const recipe *r, const run_options *options, esp_error *error);
/* The results of a run as JSON: iterations with their watch lists and evaluations. New reference. */
esp_status run_summary(const char *folder, json_t **out, esp_error *error);

#endif
