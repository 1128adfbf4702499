/* A run's result: its evaluations by the recipe's own method, the paired gain from the first to the last,
 * how well its judge ordered steps, and the totals of what it found. */
#ifndef ESPALIER_LOOP_RUN_RESULT_H
#define ESPALIER_LOOP_RUN_RESULT_H

#include "eval/evaluate.h"
#include "recipe/recipe.h"
#include "store/store.h"

typedef struct {
    int64_t iteration, problems, right;
    double accuracy;
    metrics_interval interval; /* Wilson's */
    bool has_norm;             /* choices: */
    double norm;               /* accuracy with length normalization */
    metrics_interval norm_interval;
} run_result_score;

/* How well self-evaluation ordered the nodes of an iteration's trees (eval/calibration.h). */
typedef struct {
    int64_t iteration;
    area_share within, siblings;
    bool off; /* the search gave it no weight */
} run_result_judge;

typedef struct {
    const char *method, *set; /* "greedy"; "test" */
    run_result_score *scores; /* [score_count] by iteration */
    int64_t score_count;
    run_result_judge *judged; /* [judged_count] by iteration, those with comparisons within problems */
    int64_t judged_count;
    bool has_gain;
    evaluation_difference gain; /* the last less the first */
    store_totals totals;
    store_position position;
    char *recipe_file; /* name of the run's present recipe in its folder */
} run_result;

/* r: the run's recipe. Freed by run_result_free. */
esp_status run_result_read(run_result *out, store *s, const recipe *r, esp_error *error);
void run_result_free(run_result *o);
/* Adds "gain" (null without two evaluations) and "totals" to the document of run_summary. */
void run_result_add_json(const run_result *o, json_t *summary);

#endif
