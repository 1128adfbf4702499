/* Evaluation: the current policy on the recipe's set by the recipe's method. Before the first and after the
 * last iteration also by samples and by search, where the recipe asks for it. */
#include "eval/evaluate.h"
#include "loop/best_policy.h"
#include "loop/phases.h"

#include <stdio.h>

static void note_judge(run_state *run, const store_position *at, const evaluation *e) {
    text_buffer text = {0};
    judge_quality_words(e->search.judged, &text);
    if (text.length > 0)
        observer_note(&run->session.observer, "iteration %lld: self-evaluation without gold: %s",
                      (long long)at->iteration, text.at);
    text_free(&text);
}

static void note_unknown(const observer *o, const store_position *at, const evaluation *e) {
    text_buffer text = {0};
    if (e->unknown == 0) return;
    evaluation_unknown_words(e->unknown, e->judged_accuracy, &text);
    observer_note(o, "iteration %lld: %s", (long long)at->iteration, text.at);
    text_free(&text);
}

static void note(run_state *run, const store_position *at, const evaluation *e, const char *set) {
    const observer *o = &run->session.observer;
    if (e->method == RECIPE_CHOICES)
        observer_note(o,
                      "iteration %lld: choices on %lld problems of %s: %.1f%% [%.1f, %.1f], with length "
                      "normalization %.1f%% [%.1f, %.1f]",
                      (long long)at->iteration, (long long)e->problems, set, 100 * e->accuracy,
                      100 * e->interval.low, 100 * e->interval.high, 100 * e->choices.norm,
                      100 * e->choices.norm_interval.low, 100 * e->choices.norm_interval.high);
    else
        observer_note(
            o,
            "iteration %lld: %s on %lld problems of %s: %.1f%% [%.1f, %.1f], %.0f%% of chains finish, "
            "%.0f tokens per chain",
            (long long)at->iteration, evaluation_name(e->method, e->unjudged), (long long)e->problems, set,
            100 * e->accuracy, 100 * e->interval.low, 100 * e->interval.high, 100 * e->finished_share,
            e->mean_tokens);
    if (e->too_long > 0)
        observer_note(
            o,
            "iteration %lld: %lld problems count as incorrect: their prompts leave no room for an answer in "
            "the model's context",
            (long long)at->iteration, (long long)e->too_long);
    note_unknown(o, at, e);
    if (e->method == RECIPE_SAMPLE && e->point_count > 0)
        observer_note(o, "iteration %lld: pass@%lld %.1f%%, maj@%lld %.1f%%, %.0f tokens per problem",
                      (long long)at->iteration, (long long)e->k, 100 * e->points[e->point_count - 1].pass,
                      (long long)e->k, 100 * e->accuracy, e->points[e->point_count - 1].tokens);
    if (e->method != RECIPE_SEARCH) return;
    observer_note(
        o, "iteration %lld: vote of the trees %.1f%%, %.0f tokens sampled and %.0f judged per problem",
        (long long)at->iteration, 100 * e->search.vote, (double)e->tokens_sampled / (double)e->problems,
        (double)e->tokens_judged / (double)e->problems);
    note_judge(run, at, e);
}

/* An evaluation, how well it judged and how long it took, in one transaction. */
static esp_status record(run_state *run, const store_position *at, const evaluation *e, const char *set,
                         const char *metric, esp_error *error) {
    ESP_TRY(store_begin(run->store, error));
    esp_status status = evaluation_store(e, at->iteration, set, run->store, error);
    if (status == ESP_OK) status = store_metric(run->store, at->iteration, metric, e->seconds, error);
    if (status == ESP_OK) return store_commit(run->store, error);
    store_rollback(run->store);
    return status;
}

/* Whether a run that was interrupted has done this evaluation already: the position moves after all of an
 * iteration's evaluations. */
static esp_status is_recorded(run_state *run, const store_position *at, const evaluate_options *options,
                              const char *set, bool *out, esp_error *error) {
    store_evals evals;
    const char *name = evaluation_name(options->method, options->unjudged);
    *out = false;
    ESP_TRY(store_read_evals(run->store, &evals, error));
    for (int64_t i = 0; i < evals.count; i++)
        *out = *out || (evals.at[i].iteration == at->iteration && strcmp(evals.at[i].method, name) == 0 &&
                        strcmp(evals.at[i].set, set) == 0);
    STORE_LIST_FREE(&evals);
    return ESP_OK;
}

static esp_status evaluate(run_state *run, const store_position *at, const evaluate_options *options,
                           const char *metric, esp_error *error) {
    session *s = &run->session;
    const problem_set *problems = s->recipe->eval.set == RECIPE_SET_DEV ? &s->dev : &s->test;
    const char *set = evaluation_set_name(s->recipe->eval.set);
    bool recorded;
    ESP_TRY(is_recorded(run, at, options, set, &recorded, error));
    if (recorded) return ESP_OK;
    ESP_TRY(run_load_policy(run, at->checkpoint, NULL, error));
    evaluation e;
    evaluate_options judged = *options;
    if (options->method == RECIPE_SEARCH && !options->unjudged) {
        ESP_TRY(run_load_judge(run, at->checkpoint, NULL, error));
        judged.judge = run->judge;
    }
    ESP_TRY(evaluate_policy(s, run->model, problems, &judged, &e, error));
    note(run, at, &e, set);
    esp_status status = record(run, at, &e, set, metric, error);
    evaluation_free(&e);
    return status;
}

static esp_status evaluate_besides(run_state *run, const store_position *at, esp_error *error) {
    evaluate_options options[EVALUATE_BESIDES];
    int n = evaluate_options_besides(run->session.recipe, options);
    for (int i = 0; i < n; i++) {
        char metric[64];
        snprintf(metric, sizeof metric, "evaluate_%s_seconds",
                 evaluation_name(options[i].method, options[i].unjudged));
        ESP_TRY(evaluate(run, at, &options[i], metric, error));
    }
    return ESP_OK;
}

/* Whether this evaluation is the one that run.patience ends the run at. */
static esp_status is_last(run_state *run, const store_position *at, bool *out, esp_error *error) {
    const recipe *r = run->session.recipe;
    best_policy best;
    *out = at->iteration == r->run.iterations;
    if (*out || r->run.patience == 0 || at->iteration == 0) return ESP_OK;
    ESP_TRY(best_policy_read(run->store, r, &best, error));
    *out = best.evaluations >= r->run.patience;
    if (*out)
        observer_note(
            &run->session.observer,
            "iteration %lld: the run ends, because %lld evaluations were no better than that of iteration "
            "%lld, %.1f%% (run.patience)",
            (long long)at->iteration, (long long)best.evaluations, (long long)best.iteration,
            100 * best.accuracy);
    return ESP_OK;
}

esp_status phase_evaluate(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    bool problems = (r->eval.set == RECIPE_SET_DEV ? run->session.dev : run->session.test).count > 0;
    bool last = position->iteration == r->run.iterations;
    if (problems) {
        evaluate_options options = evaluate_options_of(r);
        ESP_TRY(evaluate(run, position, &options, "evaluate_seconds", error));
        ESP_TRY(is_last(run, position, &last, error));
        if (last || position->iteration == 0) ESP_TRY(evaluate_besides(run, position, error));
    }
    store_position next = phase_after(r, run->phases, position, position->checkpoint);
    if (last && position->iteration > 0) {
        next.phase = STORE_PHASE_DONE;
        next.iteration = position->iteration;
    }
    return run_move(run, &next, error);
}
