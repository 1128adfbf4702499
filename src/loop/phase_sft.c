/* Supervised warm-up: the gold rationales as the model would answer them, and, where the recipe asks, rows
 * that teach self-evaluation. */
#include "learn/objective.h"
#include "loop/judge_rows.h"
#include "loop/phases.h"
#include "loop/updates.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Rows to learn from, in the order of the problems. */
typedef struct {
    learn_path *at;
    int64_t count, capacity, rationales, judge, too_long;
    arena *memory;
} sft_rows;

static void push_row(sft_rows *out, const token_list *prompt, const token_list *completion,
                     int64_t max_length) {
    if (prompt->count + completion->count > max_length) {
        out->too_long++;
        return;
    }
    learn_path row = {.prefix = arena_copy(out->memory, prompt->at, (size_t)prompt->count * 4),
                      .tail = arena_copy(out->memory, completion->at, (size_t)completion->count * 4),
                      .prefix_count = prompt->count,
                      .tail_count = completion->count};
    MEM_LIST_PUSH(out, row);
}

static esp_status add_rationale(const session *s, const problem *problem, sft_rows *out, esp_error *error) {
    token_list prompt = {0}, answer = {0};
    text_buffer text = {0};
    esp_status status = prompt_ids(s->words, problem, &prompt, error);
    if (status == ESP_OK) status = task_sft_target(s->task, problem, &text, error);
    if (status == ESP_OK) status = prompt_answer_ids(s->words, text.at, text.length, &answer, error);
    if (status == ESP_OK) push_row(out, &prompt, &answer, s->recipe->sft.max_length);
    MEM_LIST_FREE(&prompt);
    MEM_LIST_FREE(&answer);
    text_free(&text);
    return status;
}

static void rows_free(sft_rows *rows) {
    arena_free(rows->memory);
    MEM_LIST_FREE(rows);
    *rows = (sft_rows){0};
}

static void push_judge_row(const session *s, const judge_row *row, sft_rows *out) {
    token_list verdict = {.at = (int32_t *)&row->verdict, .count = 1};
    push_row(out, &row->prompt, &verdict, s->recipe->sft.max_length);
}

/* The problems whose worked solutions are learned: data.sft's, else the first ones to search. */
static const problem_set *worked(const session *s) {
    return s->sft.count > 0 ? &s->sft : &s->train;
}

/* Gold rationales, right or with a mistake put in. */
static esp_status add_corrupted_rows(const session *s, int64_t n, sft_rows *out, esp_error *error) {
    const recipe *r = s->recipe;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t turn = 0; turn < judge_rows_due(r->sft.judge_examples, i); turn++) {
            judge_row row = {0};
            ESP_TRY(judge_row_make(s->words, &worked(s)->at[i], r->self_eval.example, (uint64_t)r->run.seed,
                                   turn, &row, error));
            push_judge_row(s, &row, out);
            judge_row_free(&row);
        }
    }
    return ESP_OK;
}

/* The problems that own chains are sampled on: the rationales' own, or, with sft.judge_limit, the first ones
 * to search whose rationales are not learned. */
static esp_status own_problems(const session *s, int64_t rationales, const problem **first, int64_t *count,
                               esp_error *error) {
    if (worked(s) != &s->train && s->recipe->sft.judge_limit > 0) rationales = 0;
    int64_t most = s->recipe->sft.judge_limit, left = s->train.count - rationales;
    *first = most > 0 ? s->train.at + rationales : worked(s)->at;
    *count = most > 0 ? most : rationales;
    if (most <= left) return ESP_OK;
    return error_fail(error,
                      "lower sft.limit (the rationales' problems) or sft.judge_limit, or set "
                      "sft.judge_limit: 0 to sample on the rationales' own problems",
                      "sft.judge_limit is %lld, but of %lld training problems %lld are the rationales'",
                      (long long)most, (long long)s->train.count, (long long)rationales);
}

static int64_t judge_rows_of(double rate, int64_t problems) {
    return (int64_t)floor(rate * (double)problems);
}

static void note_own(const session *s, const judge_own_counts *c, int64_t rows) {
    double all = c->chains > 0 ? (double)c->chains : 1;
    char unknown[64] = "";
    if (c->unknown > 0)
        snprintf(unknown, sizeof unknown, ", %.1f%% that cannot be judged", 100 * (double)c->unknown / all);
    observer_note(
        &s->observer,
        "sft: %lld own chains, %.1f%% of them correct, %.1f%% unfinished%s; %lld judge rows, half of "
        "them correct, from %lld correct and %lld incorrect beginnings",
        (long long)c->chains, 100 * (double)c->right / all, 100 * (double)c->unfinished / all, unknown,
        (long long)rows, (long long)c->right_cuts, (long long)c->wrong_cuts);
}

static esp_status add_own_rows(session *s, sampler *p, int64_t n, sft_rows *out, esp_error *error) {
    const problem *first;
    int64_t count;
    ESP_TRY(own_problems(s, n, &first, &count, error));
    int64_t want = judge_rows_of(s->recipe->sft.judge_examples, count);
    if (want == 0) return ESP_OK;
    judge_row_list rows;
    judge_own_counts counts;
    ESP_TRY(judge_rows_own(s, p, first, count, want, &rows, &counts, error));
    note_own(s, &counts, rows.count);
    for (int64_t i = 0; i < rows.count; i++) push_judge_row(s, &rows.at[i], out);
    judge_row_list_free(&rows);
    return ESP_OK;
}

/* Problems that SFT takes rationales of: with none to be taught, all are free to be sampled on. */
static int64_t rationale_problems(const session *s) {
    const recipe *r = s->recipe;
    if (r->sft.rationale_examples == 0 && r->sft.judge_limit > 0) return 0;
    int64_t all = worked(s)->count;
    return r->sft.limit > 0 && r->sft.limit < all ? r->sft.limit : all;
}

/* p: the policy that own chains are sampled from; NULL where sft.judge_source is not own. Freed by rows_free.
 */
static esp_status make_rows(session *s, sampler *p, sft_rows *out, esp_error *error) {
    const recipe *r = s->recipe;
    int64_t n = rationale_problems(s);
    *out = (sft_rows){.memory = arena_new()};
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++)
        if (judge_rows_due(r->sft.rationale_examples, i) > 0)
            status = add_rationale(s, &worked(s)->at[i], out, error);
    out->rationales = out->count;
    if (status == ESP_OK)
        status = r->sft.judge_source == RECIPE_JUDGE_OWN ? add_own_rows(s, p, n, out, error)
                                                         : add_corrupted_rows(s, n, out, error);
    out->judge = out->count - out->rationales;
    if (status == ESP_OK && out->count == 0)
        status = error_fail(error, "raise sft.max_length, sft.rationale_examples or sft.judge_examples",
                            "there is no training row within %lld tokens", (long long)r->sft.max_length);
    if (status != ESP_OK) rows_free(out);
    return status;
}

/* Own chains are sampled from the policy as it was given. */
static esp_status build_rows(run_state *run, sft_rows *rows, esp_error *error) {
    const recipe *r = run->session.recipe;
    if (r->sft.judge_source != RECIPE_JUDGE_OWN || r->sft.judge_examples == 0)
        return make_rows(&run->session, NULL, rows, error);
    lm_settings settings = session_lm_settings(&run->session);
    sampler *policy;
    ESP_TRY(run_load_policy(run, "", NULL, error));
    ESP_TRY(lm_new(&policy, run->model, run->session.words, &settings, error));
    esp_status status = make_rows(&run->session, policy, rows, error);
    sampler_free(policy);
    return status;
}

static esp_status learn_rows(run_state *run, const store_position *position, const sft_rows *rows,
                             esp_error *error) {
    const recipe *r = run->session.recipe;
    trainer_settings settings = recipe_sft_settings(r);
    ESP_TRY(run_load_policy(run, position->checkpoint, &settings, error));
    const objective_term term = {.of = &objective_nll, .weight = 1, .mean = MEAN_OVER_TOKENS};
    example *examples = MEM_ARRAY(example, rows->count);
    for (int64_t i = 0; i < rows->count; i++)
        examples[i] = (example){.path = {rows->at[i]}, .term = &term, .group = -1};
    batches *b = batches_new(examples, rows->count,
                             &(batches_options){.batch = r->sft.batch,
                                                .shuffle = true,
                                                .key = rng_mix(rng_key((uint64_t)r->run.seed), 0x736674)});
    int64_t updates = batches_per_epoch(b) * r->sft.epochs;
    update_plan plan = {.phase = "sft",
                        .batches = b,
                        .updates = updates,
                        .schedule = recipe_sft_schedule(r, updates),
                        .progress_last = 1,
                        .optimizer_ends = true}; /* preferences have an optimizer of their own */
    esp_status status = run_updates(run, position, &plan, "sft", error);
    trainer_free(run->trainer);
    run->trainer = NULL;
    batches_free(b);
    mem_free(examples);
    return status;
}

esp_status phase_sft(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    if (r->sft.epochs == 0 || !(run->phases & RUN_SFT)) {
        store_position next = phase_after(run->session.recipe, run->phases, position, position->checkpoint);
        return run_move(run, &next, error);
    }
    sft_rows rows;
    ESP_TRY(build_rows(run, &rows, error));
    if (position->update == 0)
        observer_note(&run->session.observer,
                      "sft: %lld rationales, %lld judge rows, %lld rows longer than %lld tokens left out",
                      (long long)rows.rationales, (long long)rows.judge, (long long)rows.too_long,
                      (long long)r->sft.max_length);
    esp_status status = learn_rows(run, position, &rows, error);
    rows_free(&rows);
    ESP_TRY(status);
    store_position next = phase_after(run->session.recipe, run->phases, position, "sft");
    return run_move(run, &next, error);
}
