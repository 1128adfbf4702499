#include "loop/run_result.h"
#include "loop/recipe_change.h"

#include <math.h>
#include <string.h>

static esp_status read_scores(run_result *o, store *s, const recipe *r, esp_error *error) {
    store_evals evals;
    ESP_TRY(evaluations_of_recipe(s, r, &evals, error));
    o->scores = MEM_ARRAY(run_result_score, evals.count + 1);
    o->score_count = evals.count;
    for (int64_t i = 0; i < evals.count; i++) {
        const store_eval *e = &evals.at[i];
        o->scores[i] = (run_result_score){.iteration = e->iteration,
                                          .problems = e->problems,
                                          .right = e->right,
                                          .accuracy = e->accuracy,
                                          .interval = {e->low, e->high}};
        if (r->eval.method != RECIPE_CHOICES) continue;
        int64_t right = llround(e->maj_at_k * (double)e->problems); /* the column has the share (schema.c) */
        o->scores[i].has_norm = true;
        o->scores[i].norm = e->maj_at_k;
        o->scores[i].norm_interval = metrics_wilson(right, e->problems);
    }
    STORE_LIST_FREE(&evals);
    return ESP_OK;
}

/* The last evaluation less the first. Two of different problems (the limit was raised between) have none. */
static esp_status read_gain(run_result *o, store *s, const recipe *r, esp_error *error) {
    if (o->score_count < 2) return ESP_OK;
    const run_result_score *first = &o->scores[0], *last = &o->scores[o->score_count - 1];
    task *t;
    ESP_TRY(task_new(&t, &r->task, error));
    evaluation before = {0}, after;
    esp_status status = evaluation_read(&before, s, t, first->iteration, o->method, o->set, error);
    if (status == ESP_OK) status = evaluation_read(&after, s, t, last->iteration, o->method, o->set, error);
    if (status == ESP_OK) {
        o->has_gain = evaluation_compare(&after, &before, (uint64_t)r->run.seed, &o->gain, NULL) == ESP_OK;
        evaluation_free(&after);
    }
    evaluation_free(&before);
    task_free(t);
    return status;
}

/* In which iterations the judge had no weight. */
static esp_status read_off(run_result *o, store *s, esp_error *error) {
    store_calibrations rows;
    ESP_TRY(store_read_calibrations(s, &rows, error));
    for (int64_t i = 0; i < rows.count; i++)
        for (int64_t k = 0; k < o->judged_count; k++)
            if (o->judged[k].iteration == rows.at[i].iteration) o->judged[k].off = !rows.at[i].judged;
    if (rows.memory) STORE_LIST_FREE(&rows);
    return ESP_OK;
}

static esp_status read_judge(run_result *o, store *s, esp_error *error) {
    store_judgements rows;
    ESP_TRY(store_read_judgements(s, &rows, error));
    o->judged = MEM_ARRAY(run_result_judge, rows.count + 1);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < rows.count && status == ESP_OK; i++) {
        const store_judgement *row = &rows.at[i];
        judge_quality q;
        if (strcmp(row->source, JUDGE_TRAIN) != 0 || strcmp(row->kind, judge_kind_name(JUDGE_ALL)) != 0)
            continue;
        status = judge_quality_read(row, &q, error);
        if (status == ESP_OK && q.within.comparisons > 0)
            o->judged[o->judged_count++] =
                (run_result_judge){.iteration = row->iteration, .within = q.within, .siblings = q.siblings};
    }
    STORE_LIST_FREE(&rows);
    return status == ESP_OK ? read_off(o, s, error) : status;
}

esp_status run_result_read(run_result *out, store *s, const recipe *r, esp_error *error) {
    *out = (run_result){.method = evaluation_method_name(r->eval.method),
                        .set = evaluation_set_name(r->eval.set)};
    esp_status status = store_position_get(s, &out->position, error);
    if (status == ESP_OK) status = store_read_totals(s, &out->totals, error);
    if (status == ESP_OK) status = read_scores(out, s, r, error);
    if (status == ESP_OK) status = read_gain(out, s, r, error);
    if (status == ESP_OK) status = read_judge(out, s, error);
    if (status == ESP_OK) status = recipe_file_name(s, &out->recipe_file, error);
    if (status != ESP_OK) run_result_free(out);
    return status;
}

void run_result_free(run_result *o) {
    mem_free(o->scores);
    mem_free(o->judged);
    mem_free(o->recipe_file);
    *o = (run_result){0};
}

void run_result_add_json(const run_result *o, json_t *summary) {
    const store_totals *t = &o->totals;
    json_t *gain = json_null();
    if (o->has_gain) {
        gain = evaluation_difference_json(&o->gain);
        json_object_set_new(gain, "from", json_integer(o->scores[0].iteration));
        json_object_set_new(gain, "to", json_integer(o->scores[o->score_count - 1].iteration));
    }
    json_object_set_new(summary, "gain", gain);
    json_object_set_new(summary, "totals",
                        json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "trees", (json_int_t)t->trees,
                                  "nodes", (json_int_t)t->nodes, "pairs", (json_int_t)t->pairs, "updates",
                                  (json_int_t)t->updates, "tokens_sampled", (json_int_t)t->tokens_sampled,
                                  "tokens_judged", (json_int_t)t->tokens_judged, "tokens_spent",
                                  (json_int_t)store_tokens_spent(t->tokens_sampled, t->tokens_judged),
                                  "tokens_computed", (json_int_t)t->tokens_computed));
}
