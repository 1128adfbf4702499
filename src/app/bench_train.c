/* The updates of `espalier bench`. */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "learn/pairs.h"
#include "recipe/recipe.h"
#include "text/chat.h"

#include <math.h>

/* ---- Made-up pairs ---- */

enum {
    PROBLEMS = 4,
    DEPTH = 4,
    PAIRS_PER_DEPTH = 2,
    PROMPT = 144, /* tokens, as in a search over GSM8K: what dpo-32-pairs of the peers has */
    STEP = 24,
    PAIRS = PROBLEMS * DEPTH * PAIRS_PER_DEPTH,
    LONGEST = PROMPT + DEPTH * STEP,
};

static int32_t random_id(uint64_t a, uint64_t b, uint64_t i, int64_t vocab) {
    return (int32_t)rng_below(rng_mix(rng_key(a + 1), b), i, (uint64_t)vocab);
}

static learn_path path_of(const int32_t *prefix, const int32_t *tail, int64_t prefix_count,
                          int64_t tail_count) {
    return (learn_path){.prefix = prefix,
                        .tail = tail,
                        .prefix_count = prefix_count,
                        .tail_count = tail_count,
                        .reference = NAN};
}

/* The pairs of PROBLEMS trees. Each depth has PAIRS_PER_DEPTH pairs of steps after the committed path; the
 * path continues through the first pair's chosen step. paths: [PROBLEMS][LONGEST]; steps: two for each pair.
 */
static example *made_up_pairs(int32_t *paths, int32_t *steps, int64_t vocab, const objective_term *term) {
    example *rows = MEM_ARRAY(example, PAIRS);
    int64_t n = 0;
    for (int64_t p = 0; p < PROBLEMS; p++) {
        int32_t *path = paths + p * LONGEST;
        for (int64_t i = 0; i < PROMPT; i++) path[i] = random_id((uint64_t)p, 0, (uint64_t)i, vocab);
        for (int64_t depth = 0; depth < DEPTH; depth++) {
            int64_t prefix = PROMPT + depth * STEP;
            for (int64_t k = 0; k < PAIRS_PER_DEPTH; k++, n++) {
                int32_t *chosen = steps + 2 * n * STEP, *rejected = chosen + STEP;
                for (int64_t i = 0; i < (int64_t)2 * STEP; i++)
                    chosen[i] = random_id((uint64_t)p, (uint64_t)n + 1, (uint64_t)i, vocab);
                for (int64_t i = 0; k == 0 && i < STEP; i++) path[prefix + i] = chosen[i];
                rows[n] = (example){
                    .path = {path_of(path, chosen, prefix, STEP), path_of(path, rejected, prefix, STEP)},
                    .term = term,
                    .scale = 1.0 / PAIRS,
                    .group = p};
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

/* Gradients and the update together. */
static esp_status take_step(trainer *t, const example *rows, int64_t n, learn_report *report, double *took,
                            esp_error *error) {
    double began = clock_seconds();
    ESP_TRY(trainer_add(t, rows, n, report, error));
    ESP_TRY(trainer_update(t, 1e-6, NULL, error));
    *took = clock_seconds() - began;
    return ESP_OK;
}

/* A step of N parameters and `tokens` is 6 N tokens operations (forward 2, backward 4), of the tokens in the
 * rows. */
static json_t *step_json(const bench_place *b, const learn_report *r, const bench_laps *laps, double wall,
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
static esp_status time_steps(bench_place *b, const example *rows, int64_t n, json_t **out, esp_error *error) {
    trainer *t;
    trainer_settings settings = trainer_defaults();
    ESP_TRY(default_microbatch(&settings.microbatch_tokens, error));
    bench_laps laps = {.count = 0};
    learn_report report = {0};
    double took = 0, cpu = 0;
    ESP_TRY(trainer_new(&t, b->model, &settings, error));
    esp_status status = ESP_OK;
    for (int i = 0; i < b->repeats + 2 && status == ESP_OK; i++) {
        if (i > b->repeats) compute_clock_start(b->clock);
        cpu = bench_cpu_seconds();
        status = take_step(t, rows, n, &report, &took, error);
        cpu = bench_cpu_seconds() - cpu;
        if (i > 0 && i <= b->repeats) bench_lap(&laps, took);
    }
    compute_clock_stop(b->clock);
    if (status == ESP_OK) *out = step_json(b, &report, &laps, took, cpu);
    trainer_free(t);
    return status;
}

/* ---- DPO ---- */

static const dpo_options dpo_of_bench = {.beta = 0.1};
static const objective_term dpo_term = {.of = &objective_dpo, .options = &dpo_of_bench, .weight = 1};

/* Reference log-probs by one tree pass, timed: what a step costs more where they are not known. */
static esp_status score_references(bench_place *b, example *rows, int64_t count, bench_laps *laps,
                                   esp_error *error) {
    int64_t microbatch;
    ESP_TRY(default_microbatch(&microbatch, error));
    double(*logp)[EXAMPLE_PATHS] = mem_alloc((size_t)count * sizeof *logp);
    esp_status status = ESP_OK;
    for (int i = 0; i < b->repeats + 1 && status == ESP_OK; i++) {
        double began = clock_seconds();
        status = score_paths(b->model, rows, count, microbatch, logp, NULL, NULL, error);
        if (i > 0) bench_lap(laps, clock_seconds() - began);
    }
    for (int64_t i = 0; i < count && status == ESP_OK; i++)
        for (int k = 0; k < 2; k++) rows[i].path[k].reference = logp[i][k];
    mem_free(logp);
    return status;
}

static esp_status time_pairs(bench_place *b, example *rows, int64_t count, json_t **out, esp_error *error) {
    bench_laps reference = {.count = 0};
    ESP_TRY(score_references(b, rows, count, &reference, error));
    ESP_TRY(time_steps(b, rows, count, out, error));
    json_t *scored = json_object();
    bench_put_seconds(scored, &reference);
    json_object_set_new(*out, "reference", scored);
    return ESP_OK;
}

/* Rows of text end in end-of-sequence, as in `espalier train` and in TRL. */
static esp_status time_pairs_of_file(bench_place *b, json_t **out, esp_error *error) {
    pairs_file file;
    pairs_read_options options = {.tokenizer = b->tokenizer,
                                  .vocab = b->config.vocab,
                                  .append_end = true,
                                  .longest = model_context(b->model),
                                  .term = &dpo_term};
    chat *chat = NULL; /* stays NULL where the model's template is not supported */
    if (b->tokenizer && chat_open(&chat, &(chat_choice){0}, b->tokenizer, NULL) != ESP_OK) chat = NULL;
    pairs_set_template(&options, chat, false);
    esp_status read = pairs_read(&file, b->pairs, &options, error);
    chat_free(chat);
    ESP_TRY(read);
    for (int64_t i = 0; i < file.count; i++) file.at[i].scale = 1 / (double)file.count;
    esp_status status = time_pairs(b, file.at, file.count, out, error);
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
        example *rows = made_up_pairs(paths, steps, b->config.vocab, &dpo_term);
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
    const objective_term term = {.of = &objective_nll, .weight = 1};
    example rows[SFT_ROWS];
    for (int64_t r = 0; r < SFT_ROWS; r++) {
        for (int64_t i = 0; i < n; i++)
            ids[r * n + i] = random_id(100, (uint64_t)r, (uint64_t)i, b->config.vocab);
        rows[r] = (example){.path = {path_of(ids + r * n, ids + r * n + SFT_PROMPT, SFT_PROMPT, SFT_ANSWER)},
                            .term = &term,
                            .scale = 1.0 / (SFT_ROWS * SFT_ANSWER),
                            .group = -1};
    }
    esp_status status = time_steps(b, rows, SFT_ROWS, out, error);
    mem_free(ids);
    return status;
}
