/* What a run came to: its evaluations by the recipe's own method, the paired gain from the first to the last,
 * and the totals of what it found. */
#ifndef ESPALIER_LOOP_OUTCOME_H
#define ESPALIER_LOOP_OUTCOME_H

#include "eval/evaluate.h"
#include "recipe/recipe.h"
#include "store/store.h"

typedef struct {
    int64_t iteration, problems, right;
    double accuracy;
    metrics_interval interval; /* Wilson's */
} outcome_score;

typedef struct {
    const char *method, *set; /* "greedy"; "test" */
    outcome_score *scores;    /* [score_count] by iteration */
    int64_t score_count;
    bool has_gain;
    evaluation_difference gain; /* the last less the first */
    store_totals totals;
    store_position position;
} run_outcome;

/* r: the run's recipe. Freed by outcome_free. */
esp_status outcome_read(run_outcome *out, store *s, const recipe *r, esp_error *error);
void outcome_free(run_outcome *o);
/* Adds "gain" (null without two evaluations) and "totals" to the document of run_summary. */
void outcome_add_json(const run_outcome *o, json_t *summary);

#endif
