#include "loop/learn_file.h"

#include "learn/schedule.h"
#include "recipe/convert.h"
#include "recipe/session.h"

#include <math.h>
#include <string.h>

/* One training at work. */
typedef struct {
    const learn_file_job *job;
    recipe_terms terms;
    pairs_file pairs;
    example_list examples;
    batches *batches;
    schedule schedule;
    int64_t updates;
} file_training;

static esp_status check_stop(const file_training *t, esp_error *error) {
    if (!t->job->stop || !*t->job->stop) return ESP_OK;
    return error_set(error, ESP_INTERRUPTED, NULL, "stopped");
}

/* ---- pairs ---- */

/* Tokens of a path: as many as the model takes, and the recipe allows. */
static int64_t longest(const recipe *r, const model *m) {
    int64_t context = model_context(m), wanted = r->learn.max_length;
    return wanted > 0 && wanted < context ? wanted : context;
}

static esp_status read_pairs(file_training *t, esp_error *error) {
    const learn_file_job *job = t->job;
    const recipe *r = job->recipe;
    pairs_read_options options = {.tokenizer = job->tokenizer,
                                  .vocab = model_configuration(job->model)->vocab,
                                  .smoothing_cap = r->search.harvest.smoothing_cap,
                                  .append_end = job->append_end,
                                  .boundary = job->boundary,
                                  .longest = longest(r, job->model),
                                  .term = &t->terms.loss};
    bool chosen =
        strcmp(r->model.chat_template, "auto") != 0 || r->model.chat_head[0] || r->model.chat_tail[0];
    chat *chat = NULL;
    if (job->tokenizer && recipe_open_chat(r, job->tokenizer, &chat, chosen ? error : NULL) != ESP_OK &&
        chosen)
        return ESP_FAILED;
    pairs_set_template(&options, chat, chosen);
    esp_status status = pairs_read(&t->pairs, job->path, &options, error);
    chat_free(chat);
    ESP_TRY(status);
    pairs_notes(&t->pairs.counts, options.longest, &job->observer);
    return ESP_OK;
}

static esp_status scored(void *context, int64_t done, esp_error *error) {
    const file_training *t = context;
    observer_step(&t->job->observer, done, NULL);
    return check_stop(t, error);
}

/* Pairs without references in the file are scored under the starting weights. */
static esp_status set_references(file_training *t, esp_error *error) {
    const learn_file_job *job = t->job;
    int64_t unknown = examples_without_reference(t->pairs.at, t->pairs.count);
    if (unknown == 0) return ESP_OK;
    observer_begin(&job->observer, "reference log-probs", unknown, "pairs");
    esp_status status = examples_set_references(job->model, t->pairs.at, t->pairs.count,
                                                job->recipe->learn.tokens_per_microbatch, scored, t, error);
    observer_end(&job->observer);
    return status;
}

/* ---- updates ---- */

static esp_status make_batches(file_training *t, esp_error *error) {
    const recipe *r = t->job->recipe;
    const objective_term *likelihood = t->terms.likelihood.weight > 0 ? &t->terms.likelihood : NULL;
    for (int64_t i = 0; i < t->pairs.count; i++)
        example_list_add_pair(&t->examples, &t->pairs.at[i], likelihood);
    t->batches = batches_new(t->examples.at, t->examples.count,
                             &(batches_options){.batch = r->learn.batch,
                                                .shuffle = t->job->shuffle,
                                                .key = rng_key((uint64_t)r->run.seed)});
    t->updates = r->learn.steps ? r->learn.steps : r->learn.epochs * batches_per_epoch(t->batches);
    t->schedule = recipe_learn_schedule(r, t->updates);
    return schedule_check(&t->schedule, error);
}

static double rate_of(const void *context, int64_t update) {
    const file_training *t = context;
    return schedule_rate(&t->schedule, update);
}

/* docs/method.md 5.5: when both log-probs have fallen below the reference's, it is said in words. */
static void note_falling(file_training *t, const update_report *u) {
    int64_t n, pairs = 0;
    const example *batch = batches_take(t->batches, u->update - 1, &n);
    double chosen = 0, rejected = 0;
    for (int64_t i = 0; i < n; i++) {
        if (batch[i].same_row) continue;
        chosen += batch[i].path[0].reference;
        rejected += batch[i].path[1].reference;
        pairs++;
    }
    chosen = learn_report_metric(&u->batch, "logp_chosen") - chosen / (double)pairs;
    rejected = learn_report_metric(&u->batch, "logp_rejected") - rejected / (double)pairs;
    if (chosen < -0.5 && rejected < -0.5)
        observer_note(&t->job->observer,
                      "the chosen steps became less likely too: log-prob %+.2f for chosen, %+.2f for "
                      "rejected, against the reference",
                      chosen, rejected);
}

static esp_status updated(void *context, const update_report *u, esp_error *error) {
    file_training *t = context;
    ESP_TRY(t->job->updated(t->job->context, u, error));
    observer_step(&t->job->observer, u->update, "loss %.4f", u->batch.loss);
    if (u->update == t->updates) note_falling(t, u);
    return check_stop(t, error);
}

static esp_status make_updates(file_training *t, esp_error *error) {
    const learn_file_job *job = t->job;
    trainer *trainer;
    trainer_settings settings = recipe_learn_settings(job->recipe);
    ESP_TRY(trainer_new(&trainer, job->model, &settings, error));
    observer_begin(&job->observer, "train", t->updates, "updates");
    updates_plan plan = {
        .batches = t->batches, .count = t->updates, .rate = rate_of, .done = updated, .context = t};
    esp_status status = updates_make(trainer, &plan, error);
    observer_end(&job->observer);
    if (status == ESP_OK) status = trainer_show_average(trainer, error);
    trainer_free(trainer);
    return status;
}

esp_status learn_file(const learn_file_job *job, esp_error *error) {
    file_training t = {.job = job};
    recipe_terms_read(job->recipe, false, &t.terms);
    ESP_TRY(read_pairs(&t, error));
    esp_status status = set_references(&t, error);
    if (status == ESP_OK) status = make_batches(&t, error);
    if (status == ESP_OK) status = make_updates(&t, error);
    batches_free(t.batches);
    MEM_LIST_FREE(&t.examples);
    pairs_file_free(&t.pairs);
    return status;
}
