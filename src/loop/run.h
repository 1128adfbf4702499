/* The loop (METHOD.md 1): SFT if asked, then iterations of search, learning and evaluation, recorded in a run
 * directory that a kill at any moment leaves whole and from which a later call goes on to the same bits. */
#ifndef ESPALIER_LOOP_RUN_H
#define ESPALIER_LOOP_RUN_H

#include "recipe/session.h"
#include "store/store.h"

/* Which phases a call carries out; the others are passed over. */
enum { RUN_SFT = 1, RUN_SEARCH = 2, RUN_LEARN = 4, RUN_EVALUATE = 8, RUN_ALL = 15 };

typedef struct {
    const char *folder; /* the run directory */
    bool resume; /* it exists: go on; refused where the recipe has changed in a key that decides results */
    int parts;
    bool plain; /* the search computes everything anew (policy/lm.h) */
    const observer *observer;
    const volatile sig_atomic_t *stop;
} run_options;

/* Runs to the end, or until stopped (ESP_INTERRUPTED: what was finished is kept; the message says how to
 * resume). */
esp_status run_recipe(const recipe *r, const run_options *options, esp_error *error);
/* What a run came to, as JSON: iterations with their watch lists and evaluations. New reference. */
esp_status run_summary(const char *folder, json_t **out, esp_error *error);

#endif
