/* Methods compared by their runs. A method is several runs of one recipe with different seeds; two methods
 * are compared on the seeds that both have, and on the problems that both were evaluated on. Everything is
 * read from the run directories; accuracy is the recipe's own evaluation (eval.method on eval.set). */
#ifndef ESPALIER_SWEEP_COMPARISON_H
#define ESPALIER_SWEEP_COMPARISON_H

#include "eval/evaluate.h"
#include "recipe/recipe.h"
#include "store/store.h"

typedef struct {
    const char *label; /* of the method; NULL: runs whose recipes differ only in run.seed are one method,
                          which is named after the first one's folder */
    const char *folder;
} comparison_input;

typedef struct {
    int64_t iteration;
    double accuracy;
    double tokens; /* sampled and judged in the trees of the iterations up to this one */
} comparison_point;

typedef struct {
    char *folder;
    int64_t seed;
    recipe *recipe;
    task *task;
    char *problems, *model; /* hashes of what was evaluated and of the first model (loop/provenance.h); "": an
                               older run has none */
    comparison_point *curve; /* [points] by iteration */
    int64_t points;
    evaluation last; /* the last evaluation with its results */
    double accuracy; /* of it */
    double mean;    /* of the curve after the first evaluation, over iterations, linear between evaluations */
    double reached; /* tokens at the first evaluation of at least the accuracy asked for; NAN: not reached */
    double tokens;  /* sampled and judged in all trees */
    store_totals totals;
} comparison_run;

/* A method and the baseline at one seed. */
typedef struct {
    int64_t seed;
    evaluation_difference of; /* the method less the baseline, last evaluations */
} comparison_pair;

typedef struct {
    char *label;
    comparison_run *runs; /* [count] finished runs, by seed */
    int64_t count;
    metrics_estimate accuracy, mean, tokens, trees, updates; /* over seeds */
    metrics_estimate reached;                                /* over the seeds that reach it */
    /* Against the baseline: */
    MEM_LIST(comparison_pair) pairs;  /* of seeds that both have, where the problems are the same */
    metrics_estimate difference;      /* of the last accuracy, over those seeds */
    metrics_estimate mean_difference; /* of the mean of the curve, over those seeds */
    metrics_difference over_problems; /* of the share of those seeds that solve a problem: paired bootstrap
                                         over problems; NAN without pairs */
    text_buffer changes;              /* its recipe against the baseline's: "learn.weight: 0.1 -> 0" lines */
} comparison_method;

typedef struct {
    comparison_method *methods; /* [count] */
    int64_t count, baseline;    /* baseline: a place */
    double target;              /* the accuracy that `reached` is about; NAN: none */
    text_buffer warnings;       /* one per line */
} comparison;

/* baseline: a label; NULL: the first. target: an accuracy between 0 and 1, or NAN. Runs that are not finished
 * are left out, with a warning. It is an error where nothing is left. Freed by comparison_free. */
esp_status comparison_make(comparison *out, const comparison_input *inputs, int64_t n, const char *baseline,
                           double target, esp_error *error);
void comparison_free(comparison *c);
json_t *comparison_json(const comparison *c); /* new reference */

#endif
