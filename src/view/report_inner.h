/* Shared by the files of the report: the run's data, read once, and the sections of the document. */
#ifndef ESPALIER_VIEW_REPORT_INNER_H
#define ESPALIER_VIEW_REPORT_INNER_H

#include "eval/confidence_fit.h"
#include "eval/evaluate.h"
#include "recipe/recipe.h"
#include "store/store.h"
#include "view/document.h"
#include "view/report.h"

/* A metric of updates, its mean over some of them; the name is borrowed from the updates. */
typedef struct {
    const char *name;
    double sum, rows; /* the mean is sum / rows */
} report_mean;
typedef MEM_LIST(report_mean) report_metrics;

/* The results of an iteration. Means over updates are weighted by their rows; a mean of nothing is NAN. */
typedef struct {
    int64_t iteration;
    int64_t trees, trees_right; /* the committed path is correct */
    int64_t unknown;            /* finished chains that could not be judged */
    int64_t nodes, step_tokens; /* nodes below the roots, and tokens in them */
    int64_t ended, chain_tokens,
        finished;                      /* chains that finished or were cut, tokens in them, finished ones */
    int64_t sampled, judged, computed; /* tokens of the search */
    int64_t pairs, updates, learned;   /* learned: tokens computed by updates, SFT's at iteration 0 */
    double loss, grad_norm;
    report_metrics metrics; /* of the updates' losses */
    judge_quality judge[JUDGE_KINDS];
    judge_quality calibrated[JUDGE_KINDS]; /* the same of C~, where it was fitted */
    judge_quality frozen[JUDGE_KINDS];     /* the same nodes judged by theta_0, where that was asked for */
    double seconds_search, seconds_learn, seconds_evaluate; /* NAN: not known */
    bool evaluated;                                         /* by report_run.method: `main` */
    store_eval main;
    double mean_tokens, finished_share;            /* of its chains; NAN without */
    int64_t all_sampled, all_judged, all_computed; /* cumulative; all_computed includes the updates */
} report_iteration;

typedef struct {
    int64_t tree, pair, state, chosen, rejected;
} report_pair;

typedef struct {
    const char *folder;
    store *store;
    recipe *recipe;    /* NULL: none that this version can read */
    task *task;        /* of the recipe; NULL: none */
    char *recipe_text; /* NULL: none */
    store_position position;
    const char *method, *set; /* of the evaluations that the report shows: the recipe's if there are any */
    report_iteration *iterations; /* ascending */
    int64_t iteration_count;
    store_trees trees;
    MEM_LIST(report_pair) pairs; /* ordered by tree, then as added */
    store_evals evals;
    store_updates updates;
    store_calibrations calibrations;
    judge_quality judge[JUDGE_KINDS]; /* self-evaluation over all trees */
} report_run;

/* Reads everything except the trees' texts. On failure there is nothing to free. */
esp_status report_run_open(report_run *out, const char *folder, esp_error *error);
void report_run_close(report_run *r);
double report_mean_of(const report_mean *m); /* NAN: of nothing */
/* Index in r->pairs of the tree's first pair; its others follow. -1: it has none. */
int64_t report_first_pair(const report_run *r, int64_t tree);
/* The first (last) iteration that was evaluated; NULL: none. */
const report_iteration *report_first_evaluated(const report_run *r);
const report_iteration *report_last_evaluated(const report_run *r);

/* Sections: each adds one or several keys to the open object. */
void report_iterations(const report_run *r, document *d);
void report_updates(const report_run *r, document *d);
void report_judge(const report_run *r, document *d);
/* How that iteration's searches read the judge's confidence. */
search_calibration report_calibration_of(const report_run *r, int64_t iteration);
/* known: there are two evaluations of the same problems; otherwise the numbers are NAN. */
typedef struct {
    bool known;
    int64_t from, to;
    evaluation_difference d;
} report_gain;
esp_status report_evaluations(report_run *r, document *d, report_gain *gain, esp_error *error);
/* The evaluation of an iteration with its results; false if the store has no complete one. */
bool report_read_evaluation(const report_run *r, int64_t iteration, const char *method, evaluation *out);
/* notes: entries of "watch" about baselines that cannot be compared with this run. */
esp_status report_baselines(const report_run *r, const report_options *options, document *d, document *notes,
                            esp_error *error);
/* "summary" and "watch" */
void report_words(const report_run *r, const report_gain *gain, const document *notes, document *d);
/* budget: the most bytes for trees. */
esp_status report_trees(const report_run *r, int64_t most, int64_t budget, document *d, report_result *result,
                        esp_error *error);

#endif
