/* The watch list (docs/method.md 5.5): what an iteration's trees, self-evaluation and updates were like, one
 * line for each. */
#ifndef ESPALIER_LOOP_WATCH_LIST_H
#define ESPALIER_LOOP_WATCH_LIST_H

#include "loop/run_state.h"

/* What an iteration learned from. */
typedef struct {
    int64_t pairs, chains;
    double step_tokens; /* mean over the pairs' steps */
} learned_rows;

/* Tells the run's observer. */
esp_status watch_iteration(run_state *run, int64_t iteration, const learned_rows *rows, esp_error *error);

#endif
