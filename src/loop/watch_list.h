/* The watch list (docs/method.md 5.5): what an iteration's trees, self-evaluation and updates were like, one
 * line for each. */
#ifndef ESPALIER_LOOP_WATCH_LIST_H
#define ESPALIER_LOOP_WATCH_LIST_H

#include "learn/objective.h"
#include "loop/run_state.h"

/* What an iteration learned from. */
typedef struct {
    int64_t pairs, others,
        chains;            /* others: rows of a loss that learns from neither pairs nor correct chains */
    double step_tokens;    /* mean over the pairs' steps */
    example_source source; /* of the loss */
} learned_rows;
/* What such rows are called, in the plural. */
const char *learned_rows_name(example_source source);

/* Tells the run's observer. */
esp_status watch_iteration(run_state *run, int64_t iteration, const learned_rows *rows, esp_error *error);

#endif
