#include "loop/judge_worth.h"

#include "eval/confidence_fit.h"
#include "loop/judge_rows_trees.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- figures of an iteration's trees ---- */

static esp_status has_figures(run_state *run, int64_t iteration, bool *there, esp_error *error) {
    store_judgements rows;
    *there = false;
    ESP_TRY(store_read_judgements(run->store, &rows, error));
    for (int64_t i = 0; i < rows.count; i++)
        *there = *there || (rows.at[i].iteration == iteration && strcmp(rows.at[i].source, JUDGE_TRAIN) == 0);
    STORE_LIST_FREE(&rows);
    return ESP_OK;
}

static esp_status keep(run_state *run, judge_scores *scores, int64_t iteration, const char *source,
                       esp_error *error) {
    judge_quality figures[JUDGE_KINDS];
    judge_scores_quality(scores, figures);
    return judge_record(figures, iteration, source, run->store, error);
}

/* All rows of the iteration's trees, in the order of judge_scores_of_trees. */
static esp_status label_trees(run_state *run, int64_t iteration, tree_row_list *out, esp_error *error) {
    store_trees trees;
    ESP_TRY(store_read_trees(run->store, iteration, &trees, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < trees.count && status == ESP_OK; i++) {
        store_nodes nodes;
        status = store_read_nodes(run->store, trees.at[i].tree, &nodes, error);
        if (status != ESP_OK) break;
        tree_rows_label(&trees.at[i], nodes.at, nodes.count, rng_key(0), out);
        STORE_LIST_FREE(&nodes);
    }
    STORE_LIST_FREE(&trees);
    return status;
}

/* C of each row by that model, as the search's judge was asked, into the scores. */
static esp_status judge_rows_by(run_state *run, model *m, const tree_row_list *rows, judge_scores *scores,
                                esp_error *error) {
    const session *s = &run->session;
    const recipe *r = s->recipe;
    const objective_term term = {.of = &objective_verdict, .weight = 1};
    judge_examples_options options = {
        .kind = r->search.config.rewards.judge_kind,
        .shown = r->self_eval.example == RECIPE_EXAMPLE_GOLD ? EXAMPLE_SHOWN_ALWAYS : EXAMPLE_SHOWN_NEVER,
        .max_length = INT64_MAX};
    judge_examples asked;
    esp_status status =
        judge_examples_make(run->store, s->words, s->train.at, rows, &options, &term, &asked, error);
    double(*logp)[EXAMPLE_PATHS] = mem_alloc((size_t)(rows->count + 1) * sizeof *logp);
    if (status == ESP_OK)
        status = score_paths(m, asked.examples.at, asked.examples.count, r->learn.tokens_per_microbatch, logp,
                             NULL, NULL, error);
    for (int64_t i = 0; i < rows->count && status == ESP_OK; i++) {
        double z = logp[i][0] - logp[i][1]; /* of the verdict that is correct, over the other */
        scores->rows.at[i].confidence = 1 / (1 + exp(rows->at[i].right ? -z : z));
    }
    mem_free(logp);
    judge_examples_free(&asked);
    return status;
}

/* The same nodes with C of the judge that the first iteration started with. */
static esp_status judge_by_first(run_state *run, int64_t iteration, judge_scores *scores, esp_error *error) {
    tree_row_list rows = {0};
    model *first = NULL;
    esp_status status = label_trees(run, iteration, &rows, error);
    assert(status != ESP_OK || rows.count == scores->rows.count);
    if (status == ESP_OK && rows.count > 0) status = run_open_first_judge(run, &first, error);
    if (status == ESP_OK && rows.count > 0) status = judge_rows_by(run, first, &rows, scores, error);
    model_free(first);
    MEM_LIST_FREE(&rows);
    return status;
}

/* Those of C, and where it was calibrated those of C~: on nodes that it was not fitted on. */
static esp_status keep_all(run_state *run, judge_scores *scores, int64_t iteration, esp_error *error) {
    search_calibration map;
    ESP_TRY(confidence_read(run->store, iteration, &map, error));
    ESP_TRY(keep(run, scores, iteration, JUDGE_TRAIN, error));
    if (!map.fitted) return ESP_OK;
    map.off = false;
    confidence_map_scores(&map, scores);
    return keep(run, scores, iteration, JUDGE_CALIBRATED, error);
}

static esp_status keep_in_one(run_state *run, judge_scores *scores, judge_scores *frozen, int64_t iteration,
                              esp_error *error) {
    ESP_TRY(store_begin(run->store, error));
    esp_status status = keep_all(run, scores, iteration, error);
    if (status == ESP_OK && frozen) status = keep(run, frozen, iteration, JUDGE_FROZEN, error);
    if (status == ESP_OK) return store_commit(run->store, error);
    store_rollback(run->store);
    return status;
}

esp_status judge_keep_figures(run_state *run, const store_position *at, esp_error *error) {
    int64_t done = at->phase == STORE_PHASE_SEARCH ? at->iteration - 1 : at->iteration;
    bool there;
    if (done < 1 || !run->session.recipe->search.config.rewards.judge) return ESP_OK;
    ESP_TRY(has_figures(run, done, &there, error));
    if (there) return ESP_OK;
    judge_scores scores, frozen = {0};
    bool compared = run->session.recipe->self_eval.compare_frozen;
    ESP_TRY(judge_scores_of_trees(run->store, done, &scores, error));
    esp_status status = ESP_OK;
    if (compared) status = judge_scores_of_trees(run->store, done, &frozen, error);
    if (status == ESP_OK && compared) status = judge_by_first(run, done, &frozen, error);
    if (status == ESP_OK) status = keep_in_one(run, &scores, compared ? &frozen : NULL, done, error);
    judge_scores_free(&frozen);
    judge_scores_free(&scores);
    return status;
}

/* ---- the next iteration ---- */

/* The share of correct chains in the iteration's trees, each outcome counted once more: of no chains, 1/2. */
static esp_status correct_share(run_state *run, int64_t iteration, double *out, esp_error *error) {
    store_outcomes trees;
    double right = 1, wrong = 1;
    ESP_TRY(store_read_outcomes(run->store, iteration, iteration, &trees, error));
    for (int64_t i = 0; i < trees.count; i++)
        right += (double)trees.at[i].right, wrong += (double)trees.at[i].wrong;
    STORE_LIST_FREE(&trees);
    *out = right / (right + wrong);
    return ESP_OK;
}

static void note(const run_state *run, int64_t iteration, const search_calibration *map, int64_t nodes,
                 const area_share *within) {
    const observer *o = &run->session.observer;
    if (!map->fitted)
        observer_note(o, "iteration %lld: the judge is off: no node of iteration %lld says how good it is",
                      (long long)iteration, (long long)iteration - 1);
    else
        observer_note(o,
                      "iteration %lld: the judge is %s: AUC within problems %.3f [%.3f, %.3f] in iteration "
                      "%lld; log-odds of C times %.3f plus %.3f, fitted on %lld nodes",
                      (long long)iteration, map->off ? "off" : "on", within->share, within->interval.low,
                      within->interval.high, (long long)iteration - 1, map->slope, map->offset,
                      (long long)nodes);
}

static esp_status fit(run_state *run, int64_t iteration, search_calibration *out, esp_error *error) {
    judge_scores scores;
    judge_quality figures[JUDGE_KINDS];
    double start;
    ESP_TRY(correct_share(run, iteration - 1, &start, error));
    ESP_TRY(judge_read(run->store, iteration - 1, JUDGE_TRAIN, figures, error));
    ESP_TRY(judge_scores_of_trees(run->store, iteration - 1, &scores, error));
    const area_share *within = &figures[JUDGE_ALL].within;
    *out = confidence_fit(&scores, within, start);
    store_calibration row = confidence_row(out, iteration, scores.rows.count);
    judge_scores_free(&scores);
    ESP_TRY(store_add_calibration(run->store, &row, error));
    note(run, iteration, out, row.nodes, within);
    return ESP_OK;
}

esp_status judge_confidence_for(run_state *run, int64_t iteration, search_calibration *out,
                                esp_error *error) {
    const recipe *r = run->session.recipe;
    *out = (search_calibration){0};
    if (!r->self_eval.calibrate || !r->search.config.rewards.judge || iteration < 2) return ESP_OK;
    ESP_TRY(confidence_read(run->store, iteration, out, error));
    return out->fitted || out->off ? ESP_OK : fit(run, iteration, out, error);
}
