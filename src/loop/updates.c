/* Optimizer updates one after another: done, recorded, kept in checkpoints, stopped on request. */
#include "loop/updates.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static esp_status record(run_state *run, const update_plan *plan, const store_position *at, int64_t update,
                         double rate, double norm, const batch_report *b, double seconds, esp_error *error) {
    bool pairs = strcmp(plan->phase, "learn") == 0 && run->session.recipe->learn.loss != RECIPE_RFT;
    store_update u = {.phase = plan->phase,
                      .iteration = at->iteration,
                      .update = update,
                      .rows = b->rows,
                      .loss = b->loss,
                      .lr = rate,
                      .grad_norm = norm,
                      .margin = pairs ? b->margin : NAN,
                      .accuracy = pairs ? b->accuracy : NAN,
                      .logp_chosen = pairs ? b->logp_chosen : NAN,
                      .logp_rejected = pairs ? b->logp_rejected : NAN,
                      .kl = pairs ? b->kl : NAN,
                      .tokens = b->tokens,
                      .tokens_computed = b->tokens_computed};
    ESP_TRY(store_add_update(run->store, &u, error));
    char line[512];
    snprintf(line, sizeof line,
             "{\"phase\":\"%s\",\"iteration\":%lld,\"update\":%lld,\"loss\":%.6g,\"lr\":%.6g,\"grad_norm\":%."
             "6g,\"rows\":%lld,\"tokens\":%lld,"
             "\"tokens_computed\":%lld,\"seconds\":%.3f}",
             plan->phase, (long long)at->iteration, (long long)update, b->loss, rate, norm,
             (long long)b->rows, (long long)b->tokens, (long long)b->tokens_computed, seconds);
    return store_log(run->store, "update", line, error);
}

/* A checkpoint in the middle of a phase, and the position that points at it. */
static esp_status save_between(run_state *run, const store_position *position, const update_plan *plan,
                               int64_t update, esp_error *error) {
    store_position at = *position;
    at.update = update;
    snprintf(at.checkpoint, sizeof at.checkpoint, "%s-%lld-at-%lld", plan->phase,
             (long long)position->iteration, (long long)update);
    ESP_TRY(trainer_show_average(run->trainer, error)); /* the policy, in every checkpoint */
    ESP_TRY(checkpoint_write(run->folder, at.checkpoint, &run->session, run->model, run->trainer, error));
    ESP_TRY(store_position_set(run->store, &at, error));
    return checkpoint_tidy(run->folder, at.checkpoint, error);
}

/* The rate of update u of this phase, on the schedule of the whole run. */
static double rate_of(const update_plan *plan, int64_t u) {
    double share = plan->progress_first +
                   (plan->progress_last - plan->progress_first) * (double)u / (double)plan->updates;
    return schedule_rate(&plan->schedule, (int64_t)(share * (double)plan->schedule.total_steps));
}

esp_status run_updates(run_state *run, const store_position *position, const update_plan *plan,
                       const char *checkpoint, esp_error *error) {
    const recipe *r = run->session.recipe;
    const observer *o = &run->session.observer;
    char title[64];
    if (position->iteration)
        snprintf(title, sizeof title, "iteration %lld: %s", (long long)position->iteration, plan->phase);
    else
        snprintf(title, sizeof title, "%s", plan->phase);
    observer_begin(o, title, plan->updates, "updates");
    esp_status status = ESP_OK;
    int64_t u = position->update, tokens = 0;
    while (u < plan->updates && status == ESP_OK) {
        double start = clock_seconds(), norm;
        batch_report report;
        double rate = rate_of(plan, u);
        status = plan->add(plan->context, run->trainer, u, &report, error);
        if (status == ESP_OK) status = trainer_update(run->trainer, rate, &norm, error);
        if (status != ESP_OK) break;
        u++;
        double seconds = clock_seconds() - start;
        status = record(run, plan, position, u, rate, norm, &report, seconds, error);
        tokens += report.tokens;
        observer_tokens(o, tokens);
        observer_step(o, u, "loss %.4f, %.0f tok/s", report.loss, (double)report.tokens / seconds);
        bool stopped = session_stopped(&run->session);
        bool due = r->run.checkpoint_every > 0 && u % r->run.checkpoint_every == 0 && u < plan->updates;
        if (status == ESP_OK && (due || (stopped && u < plan->updates)))
            status = save_between(run, position, plan, u, error);
        if (status == ESP_OK && stopped && u < plan->updates)
            status = error_set(error, ESP_INTERRUPTED, NULL, "stopped after update %lld of %lld",
                               (long long)u, (long long)plan->updates);
    }
    observer_end(o);
    ESP_TRY(status);
    ESP_TRY(trainer_show_average(run->trainer, error));
    const trainer *kept = plan->optimizer_ends ? NULL : run->trainer;
    ESP_TRY(checkpoint_write(run->folder, checkpoint, &run->session, run->model, kept, error));
    run_holds(run, checkpoint);
    return ESP_OK;
}
