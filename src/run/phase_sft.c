/* Supervised warm-up: the gold rationales as the model would answer them, and, where the recipe asks, rows
 * that teach the form of self-evaluation. */
#include "run/judge_rows.h"
#include "run/phases.h"

#include <stdio.h>
#include <string.h>

static void push_row(sft_rows *out, const token_list *prompt, const token_list *completion,
                     int64_t max_length) {
    if (prompt->count + completion->count > max_length) {
        out->too_long++;
        return;
    }
    supervised_row row = {.prompt = arena_copy(out->memory, prompt->at, (size_t)prompt->count * 4),
                          .completion =
                              arena_copy(out->memory, completion->at, (size_t)completion->count * 4),
                          .prompt_count = prompt->count,
                          .completion_count = completion->count,
                          .weight = 1};
    out->at[out->count++] = row;
}

static esp_status add_rationale(const session *s, const lm_policy *p, const problem *problem, sft_rows *out,
                                esp_error *error) {
    token_list prompt = {0}, answer = {0};
    text_buffer text = {0};
    esp_status status = lm_prompt_ids(p, problem, &prompt, error);
    if (status == ESP_OK) status = task_sft_target(s->task, problem, &text, error);
    if (status == ESP_OK) status = lm_answer_ids(p, text.at, text.length, &answer, error);
    if (status == ESP_OK) push_row(out, &prompt, &answer, s->recipe->sft.max_length);
    MEM_LIST_FREE(&prompt);
    MEM_LIST_FREE(&answer);
    text_free(&text);
    return status;
}

static esp_status add_judge_row(const session *s, const lm_policy *p, const problem *problem, int64_t n,
                                sft_rows *out, esp_error *error) {
    judge_row row = {0};
    ESP_TRY(judge_row_make(p, problem, s->recipe->self_eval.example, (uint64_t)s->recipe->run.seed, n, &row,
                           error));
    token_list verdict = {.at = &row.verdict, .count = 1};
    push_row(out, &row.prompt, &verdict, s->recipe->sft.max_length);
    judge_row_free(&row);
    return ESP_OK;
}

esp_status sft_rows_build(const session *s, const lm_policy *p, sft_rows *out, esp_error *error) {
    const recipe *r = s->recipe;
    int64_t n = r->sft.limit > 0 && r->sft.limit < s->train.count ? r->sft.limit : s->train.count;
    int64_t judges = 0;
    for (int64_t i = 0; i < n; i++) judges += judge_rows_due(r->sft.judge_examples, i);
    *out = (sft_rows){.memory = arena_new()};
    out->at = arena_alloc(out->memory, sizeof *out->at * (size_t)(n + judges));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++)
        status = add_rationale(s, p, &s->train.at[i], out, error);
    out->rationales = out->count;
    for (int64_t i = 0; i < n; i++)
        for (int64_t turn = 0; turn < judge_rows_due(r->sft.judge_examples, i) && status == ESP_OK; turn++)
            status = add_judge_row(s, p, &s->train.at[i], turn, out, error);
    out->judge = out->count - out->rationales;
    if (status == ESP_OK && out->count == 0)
        status = error_fail(error, "raise sft.max_length", "no training row is within %lld tokens",
                            (long long)r->sft.max_length);
    if (status != ESP_OK) sft_rows_free(out);
    return status;
}

void sft_rows_free(sft_rows *rows) {
    arena_free(rows->memory);
    *rows = (sft_rows){0};
}

typedef struct {
    const session *session;
    const sft_rows *rows;
    int64_t per_epoch, epoch; /* updates an epoch; the epoch that `order` is of, -1 for none */
    int64_t *order;
    supervised_row *batch;
} sft_work;

static esp_status add_batch(void *context, trainer *t, int64_t update, batch_report *report,
                            esp_error *error) {
    sft_work *w = context;
    const recipe *r = w->session->recipe;
    int64_t epoch = update / w->per_epoch, first = update % w->per_epoch * r->sft.batch, n = 0;
    if (epoch != w->epoch)
        rng_shuffle(rng_mix(rng_mix(rng_key((uint64_t)r->run.seed), 0x736674), (uint64_t)epoch), w->order,
                    w->rows->count);
    w->epoch = epoch;
    for (int64_t i = first; i < w->rows->count && n < r->sft.batch; i++)
        w->batch[n++] = w->rows->at[w->order[i]];
    return trainer_add_supervised(t, w->batch, n, report, error);
}

/* The rows need the policy's way of writing prompts, not its cache: a small one. */
static esp_status build_rows(run_state *run, sft_rows *rows, esp_error *error) {
    lm_settings settings = session_lm_settings(&run->session);
    settings.kv_tokens = 64;
    lm_policy *policy;
    ESP_TRY(lm_new(&policy, run->model, run->session.tokenizer, run->session.task, run->session.chat,
                   &settings, error));
    esp_status status = sft_rows_build(&run->session, policy, rows, error);
    lm_free(policy);
    return status;
}

esp_status phase_sft(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    if (r->sft.epochs == 0 || !(run->parts & RUN_SFT)) {
        store_position next = run_after(run, position, position->checkpoint);
        return store_position_set(run->store, &next, error);
    }
    trainer_settings settings = recipe_sft_settings(r);
    ESP_TRY(run_load_policy(run, position->checkpoint, &settings, error));
    sft_rows rows;
    ESP_TRY(build_rows(run, &rows, error));
    if (position->update == 0)
        observer_note(&run->session.observer,
                      "sft: %lld rationales, %lld judge rows, %lld rows longer than %lld tokens left out",
                      (long long)rows.rationales, (long long)rows.judge, (long long)rows.too_long,
                      (long long)r->sft.max_length);
    sft_work work = {.session = &run->session,
                     .rows = &rows,
                     .per_epoch = (rows.count + r->sft.batch - 1) / r->sft.batch,
                     .epoch = -1};
    work.order = MEM_ARRAY(int64_t, rows.count);
    work.batch = MEM_ARRAY(supervised_row, r->sft.batch);
    int64_t updates = work.per_epoch * r->sft.epochs;
    update_plan plan = {.phase = "sft",
                        .updates = updates,
                        .schedule = recipe_sft_schedule(r, updates),
                        .progress_last = 1,
                        .optimizer_ends = true, /* preferences start with a fresh one */
                        .add = add_batch,
                        .context = &work};
    esp_status status = run_updates(run, position, &plan, "sft", error);
    if (status == ESP_OK) {
        store_position next = run_after(run, position, "sft");
        status = store_position_set(run->store, &next, error);
    }
    trainer_free(run->trainer);
    run->trainer = NULL;
    mem_free(work.order);
    mem_free(work.batch);
    sft_rows_free(&rows);
    return status;
}
