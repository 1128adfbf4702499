/* Laps, the machine's limit, sampling and judging of `espalier bench`. */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "base/memory.h"
#include "compute/product_times.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- Laps ---- */

void bench_lap(bench_laps *laps, double seconds) {
    if (laps->count < BENCH_LAPS) laps->seconds[laps->count++] = seconds;
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_best(const bench_laps *laps) {
    double best = laps->seconds[0];
    for (int i = 1; i < laps->count; i++)
        if (laps->seconds[i] < best) best = laps->seconds[i];
    return best;
}

double bench_median(const bench_laps *laps) {
    bench_laps sorted = *laps;
    int n = sorted.count;
    qsort(sorted.seconds, (size_t)n, sizeof *sorted.seconds, by_size);
    return (sorted.seconds[(n - 1) / 2] + sorted.seconds[n / 2]) / 2;
}

void bench_put(json_t *object, const char *key, double value) {
    json_object_set_new(object, key, json_real(value));
}

static void put_pair(json_t *object, const char *key, double best, double median) {
    char name[64];
    snprintf(name, sizeof name, "%s_median", key);
    bench_put(object, key, best);
    bench_put(object, name, median);
}

void bench_put_seconds(json_t *object, const bench_laps *laps) {
    put_pair(object, "seconds", bench_best(laps), bench_median(laps));
}

void bench_put_rate(json_t *object, const char *key, double work, const bench_laps *laps) {
    put_pair(object, key, work / bench_best(laps), work / bench_median(laps));
}

/* ---- Where the time goes ---- */

double bench_cpu_seconds(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

json_t *bench_time_shares(const bench_place *b, double wall, double cpu_seconds, double tree_seconds) {
    static const char *const names[COMPUTE_GROUPS] = {"products", "attention", "vocabulary",
                                                      "other_operations"};
    compute_times t = compute_clock_read(b->clock);
    double threads = b->compute->threads, all = threads * wall, tree = tree_seconds > 0 ? tree_seconds : 0;
    double inside = 0, inside_cores = 0, outside, idle;
    json_t *out = json_object(), *list = json_array();
    for (int g = 0; g < COMPUTE_GROUPS; g++) {
        inside += t.seconds[g];
        inside_cores += t.core_seconds[g];
        bench_put(out, names[g], t.core_seconds[g] / all);
    }
    if (model_replica_limit(b->model) > 1) { /* replicas side by side, which sleep when they are done */
        idle = all > cpu_seconds ? all - cpu_seconds : 0;
        outside = all - idle - inside_cores - tree;
    } else {
        outside = wall - inside - tree;
        idle = (threads - 1) * (wall - inside);
    }
    if (tree_seconds >= 0) bench_put(out, "tree", tree / all);
    bench_put(out, "outside", outside > 0 ? outside / all : 0);
    bench_put(out, "idle", idle / all);
    for (int i = 0; i < t.operations; i++)
        json_array_append_new(list,
                              json_pack("{ss sI sf}", "name", t.operation[i].name, "calls",
                                        (json_int_t)t.operation[i].calls, "seconds", t.operation[i].seconds));
    json_object_set_new(out, "operations", list);
    return out;
}

/* ---- Made-up text ---- */

/* Ids that are not control tokens in any large vocabulary. The content does not change the speed. */
static int32_t made_up(uint64_t key, int64_t i, int64_t vocab) {
    uint64_t low = vocab > 1024 ? 512 : 0;
    return (int32_t)(low + rng_below(rng_key(key), (uint64_t)i, (uint64_t)vocab - low));
}

static void fill(int32_t *ids, int64_t n, uint64_t key, int64_t vocab) {
    for (int64_t i = 0; i < n; i++) ids[i] = made_up(key, i, vocab);
}

/* ---- The machine's limit ---- */

static const double LEAST_SECONDS = 0.02; /* a product that takes microseconds is repeated */

typedef struct {
    const char *name;
    int64_t out, in;
} matrix_shape;

esp_status bench_limit_measure(const model_config *config, dtype type, int threads, int64_t rows, int repeats,
                               bench_limit *out, json_t *matrices, esp_error *error) {
    int64_t D = config->width, HE = (int64_t)config->heads * config->head_width,
            GE = (int64_t)config->kv_heads * config->head_width;
    matrix_shape shapes[] = {{"qkv", HE + 2 * GE, D},
                             {"out", D, HE},
                             {"gate_up", 2 * config->feed_forward, D},
                             {"down", D, config->feed_forward},
                             {"head", config->vocab, D}};
    enum { LAYER = 4 }; /* shapes of a layer; the head is counted once */
    *out = (bench_limit){0};
    double flop = 0, seconds = 0, median = 0, head = 0;
    esp_status status = ESP_OK;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && status == ESP_OK; i++) {
        bench_laps laps = {.count = 0};
        double work = 2.0 * (double)rows * (double)shapes[i].out * (double)shapes[i].in;
        status = product_times(type, threads, rows, shapes[i].out, shapes[i].in, 4 * repeats, LEAST_SECONDS,
                               BENCH_LAPS, laps.seconds, &laps.count, error);
        if (status != ESP_OK) break;
        double took = bench_best(&laps);
        flop += work * (i < LAYER ? config->layers : 0);
        seconds += took * (i < LAYER ? config->layers : 0);
        median += bench_median(&laps) * (i < LAYER ? config->layers : 0);
        if (i == LAYER) head = took;
        if (work / took > out->best_flops) out->best_flops = work / took;
        if (matrices)
            json_array_append_new(matrices, json_pack("{ss sI sI sf}", "name", shapes[i].name, "out",
                                                      (json_int_t)shapes[i].out, "in",
                                                      (json_int_t)shapes[i].in, "gflops", work / took / 1e9));
    }
    ESP_TRY(status);
    out->flops = flop / seconds;
    out->flops_median = flop / median;
    out->tokens = (double)rows / seconds;
    out->tokens_with_head = (double)rows / (seconds + head);
    return ESP_OK;
}

json_t *bench_limit_json(const bench_limit *l, int64_t rows) {
    return json_pack("{sI sf sf sf sf sf}", "rows", (json_int_t)rows, "gflops", l->flops / 1e9,
                     "gflops_median", l->flops_median / 1e9, "best_gflops", l->best_flops / 1e9,
                     "tokens_per_second", l->tokens, "tokens_per_second_with_head", l->tokens_with_head);
}

const char *bench_limit_key(bench_limit_kind kind) {
    return kind == BENCH_LAYERS ? "tokens_per_second"
           : kind == BENCH_HEAD ? "tokens_per_second_with_head"
                                : "gflops";
}

double bench_limit_mixed(double tokens, double tokens_with_head, double read) {
    return 1 / ((1 - read) / tokens + read / tokens_with_head);
}

static void put_share(json_t *object, bench_limit_kind kind, double limit, double tokens_per_second) {
    json_object_set_new(object, "limit_is", json_string(bench_limit_key(kind)));
    bench_put(object, "limit_tokens_per_second", limit);
    bench_put(object, "share_of_limit", tokens_per_second / limit);
}

void bench_put_limit(const bench_place *b, json_t *object, bench_limit_kind kind, double tokens_per_second) {
    double limit = b->limit.tokens;
    if (kind == BENCH_HEAD) limit = b->limit.tokens_with_head;
    if (kind == BENCH_STEP)
        limit =
            b->limit.flops / ((model_has_adapter(b->model) ? 4 : 6) * (double)model_weight_count(b->model));
    put_share(object, kind, limit, tokens_per_second);
}

void bench_put_mixed_limit(const bench_place *b, json_t *object, double read, double tokens_per_second) {
    bench_put(object, "share_read", read);
    put_share(object, BENCH_HEAD, bench_limit_mixed(b->limit.tokens, b->limit.tokens_with_head, read),
              tokens_per_second);
}

esp_status bench_gemm_limit(bench_place *b, json_t **out, esp_error *error) {
    static const int64_t heights[] = {1, 8, 32, 64, 512, 2048};
    bench_limit limit;
    json_t *matrices = json_array(), *list = json_array();
    esp_status status = bench_limit_measure(&b->config, b->type, b->compute->threads, 512, b->repeats, &limit,
                                            matrices, error);
    *out = json_object();
    if (status == ESP_OK) json_object_update_new(*out, bench_limit_json(&limit, BENCH_LIMIT_ROWS));
    json_object_set_new(*out, "matrices", matrices);
    for (size_t i = 0; i < sizeof heights / sizeof *heights && status == ESP_OK; i++) {
        status = bench_limit_measure(&b->config, b->type, b->compute->threads, heights[i], b->repeats, &limit,
                                     NULL, error);
        if (status == ESP_OK) json_array_append_new(list, bench_limit_json(&limit, heights[i]));
    }
    json_object_set_new(*out, "by_rows", list);
    return status;
}

/* ---- Loading ---- */

esp_status bench_load(bench_place *b, json_t **out, esp_error *error) {
    bench_laps laps = {.count = 0};
    for (int i = 0; i < b->repeats; i++) {
        model *m;
        double began = clock_seconds();
        ESP_TRY(bench_open_model(b, false, &m, error));
        bench_lap(&laps, clock_seconds() - began);
        model_free(m);
    }
    *out = json_object();
    bench_put_seconds(*out, &laps);
    return ESP_OK;
}

/* ---- Sampling ---- */

/* Tokens per second compared with the limit, and where the time of a lap of `wall` seconds went. */
static void put_tokens(const bench_place *b, json_t *object, double tokens, const bench_laps *laps,
                       bench_limit_kind kind, double wall) {
    bench_put_rate(object, "tokens_per_second", tokens, laps);
    bench_put_limit(b, object, kind, tokens / bench_best(laps));
    json_object_set_new(object, "time", bench_time_shares(b, wall, wall, -1));
}

/* Makes one run per sequence and feeds each its own prompt. */
static esp_status feed_prompts(model *m, kv_cache *kv, int32_t *runs, int64_t n, int64_t tokens,
                               esp_error *error) {
    int64_t vocab = model_configuration(m)->vocab;
    int32_t *ids = MEM_ARRAY(int32_t, tokens);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++) {
        fill(ids, tokens, (uint64_t)i, vocab);
        runs[i] = kv_run_new(kv, -1);
        kv_feed feed = {.run = runs[i], .tokens = ids, .n = tokens};
        status = model_extend(m, kv, &feed, 1, NULL, 0, error);
    }
    mem_free(ids);
    return status;
}

esp_status bench_prefill(bench_place *b, json_t **out, esp_error *error) {
    model *m = b->model;
    kv_cache *kv;
    int64_t tokens = model_context(m) < 512 ? model_context(m) : 512;
    int32_t *ids = MEM_ARRAY(int32_t, tokens);
    bench_laps laps = {.count = 0};
    double took = 0;
    fill(ids, tokens, 1, model_configuration(m)->vocab);
    esp_status status = kv_new(&kv, m, tokens + KV_PAGE_TOKENS, error);
    for (int i = 0; i < b->repeats + 2 && status == ESP_OK;
         i++) { /* a warm-up, the laps, and one lap with the clock on */
        int32_t run = kv_run_new(kv, -1);
        kv_feed feed = {.run = run, .tokens = ids, .n = tokens};
        kv_read read = {.at = tokens - 1, .kind = READ_GREEDY};
        if (i > b->repeats) compute_clock_start(b->clock);
        double began = clock_seconds();
        status = model_extend(m, kv, &feed, 1, &read, 1, error);
        took = clock_seconds() - began;
        if (i > 0 && i <= b->repeats) bench_lap(&laps, took);
        kv_run_release(kv, run);
    }
    compute_clock_stop(b->clock);
    if (status == ESP_OK) {
        *out = json_pack("{sI}", "tokens", (json_int_t)tokens);
        put_tokens(b, *out, (double)tokens, &laps, BENCH_LAYERS, took);
    }
    kv_free(kv);
    mem_free(ids);
    return status;
}

/* Feeds one token per sequence and samples the following token into `next`. */
static esp_status decode_step(model *m, kv_cache *kv, const int32_t *runs, int32_t *next, kv_feed *feeds,
                              kv_read *reads, int64_t n, int64_t step, esp_error *error) {
    for (int64_t i = 0; i < n; i++) {
        feeds[i] = (kv_feed){.run = runs[i], .tokens = &next[i], .n = 1, .decoded = true};
        reads[i] = (kv_read){.feed = (int32_t)i,
                             .kind = READ_SAMPLE,
                             .temperature = 1,
                             .u = rng_uniform(rng_key((uint64_t)i), (uint64_t)step)};
    }
    ESP_TRY(model_extend(m, kv, feeds, n, reads, n, error));
    for (int64_t i = 0; i < n; i++) next[i] = reads[i].token;
    return ESP_OK;
}

enum { DECODE_PROMPT = 128, DECODE_STEPS = 64 };

static esp_status decode_laps(bench_place *b, int64_t sequences, int64_t steps, bench_laps *laps,
                              double *clocked, esp_error *error) {
    model *m = b->model;
    kv_cache *kv = NULL;
    int32_t *runs = MEM_ARRAY(int32_t, sequences), *next = MEM_ARRAY(int32_t, sequences);
    kv_feed *feeds = MEM_ARRAY(kv_feed, sequences);
    kv_read *reads = MEM_ARRAY(kv_read, sequences);
    int64_t each = (DECODE_PROMPT + steps + KV_PAGE_TOKENS) / KV_PAGE_TOKENS * KV_PAGE_TOKENS;
    esp_status status = kv_new(&kv, m, sequences * each, error);
    if (status == ESP_OK) status = feed_prompts(m, kv, runs, sequences, DECODE_PROMPT, error);
    for (int i = 0; i < b->repeats + 2 && status == ESP_OK; i++) {
        for (int64_t j = 0; j < sequences; j++) {
            kv_run_truncate(kv, runs[j], DECODE_PROMPT);
            next[j] = 0;
        }
        if (i > b->repeats) compute_clock_start(b->clock);
        double began = clock_seconds();
        for (int64_t step = 0; step < steps && status == ESP_OK; step++)
            status = decode_step(m, kv, runs, next, feeds, reads, sequences, step, error);
        *clocked = clock_seconds() - began;
        if (i > 0 && i <= b->repeats) bench_lap(laps, *clocked);
    }
    compute_clock_stop(b->clock);
    kv_free(kv);
    mem_free(runs);
    mem_free(next);
    mem_free(feeds);
    mem_free(reads);
    return status;
}

/* Sequences side by side, each with its own prompt, sampled at temperature 1. */
esp_status bench_decode(bench_place *b, json_t **out, esp_error *error) {
    static const int64_t widths[] = {1, 8, 32, 64};
    int64_t steps = model_context(b->model) - DECODE_PROMPT;
    if (steps > DECODE_STEPS) steps = DECODE_STEPS;
    if (steps < 1)
        return error_fail(error, "leave the part out (--only), or raise --context",
                          "decoding is measured after a prompt of %d tokens, but the context is %lld",
                          DECODE_PROMPT, (long long)model_context(b->model));
    *out = json_array();
    for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
        bench_limit own;
        bench_laps laps = {.count = 0};
        double clocked = 0;
        ESP_TRY(bench_limit_measure(&b->config, b->type, b->compute->threads, widths[i], b->repeats, &own,
                                    NULL, error));
        ESP_TRY(decode_laps(b, widths[i], steps, &laps, &clocked, error));
        json_t *row = json_pack("{sI sI sI}", "sequences", (json_int_t)widths[i], "prompt",
                                (json_int_t)DECODE_PROMPT, "steps", (json_int_t)steps);
        put_tokens(b, row, (double)(widths[i] * steps), &laps, BENCH_HEAD, clocked);
        bench_put(row, "limit_at_this_width", own.tokens_with_head);
        json_array_append_new(*out, row);
    }
    return ESP_OK;
}

/* ---- Judging ---- */

enum {
    JUDGEMENTS = 32,
    JUDGE_PREFIX = 256,
    JUDGE_STEP = 24,
    JUDGE_SUFFIX = 15, /* gsm8k's in SmolLM2's template */
};

/* One batch of steps after a shared prefix, each followed by the suffix; both verdicts are read. */
static esp_status judge_lap(bench_place *b, kv_cache *kv, int32_t root, const int32_t *ids, double *took,
                            esp_error *error) {
    enum { N = JUDGE_STEP + JUDGE_SUFFIX };
    kv_feed feeds[JUDGEMENTS];
    kv_read reads[2 * JUDGEMENTS];
    for (int32_t j = 0; j < JUDGEMENTS; j++) {
        feeds[j] = (kv_feed){.run = kv_run_new(kv, root), .tokens = ids + j * N, .n = N};
        for (int32_t verdict = 0; verdict < 2; verdict++)
            reads[2 * j + verdict] = (kv_read){.feed = j, .at = N - 1, .kind = READ_SCORE, .token = verdict};
    }
    double began = clock_seconds();
    esp_status status = model_extend(b->model, kv, feeds, JUDGEMENTS, reads, (int64_t)2 * JUDGEMENTS, error);
    *took = clock_seconds() - began;
    for (int32_t j = 0; j < JUDGEMENTS; j++) kv_run_release(kv, feeds[j].run);
    return status;
}

esp_status bench_judge(bench_place *b, json_t **out, esp_error *error) {
    kv_cache *kv = NULL;
    enum { N = JUDGE_STEP + JUDGE_SUFFIX };
    int32_t root = 0, *ids = MEM_ARRAY(int32_t, JUDGEMENTS * N);
    bench_laps laps = {.count = 0};
    double took = 0;
    fill(ids, JUDGEMENTS * N, 2, model_configuration(b->model)->vocab);
    esp_status status =
        kv_new(&kv, b->model, JUDGE_PREFIX + JUDGEMENTS * (N + KV_PAGE_TOKENS) + KV_PAGE_TOKENS, error);
    if (status == ESP_OK) status = feed_prompts(b->model, kv, &root, 1, JUDGE_PREFIX, error);
    for (int i = 0; i < b->repeats + 2 && status == ESP_OK; i++) {
        if (i > b->repeats) compute_clock_start(b->clock);
        status = judge_lap(b, kv, root, ids, &took, error);
        if (i > 0 && i <= b->repeats) bench_lap(&laps, took);
    }
    compute_clock_stop(b->clock);
    if (status == ESP_OK) {
        *out = json_pack("{sI sI sI}", "prefix", (json_int_t)JUDGE_PREFIX, "step", (json_int_t)JUDGE_STEP,
                         "suffix", (json_int_t)JUDGE_SUFFIX);
        bench_put_rate(*out, "judgements_per_second", JUDGEMENTS, &laps);
        put_tokens(b, *out, (double)(JUDGEMENTS * N), &laps, BENCH_LAYERS, took);
    }
    kv_free(kv);
    mem_free(ids);
    return status;
}
