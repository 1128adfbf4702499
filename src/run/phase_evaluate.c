/* Evaluation: the policy as it stands, on the recipe's set, by the recipe's method. */
#include "run/evaluate.h"
#include "run/phases.h"

static void note(run_state *run, const store_position *at, const evaluation *e, const char *set) {
    observer_note(&run->session.observer,
                  "iteration %lld: %s on %lld problems of %s: %.1f%% [%.1f, %.1f], %.0f%% of chains finish, "
                  "%.0f tokens a chain",
                  (long long)at->iteration, evaluation_method_name(e->method), (long long)e->problems, set,
                  100 * e->accuracy, 100 * e->interval.low, 100 * e->interval.high, 100 * e->finished_share,
                  e->mean_tokens);
}

esp_status phase_evaluate(run_state *run, const store_position *position, esp_error *error) {
    session *s = &run->session;
    bool dev = s->recipe->eval.set == RECIPE_SET_DEV;
    const problem_set *problems = dev ? &s->dev : &s->test;
    const char *set = dev ? "dev" : "test";
    esp_status status = ESP_OK;
    if (problems->count > 0) {
        evaluate_options options = evaluate_options_of(s->recipe);
        evaluation e;
        ESP_TRY(run_load_policy(run, position->checkpoint, NULL, error));
        ESP_TRY(evaluate_policy(s, run->model, problems, &options, &e, error));
        note(run, position, &e, set);
        status = evaluation_store(&e, position->iteration, set, run->store, error);
        if (status == ESP_OK)
            status = store_metric(run->store, position->iteration, "evaluate_seconds", e.seconds, error);
        evaluation_free(&e);
    }
    if (status == ESP_OK) {
        store_position next = run_after(run, position, position->checkpoint);
        status = store_position_set(run->store, &next, error);
    }
    return status;
}
