/* Evaluations in the store and as JSON. */
#include "eval/evaluate.h"

#include "formats/json.h"

#include <math.h>
#include <string.h>

/* ---- store ---- */

esp_status evaluation_store(const evaluation *e, int64_t iteration, const char *set, store *s,
                            esp_error *error) {
    const evaluation_point *last = &e->points[e->point_count > 0 ? e->point_count - 1 : 0];
    bool sample = e->method == RECIPE_SAMPLE, search = e->method == RECIPE_SEARCH,
         choices = e->method == RECIPE_CHOICES;
    store_eval row = {.iteration = iteration,
                      .method = evaluation_name(e->method, e->unjudged),
                      .set = set,
                      .k = e->k,
                      .problems = e->problems,
                      .right = e->right,
                      .unknown = e->unknown,
                      .accuracy = e->accuracy,
                      .low = e->interval.low,
                      .high = e->interval.high,
                      .pass_at_k = sample   ? last->pass
                                   : search ? e->search.any
                                            : NAN,
                      .maj_at_k = sample    ? last->majority
                                  : search  ? e->search.vote
                                  : choices ? e->choices.norm
                                            : NAN,
                      .tokens_sampled = e->tokens_sampled,
                      .tokens_computed = e->tokens_computed,
                      .tokens_judged = e->tokens_judged};
    store_eval_result *results = MEM_ARRAY(store_eval_result, e->result_count + 1);
    for (int64_t i = 0; i < e->result_count; i++) {
        const evaluation_result *r = &e->results[i];
        results[i] = (store_eval_result){.problem = r->problem,
                                         .sample = r->sample,
                                         .right = r->right,
                                         .unknown = r->unknown,
                                         .finished = r->finished,
                                         .tokens = r->tokens,
                                         .answer = r->answer,
                                         .text = r->text};
    }
    esp_status status = store_add_eval(s, &row, results, e->result_count, error);
    mem_free(results);
    if (status == ESP_OK && search) status = judge_record(e->search.judged, iteration, JUDGE_EVAL, s, error);
    return status;
}

static const store_eval *find_eval(const store_evals *all, int64_t iteration, const char *method,
                                   const char *set) {
    for (int64_t i = 0; i < all->count; i++) {
        const store_eval *e = &all->at[i];
        if (e->iteration == iteration && strcmp(e->method, method) == 0 && strcmp(e->set, set) == 0) return e;
    }
    return NULL;
}

static bool method_named(const char *name, evaluation *out) {
    out->unjudged = strcmp(name, "search-unjudged") == 0;
    if (out->unjudged) out->method = RECIPE_SEARCH;
    for (int i = 0; i <= RECIPE_CHOICES && !out->unjudged; i++) {
        out->method = (recipe_method)i;
        if (strcmp(name, evaluation_name(out->method, out->unjudged)) == 0) return true;
    }
    return out->unjudged;
}

static void take_results(evaluation *e, const store_eval_results *rows) {
    e->result_count = rows->count;
    e->results = MEM_ARRAY(evaluation_result, rows->count + 1);
    for (int64_t i = 0; i < rows->count; i++) {
        const store_eval_result *r = &rows->at[i];
        e->results[i] = (evaluation_result){.problem = r->problem,
                                            .sample = r->sample,
                                            .right = r->right,
                                            .unknown = r->unknown,
                                            .finished = r->finished,
                                            .tokens = r->tokens,
                                            .answer = mem_strdup(r->answer),
                                            .text = mem_strdup(r->text)};
    }
}

static esp_status take_eval(evaluation *out, const store_eval *row, const store_eval_results *rows,
                            esp_error *error) {
    if (!method_named(row->method, out))
        return error_fail(error, "read it with the version that wrote it",
                          "evaluation of iteration %lld: unknown method \"%s\"", (long long)row->iteration,
                          row->method);
    out->k = row->k;
    out->problems = row->problems;
    out->per_problem = out->method == RECIPE_SEARCH || out->method == RECIPE_CHOICES ? 2 : row->k;
    if (rows->count != out->problems * out->per_problem)
        return error_fail(error, "evaluate again",
                          "evaluation of iteration %lld (%s, %s) holds %lld results, not %lld",
                          (long long)row->iteration, row->method, row->set, (long long)rows->count,
                          (long long)(out->problems * out->per_problem));
    take_results(out, rows);
    out->tokens_sampled = row->tokens_sampled;
    out->tokens_computed = row->tokens_computed;
    out->tokens_judged = row->tokens_judged;
    if (out->method == RECIPE_SEARCH && isfinite(row->pass_at_k))
        out->search.any_right = (int64_t)llround(row->pass_at_k * (double)row->problems);
    judge_scores_quality(&(judge_scores){0}, out->search.judged);
    evaluation_summarize(out);
    return ESP_OK;
}

esp_status evaluation_read(evaluation *out, store *s, const task *t, int64_t iteration, const char *method,
                           const char *set, esp_error *error) {
    *out = (evaluation){.task = t};
    store_evals all;
    ESP_TRY(store_read_evals(s, &all, error));
    const store_eval *row = find_eval(&all, iteration, method, set);
    store_eval_results rows = {0};
    esp_status status = row ? store_read_eval_results(s, iteration, method, set, &rows, error)
                            : error_fail(error, "the report lists the evaluations",
                                         "%s holds no evaluation of iteration %lld by %s on %s",
                                         store_folder(s), (long long)iteration, method, set);
    if (status == ESP_OK) {
        status = take_eval(out, row, &rows, error);
        if (status == ESP_OK && out->method == RECIPE_SEARCH && !out->unjudged)
            status = judge_read(s, iteration, JUDGE_EVAL, out->search.judged, error);
        STORE_LIST_FREE(&rows);
    }
    STORE_LIST_FREE(&all);
    if (status != ESP_OK) evaluation_free(out);
    return status;
}

static int64_t tokens_of(const evaluation *e) {
    int64_t sum = 0;
    for (int64_t i = 0; i < e->result_count; i++) sum += e->results[i].tokens;
    return sum;
}

void evaluation_keep_first(evaluation *e, int64_t problems) {
    if (problems == e->problems) return;
    double part = (double)problems / (double)e->problems;
    for (int64_t i = problems * e->per_problem; i < e->result_count; i++) {
        mem_free(e->results[i].answer);
        mem_free(e->results[i].text);
        mem_free(e->results[i].logprobs);
    }
    e->problems = problems;
    e->result_count = problems * e->per_problem;
    e->tokens_computed = llround(part * (double)e->tokens_computed);
    e->tokens_judged = llround(part * (double)e->tokens_judged);
    e->tokens_sampled = llround(part * (double)e->tokens_sampled);
    if (e->method == RECIPE_GREEDY || e->method == RECIPE_SAMPLE) e->tokens_sampled = tokens_of(e);
    evaluation_summarize(e);
    e->search.any = NAN;
}

esp_status evaluations_of_recipe(store *s, const recipe *r, store_evals *out, esp_error *error) {
    const char *method = evaluation_method_name(r->eval.method), *set = evaluation_set_name(r->eval.set);
    ESP_TRY(store_read_evals(s, out, error));
    int64_t n = 0;
    for (int64_t i = 0; i < out->count; i++) {
        const store_eval *e = &out->at[i];
        if (strcmp(e->method, method) == 0 && strcmp(e->set, set) == 0) out->at[n++] = *e;
    }
    out->count = n;
    return ESP_OK;
}

/* ---- JSON ---- */

static json_t *interval(metrics_interval i) {
    return json_pack("[o, o]", json_real_or_null(i.low), json_real_or_null(i.high));
}

static json_t *points_json(const evaluation *e) {
    json_t *list = json_array();
    for (int64_t i = 0; i < e->point_count; i++) {
        const evaluation_point *p = &e->points[i];
        json_array_append_new(
            list, json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "k", (json_int_t)p->k, "pass",
                            json_real_or_null(p->pass), "pass_interval", interval(p->pass_interval),
                            "majority", json_real_or_null(p->majority), "majority_interval",
                            interval(p->majority_interval), "tokens", json_real_or_null(p->tokens)));
    }
    return list;
}

static json_t *search_json(const evaluation *e) {
    json_t *o = json_pack(
        "{s:I, s:o, s:o, s:I, s:o, s:I, s:I}", "vote_right", (json_int_t)e->search.vote_right, "vote",
        json_real_or_null(e->search.vote), "vote_interval", interval(e->search.vote_interval), "any_right",
        (json_int_t)e->search.any_right, "any", json_real_or_null(e->search.any), "nodes",
        (json_int_t)e->search.nodes, "finished_chains", (json_int_t)e->search.finished_chains);
    for (int k = 0; k < JUDGE_KINDS; k++)
        json_object_set_new(o, judge_kind_name((judge_kind)k), judge_quality_json(&e->search.judged[k]));
    return o;
}

static json_t *choices_json(const evaluation *e) {
    return json_pack("{s:I, s:o, s:o}", "norm_right", (json_int_t)e->choices.norm_right, "acc_norm",
                     json_real_or_null(e->choices.norm), "acc_norm_interval",
                     interval(e->choices.norm_interval));
}

static json_t *text_json(const char *text) {
    return text ? json_from_text(text, strlen(text)) : json_null();
}

static json_t *results_json(const evaluation *e) {
    json_t *list = json_array();
    for (int64_t i = 0; i < e->result_count; i++) {
        const evaluation_result *r = &e->results[i];
        json_t *row = json_pack("{s:I, s:I, s:b, s:b, s:b, s:I, s:o, s:o}", "problem", (json_int_t)r->problem,
                                "sample", (json_int_t)r->sample, "right", r->right, "unknown", r->unknown,
                                "finished", r->finished, "tokens", (json_int_t)r->tokens, "answer",
                                text_json(r->answer), "text", text_json(r->text));
        if (r->logprobs) {
            json_t *scores = json_array();
            for (int32_t j = 0; j < r->logprob_count; j++)
                json_array_append_new(scores, json_real_or_null(r->logprobs[j]));
            json_object_set_new(row, "logprobs", scores);
        }
        json_array_append_new(list, row);
    }
    return list;
}

void evaluation_unknown_words(int64_t unknown, double judged_accuracy, text_buffer *out) {
    bool one = unknown == 1;
    text_printf(out, "%lld answer%s could not be judged and count%s as not correct", (long long)unknown,
                one ? "" : "s", one ? "s" : "");
    if (!isnan(judged_accuracy))
        text_printf(out, "; %.1f%% of the others are correct", 100 * judged_accuracy);
}

json_t *evaluation_json(const evaluation *e, bool with_results) {
    json_t *o =
        json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o}", "method", evaluation_name(e->method, e->unjudged),
                  "k", (json_int_t)e->k, "problems", (json_int_t)e->problems, "right", (json_int_t)e->right,
                  "unknown", (json_int_t)e->unknown, "accuracy", json_real_or_null(e->accuracy), "interval",
                  interval(e->interval));
    if (e->unknown > 0) json_object_set_new(o, "judged_accuracy", json_real_or_null(e->judged_accuracy));
    if (e->method == RECIPE_SAMPLE && e->point_count > 0) {
        const evaluation_point *last = &e->points[e->point_count - 1];
        json_object_set_new(o, "pass_at_1", json_real_or_null(e->points[0].pass));
        json_object_set_new(o, "pass_at_k", json_real_or_null(last->pass));
        json_object_set_new(o, "maj_at_k", json_real_or_null(last->majority));
        json_object_set_new(o, "points", points_json(e));
    }
    if (e->method == RECIPE_SEARCH) json_object_set_new(o, "search", search_json(e));
    if (e->method == RECIPE_CHOICES) json_object_set_new(o, "choices", choices_json(e));
    if (e->too_long > 0) json_object_set_new(o, "too_long", json_integer(e->too_long));
    json_object_set_new(o, "mean_tokens", json_real_or_null(e->mean_tokens));
    json_object_set_new(o, "finished_share", json_real_or_null(e->finished_share));
    json_object_set_new(o, "tokens_sampled", json_integer(e->tokens_sampled));
    json_object_set_new(o, "tokens_computed", json_integer(e->tokens_computed));
    json_object_set_new(o, "tokens_judged", json_integer(e->tokens_judged));
    json_object_set_new(o, "tokens_spent",
                        json_integer(store_tokens_spent(e->tokens_sampled, e->tokens_judged)));
    json_object_set_new(o, "seconds", json_real_or_null(e->seconds));
    if (with_results) json_object_set_new(o, "results", results_json(e));
    return o;
}

json_t *evaluation_difference_json(const evaluation_difference *d) {
    return json_pack("{s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o}", "problems", (json_int_t)d->problems,
                     "only_a", (json_int_t)d->only_a, "only_b", (json_int_t)d->only_b, "difference",
                     json_real_or_null(d->difference), "interval", interval(d->interval), "p",
                     json_real_or_null(d->p), "pass_difference", json_real_or_null(d->pass_difference),
                     "pass_interval", interval(d->pass_interval));
}
