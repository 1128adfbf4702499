/* The training steps of `espalier bench`. */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "learn/trainer.h"
#include "learn/pairs.h"
#include "recipe/recipe.h"
#include "text/chat.h"

#include <math.h>

/* ---- Made-up pairs ---- */

enum {
    PROBLEMS = 4,
    DEPTH = 4,
    PAIRS_A_DEPTH = 2,
    PROMPT = 144, /* tokens, as in a search over GSM8K: what dpo-32-pairs of the peers has */
    STEP = 24,
    PAIRS = PROBLEMS * DEPTH * PAIRS_A_DEPTH,
    LONGEST = PROMPT + DEPTH * STEP,
};

static int32_t random_id(uint64_t a, uint64_t b, uint64_t i, int64_t vocab) {
    return (int32_t)rng_below(rng_mix(rng_key(a + 1), b), i, (uint64_t)vocab);
}

/* The pairs of PROBLEMS trees. A depth has PAIRS_A_DEPTH pairs of steps behind the committed path; the path
 * goes on through the first pair's chosen step. ids: [PROBLEMS][LONGEST] paths, then the steps. */
static preference_row *made_up_pairs(int32_t *paths, int32_t *steps, int64_t vocab) {
    preference_row *rows = MEM_ARRAY(preference_row, PAIRS);
    int64_t n = 0;
    for (int64_t p = 0; p < PROBLEMS; p++) {
        int32_t *path = paths + p * LONGEST;
        for (int64_t i = 0; i < PROMPT; i++) path[i] = random_id((uint64_t)p, 0, (uint64_t)i, vocab);
        for (int64_t depth = 0; depth < DEPTH; depth++) {
            int64_t prefix = PROMPT + depth * STEP;
            for (int64_t k = 0; k < PAIRS_A_DEPTH; k++, n++) {
                int32_t *chosen = steps + 2 * n * STEP, *rejected = chosen + STEP;
                for (int64_t i = 0; i < (int64_t)2 * STEP; i++)
                    chosen[i] = random_id((uint64_t)p, (uint64_t)n + 1, (uint64_t)i, vocab);
                for (int64_t i = 0; k == 0 && i < STEP; i++) path[prefix + i] = chosen[i];
                rows[n] = (preference_row){.prefix = path,
                                           .chosen = chosen,
                                           .rejected = rejected,
                                           .prefix_count = prefix,
                                           .chosen_count = STEP,
                                           .rejected_count = STEP,
                                           .ref_chosen = NAN,
                                           .ref_rejected = NAN};
            }
        }
    }
    return rows;
}

/* ---- A step ---- */

/* Tokens that are learned from at a time where a recipe does not say. */
static esp_status default_microbatch(int64_t *tokens, esp_error *error) {
    recipe *r;
    ESP_TRY(recipe_load(&r, NULL, NULL, 0, error));
    *tokens = r->learn.tokens_per_microbatch;
    recipe_free(r);
    return ESP_OK;
}

typedef struct {
    const preference_row *pairs;
    const supervised_row *chains;
    int64_t count;
} step_rows;

/* Gradients and the update together. */
static esp_status take_step(trainer *t, const step_rows *rows, batch_report *report, double *took,
                            esp_error *error) {
    loss_options loss = loss_defaults();
    double began = clock_seconds();
    if (rows->pairs)
        ESP_TRY(trainer_add_preferences(t, rows->pairs, rows->count, &loss, report, error));
    else
        ESP_TRY(trainer_add_supervised(t, rows->chains, rows->count, report, error));
    ESP_TRY(trainer_update(t, 1e-6, NULL, error));
    *took = clock_seconds() - began;
    return ESP_OK;
}

/* A step of N parameters and `tokens` is 6 N tokens operations (forward 2, backward 4), of the tokens in the
 * rows. */
static json_t *step_json(const bench_place *b, const batch_report *r, const bench_laps *laps, double wall,
                         double cpu) {
    json_t *out = json_pack("{sI sI sI sb}", "rows", (json_int_t)r->rows, "tokens", (json_int_t)r->tokens,
                            "tokens_computed", (json_int_t)r->tokens_computed, "recompute", b->recompute);
    bench_put_seconds(out, laps);
    bench_put_rate(out, "tokens_per_second", (double)r->tokens, laps);
    bench_put_rate(out, "tokens_computed_per_second", (double)r->tokens_computed, laps);
    bench_put_limit(b, out, BENCH_STEP, (double)r->tokens / bench_best(laps));
    json_object_set_new(out, "time", bench_time_shares(b, wall, cpu, -1));
    return out;
}

/* A warm-up, the laps, and one with the clock on. */
static esp_status time_steps(bench_place *b, const step_rows *rows, json_t **out, esp_error *error) {
    trainer *t;
    trainer_settings settings = trainer_defaults();
    ESP_TRY(default_microbatch(&settings.microbatch_tokens, error));
    bench_laps laps = {.count = 0};
    batch_report report = {0};
    double took = 0, cpu = 0;
    ESP_TRY(trainer_new(&t, b->model, &settings, error));
    esp_status status = ESP_OK;
    for (int i = 0; i < b->repeats + 2 && status == ESP_OK; i++) {
        if (i > b->repeats) compute_clock_start(b->clock);
        cpu = bench_cpu_seconds();
        status = take_step(t, rows, &report, &took, error);
        cpu = bench_cpu_seconds() - cpu;
        if (i > 0 && i <= b->repeats) bench_lap(&laps, took);
    }
    compute_clock_stop(b->clock);
    if (status == ESP_OK) *out = step_json(b, &report, &laps, took, cpu);
    trainer_free(t);
    return status;
}

/* ---- DPO ---- */

/* Reference log-probs by one tree pass, timed: what a step costs more where nobody knows them. */
static esp_status score_references(bench_place *b, preference_row *rows, int64_t count, bench_laps *laps,
                                   esp_error *error) {
    int64_t microbatch;
    ESP_TRY(default_microbatch(&microbatch, error));
    double *chosen = MEM_ARRAY(double, count), *rejected = MEM_ARRAY(double, count);
    esp_status status = ESP_OK;
    for (int i = 0; i < b->repeats + 1 && status == ESP_OK; i++) {
        double began = clock_seconds();
        status = score_preferences(b->model, rows, count, microbatch, chosen, rejected, error);
        if (i > 0) bench_lap(laps, clock_seconds() - began);
    }
    for (int64_t i = 0; i < count && status == ESP_OK; i++) {
        rows[i].ref_chosen = chosen[i];
        rows[i].ref_rejected = rejected[i];
    }
    mem_free(chosen);
    mem_free(rejected);
    return status;
}

static esp_status time_pairs(bench_place *b, preference_row *rows, int64_t count, json_t **out,
                             esp_error *error) {
    bench_laps reference = {.count = 0};
    step_rows step = {.pairs = rows, .count = count};
    ESP_TRY(score_references(b, rows, count, &reference, error));
    ESP_TRY(time_steps(b, &step, out, error));
    json_t *scored = json_object();
    bench_put_seconds(scored, &reference);
    json_object_set_new(*out, "reference", scored);
    return ESP_OK;
}

/* Rows of text end in end-of-sequence, as in `espalier train` and in TRL. */
static esp_status time_pairs_of_file(bench_place *b, json_t **out, esp_error *error) {
    pairs_file file;
    chat_kind chat = CHAT_PLAIN;
    if (b->tokenizer) (void)chat_template_detect(tokenizer_chat_template(b->tokenizer), &chat, NULL);
    int32_t end = b->tokenizer ? chat_end_token(chat, b->tokenizer) : -1;
    pairs_read_options options = {.tokenizer = b->tokenizer,
                                  .vocab = b->config.vocab,
                                  .append_end = end >= 0,
                                  .end = end,
                                  .max_length = model_context(b->model)};
    ESP_TRY(pairs_read(&file, b->pairs, &options, error));
    esp_status status = time_pairs(b, file.rows, file.count, out, error);
    pairs_file_free(&file);
    return status;
}

esp_status bench_dpo(bench_place *b, json_t **out, esp_error *error) {
    esp_status status;
    if (b->pairs[0]) {
        status = time_pairs_of_file(b, out, error);
    } else {
        int32_t *paths = MEM_ARRAY(int32_t, PROBLEMS * LONGEST),
                *steps = MEM_ARRAY(int32_t, 2 * PAIRS * STEP);
        preference_row *rows = made_up_pairs(paths, steps, b->config.vocab);
        status = time_pairs(b, rows, PAIRS, out, error);
        mem_free(rows);
        mem_free(steps);
        mem_free(paths);
    }
    if (status == ESP_OK)
        json_object_set_new(*out, "pairs", b->pairs[0] ? json_string(b->pairs) : json_string("made up"));
    return status;
}

/* ---- SFT ---- */

enum { SFT_ROWS = 16, SFT_PROMPT = 128, SFT_ANSWER = 96 };

esp_status bench_sft(bench_place *b, json_t **out, esp_error *error) {
    int64_t n = SFT_PROMPT + SFT_ANSWER;
    int32_t *ids = MEM_ARRAY(int32_t, SFT_ROWS * n);
    supervised_row rows[SFT_ROWS];
    for (int64_t r = 0; r < SFT_ROWS; r++) {
        for (int64_t i = 0; i < n; i++)
            ids[r * n + i] = random_id(100, (uint64_t)r, (uint64_t)i, b->config.vocab);
        rows[r] = (supervised_row){.prompt = ids + r * n,
                                   .completion = ids + r * n + SFT_PROMPT,
                                   .prompt_count = SFT_PROMPT,
                                   .completion_count = SFT_ANSWER,
                                   .weight = 1};
    }
    step_rows step = {.chains = rows, .count = SFT_ROWS};
    esp_status status = time_steps(b, &step, out, error);
    mem_free(ids);
    return status;
}
