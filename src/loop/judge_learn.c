#include "loop/judge_learn.h"

#include "loop/updates.h"
#include "recipe/convert.h"

/* Keeps these random numbers apart from all others of a run ("judgl"). */
static const uint64_t learn_word = 0x6a7564676c;

/* Parts of the schedule an iteration has (loop/phase_learn.c). */
enum { SCHEDULE_PARTS = 10000 };

static bool is_taught(const run_state *run) {
    const recipe *r = run->session.recipe;
    return r->search.config.rewards.judge && r->self_eval.rows > 0;
}

static esp_status read_rows(run_state *run, int64_t iteration, const objective_term *term,
                            judge_examples *out, esp_error *error) {
    const session *s = &run->session;
    const recipe *r = s->recipe;
    tree_row_list rows = {0};
    *out = (judge_examples){0};
    esp_status status = tree_rows_gather(run->store, iteration, r->self_eval.rows, r->self_eval.buffer,
                                         (uint64_t)r->run.seed, &rows, error);
    judge_examples_options options = {
        .kind = r->search.config.rewards.judge_kind,
        .shown = r->self_eval.example == RECIPE_EXAMPLE_GOLD ? EXAMPLE_SHOWN_HALF : EXAMPLE_SHOWN_NEVER,
        .max_length = r->learn.max_length};
    if (status == ESP_OK)
        status = judge_examples_make(run->store, s->words, s->train.at, &rows, &options, term, out, error);
    MEM_LIST_FREE(&rows);
    if (status == ESP_OK && out->too_long > 0)
        observer_note(&s->observer, "iteration %lld: %lld rows of the judge longer than %lld tokens left out",
                      (long long)iteration, (long long)out->too_long, (long long)r->learn.max_length);
    return status;
}

static batches *deal(const run_state *run, int64_t iteration, const judge_examples *rows, int64_t per_epoch) {
    const recipe *r = run->session.recipe;
    rng_key_t key = rng_mix(rng_key((uint64_t)r->run.seed), learn_word);
    return batches_new(rows->examples.at, rows->examples.count,
                       &(batches_options){.batch = r->learn.batch,
                                          .per_epoch = per_epoch,
                                          .shuffle = true,
                                          .key = rng_mix(key, (uint64_t)iteration)});
}

/* ---- own weights ---- */

typedef struct {
    run_state *run;
    int64_t iteration, updates;
    schedule schedule;
    double first, last; /* of the updates, margin and accuracy before and after */
} own_updates;

/* At the place of the iteration's policy updates on the schedule of the whole run. */
static double rate_of(const void *context, int64_t u) {
    const own_updates *w = context;
    const recipe *r = w->run->session.recipe;
    double done = (double)(w->iteration - 1) + (double)u / (double)w->updates;
    return r->self_eval.rate * schedule_rate(&w->schedule, (int64_t)(done * SCHEDULE_PARTS));
}

static esp_status finish_update(void *context, const update_report *u, esp_error *error) {
    const own_updates *w = context;
    const observer *o = &w->run->session.observer;
    ESP_TRY(record_update(w->run, "judge", w->iteration, u, error));
    observer_step(o, u->update, "loss %.4f", u->batch.loss);
    if (session_stopped(&w->run->session))
        return error_set(error, ESP_INTERRUPTED, NULL, "stopped while the judge learned");
    return ESP_OK;
}

static esp_status learn_own(run_state *run, int64_t iteration, const judge_examples *rows, esp_error *error) {
    const recipe *r = run->session.recipe;
    const observer *o = &run->session.observer;
    if (rows->examples.count == 0) return ESP_OK;
    batches *b = deal(run, iteration, rows, 0);
    own_updates w = {.run = run,
                     .iteration = iteration,
                     .updates = batches_per_epoch(b),
                     .schedule = recipe_learn_schedule(r, r->run.iterations * SCHEDULE_PARTS)};
    char title[64];
    snprintf(title, sizeof title, "iteration %lld: judge", (long long)iteration);
    observer_begin(o, title, w.updates, "updates");
    updates_plan plan = {
        .batches = b, .count = w.updates, .rate = rate_of, .done = finish_update, .context = &w};
    esp_status status = updates_make(run->judge_trainer, &plan, error);
    observer_end(o);
    batches_free(b);
    return status;
}

esp_status judge_learn(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    if (r->self_eval.weights != RECIPE_WEIGHTS_OWN || !r->search.config.rewards.judge) return ESP_OK;
    trainer_settings settings = recipe_learn_settings(r);
    settings.average = 0;
    ESP_TRY(run_load_judge(run, position->checkpoint, &settings, error));
    if (position->update > 0 || !is_taught(run)) return ESP_OK;
    const objective_term term = {.of = &objective_verdict, .weight = 1, .mean = MEAN_OVER_EXAMPLES};
    judge_examples rows;
    mem_free(run->in_judge); /* from here on it is no checkpoint's, until the next one is written */
    run->in_judge = NULL;
    esp_status status = read_rows(run, position->iteration, &term, &rows, error);
    if (status == ESP_OK) status = learn_own(run, position->iteration, &rows, error);
    judge_examples_free(&rows);
    return status;
}

/* ---- shared weights ---- */

esp_status judge_beside_make(run_state *run, int64_t iteration, int64_t updates, judge_beside *out,
                             esp_error *error) {
    const recipe *r = run->session.recipe;
    *out = (judge_beside){
        .term = {.of = &objective_verdict, .weight = r->self_eval.weight, .mean = MEAN_OVER_EXAMPLES}};
    if (!is_taught(run) || r->self_eval.weights == RECIPE_WEIGHTS_OWN || updates == 0) return ESP_OK;
    ESP_TRY(read_rows(run, iteration, &out->term, &out->rows, error));
    if (out->rows.examples.count >= updates) out->batches = deal(run, iteration, &out->rows, updates);
    return ESP_OK;
}

void judge_beside_free(judge_beside *b) {
    batches_free(b->batches);
    judge_examples_free(&b->rows);
}
