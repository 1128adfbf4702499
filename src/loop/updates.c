#include "loop/updates.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    run_state *run;
    const store_position *position;
    const update_plan *plan;
    int64_t tokens; /* learned from so far */
} phase_updates;

esp_status record_update(run_state *run, const char *phase, int64_t iteration, const update_report *u,
                         esp_error *error) {
    const learn_report *b = &u->batch;
    store_value metrics[LEARN_METRICS];
    for (int i = 0; i < b->metric_count; i++)
        metrics[i] = (store_value){b->metrics[i].name, b->metrics[i].value};
    store_update row = {.phase = phase,
                        .iteration = iteration,
                        .update = u->update,
                        .rows = b->rows,
                        .loss = b->loss,
                        .lr = u->rate,
                        .grad_norm = u->grad_norm,
                        .tokens = b->tokens,
                        .tokens_computed = b->tokens_computed,
                        .metrics = metrics,
                        .metric_count = b->metric_count};
    ESP_TRY(store_add_update(run->store, &row, error));
    char line[512];
    snprintf(line, sizeof line,
             "{\"phase\":\"%s\",\"iteration\":%lld,\"update\":%lld,\"loss\":%.6g,\"lr\":%.6g,\"grad_norm\":%."
             "6g,\"rows\":%lld,\"tokens\":%lld,"
             "\"tokens_computed\":%lld,\"seconds\":%.3f}",
             row.phase, (long long)row.iteration, (long long)row.update, row.loss, row.lr, row.grad_norm,
             (long long)row.rows, (long long)row.tokens, (long long)row.tokens_computed, u->seconds);
    return store_log(run->store, "update", line, error);
}

/* A checkpoint in the middle of a phase, and the position that points at it. */
static esp_status save_between(const phase_updates *p, int64_t update, esp_error *error) {
    run_state *run = p->run;
    store_position at = *p->position;
    at.update = update;
    checkpoint_name_between(at.checkpoint, at.iteration, update);
    ESP_TRY(trainer_show_average(run->trainer, error)); /* the policy, in every checkpoint */
    ESP_TRY(run_write_checkpoint(run, at.checkpoint, run->trainer, error));
    ESP_TRY(run_move(run, &at, error));
    return run_tidy(run, &at, error);
}

/* The rate of update u of this phase, on the schedule of the whole run. */
static double rate_of(const void *context, int64_t u) {
    const update_plan *plan = ((const phase_updates *)context)->plan;
    double share = plan->progress_first +
                   (plan->progress_last - plan->progress_first) * (double)u / (double)plan->updates;
    return schedule_rate(&plan->schedule, (int64_t)(share * (double)plan->schedule.total_steps));
}

/* After an update: its record, and where it is due or the run was stopped, a checkpoint. */
static esp_status finish_update(void *context, const update_report *u, esp_error *error) {
    phase_updates *p = context;
    const observer *o = &p->run->session.observer;
    int64_t every = p->run->session.recipe->run.checkpoint_every;
    ESP_TRY(record_update(p->run, p->plan->phase, p->position->iteration, u, error));
    p->tokens += u->batch.tokens;
    observer_tokens(o, p->tokens);
    observer_step(o, u->update, "loss %.4f, %.0f tok/s", u->batch.loss, (double)u->batch.tokens / u->seconds);
    if (u->update == p->plan->updates) return ESP_OK;
    bool stopped = session_stopped(&p->run->session), due = every > 0 && u->update % every == 0;
    if (due || stopped) ESP_TRY(save_between(p, u->update, error));
    if (!stopped) return ESP_OK;
    return error_set(error, ESP_INTERRUPTED, NULL, "stopped after update %lld of %lld", (long long)u->update,
                     (long long)p->plan->updates);
}

static esp_status make_updates(phase_updates *p, esp_error *error) {
    const observer *o = &p->run->session.observer;
    char title[64];
    if (p->position->iteration)
        snprintf(title, sizeof title, "iteration %lld: %s", (long long)p->position->iteration,
                 p->plan->phase);
    else
        snprintf(title, sizeof title, "%s", p->plan->phase);
    observer_begin(o, title, p->plan->updates, "updates");
    updates_plan plan = {.batches = p->plan->batches,
                         .beside = p->plan->beside,
                         .first = p->position->update,
                         .count = p->plan->updates,
                         .rate = rate_of,
                         .done = finish_update,
                         .context = p};
    esp_status status = updates_make(p->run->trainer, &plan, error);
    observer_end(o);
    return status;
}

esp_status run_updates(run_state *run, const store_position *position, const update_plan *plan,
                       const char *checkpoint, esp_error *error) {
    phase_updates updates = {.run = run, .position = position, .plan = plan};
    ESP_TRY(make_updates(&updates, error));
    ESP_TRY(trainer_show_average(run->trainer, error));
    const trainer *kept = plan->optimizer_ends ? NULL : run->trainer;
    ESP_TRY(run_write_checkpoint(run, checkpoint, kept, error));
    run_holds(run, checkpoint);
    return ESP_OK;
}
