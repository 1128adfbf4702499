/* Inside the report: what is read of a run once, and the sections of the document that are made of it. */
#ifndef ESPALIER_VIEW_REPORT_INNER_H
#define ESPALIER_VIEW_REPORT_INNER_H

#include "eval/evaluate.h"
#include "recipe/recipe.h"
#include "store/store.h"
#include "view/document.h"
#include "view/report.h"

/* What an iteration came to. Means over updates are weighted by their rows; a mean of nothing is NAN. */
typedef struct {
    int64_t iteration;
    int64_t trees, trees_right; /* committed path right */
    int64_t nodes, step_tokens; /* nodes below the roots, and tokens in them */
    int64_t ended, chain_tokens,
        finished;                      /* chains that finished or were cut, tokens in them, finished ones */
    int64_t sampled, judged, computed; /* tokens of the search */
    int64_t pairs, updates, learned;   /* learned: tokens computed by updates, SFT's at iteration 0 */
    double loss, margin, pair_accuracy, logp_chosen, logp_rejected, kl, grad_norm;
    judge_auc auc;
    double seconds_search, seconds_learn, seconds_evaluate; /* NAN: not known */
    bool evaluated;                                         /* by report_run.method: `main` */
    store_eval main;
    double mean_tokens, finished_share;            /* of its chains; NAN without */
    int64_t all_sampled, all_judged, all_computed; /* up to here, computed with what updates computed */
} report_iteration;

typedef struct {
    int64_t tree, pair, state, chosen, rejected;
} report_pair;

typedef struct {
    const char *folder;
    store *store;
    recipe *recipe;    /* NULL: there is none that this program reads */
    char *recipe_text; /* NULL: there is none */
    store_position position;
    const char *method, *set; /* of the evaluations that the report is about: "greedy" where there are any */
    report_iteration *iterations; /* ascending */
    int64_t iteration_count;
    store_trees trees;
    MEM_LIST(report_pair) pairs; /* by tree, then in the order of adding */
    store_evals evals;
    store_updates updates;
    judge_quality finished, unfinished; /* self-evaluation over all trees */
} report_run;

/* Reads everything but trees' texts. On failure *out holds nothing. */
esp_status report_run_open(report_run *out, const char *folder, esp_error *error);
void report_run_close(report_run *r);
report_iteration *report_iteration_of(const report_run *r, int64_t iteration); /* NULL: none such */
/* Place in r->pairs of the tree's first pair, the others right behind it; -1: it gave none. */
int64_t report_first_pair(const report_run *r, int64_t tree);
/* The first (last) iteration that was evaluated; NULL: none. */
const report_iteration *report_first_evaluated(const report_run *r);
const report_iteration *report_last_evaluated(const report_run *r);

/* Sections, each one key and value (or several) of the open object. */
void report_iterations(const report_run *r, document *d);
void report_updates(const report_run *r, document *d);
void report_judge(const report_run *r, document *d);
/* *gain is NAN-filled where there are no two evaluations of the same problems. */
typedef struct {
    bool known;
    int64_t from, to;
    evaluation_difference d;
} report_gain;
esp_status report_evaluations(report_run *r, document *d, report_gain *gain, esp_error *error);
/* The evaluation of an iteration with its results; false where the store has none that is whole. */
bool report_read_evaluation(const report_run *r, int64_t iteration, const char *method, evaluation *out);
/* notes: sentences on baselines that cannot be held against this run; a JSON document without brackets. */
esp_status report_baselines(const report_run *r, const report_options *options, document *d, document *notes,
                            esp_error *error);
/* "summary" and "watch" */
void report_words(const report_run *r, const report_gain *gain, const document *notes, document *d);
/* budget: bytes that trees may take. */
esp_status report_trees(const report_run *r, int64_t most, int64_t budget, document *d, report_result *result,
                        esp_error *error);

#endif
