#include "app/bench_measure.h"
#include "base/clock.h"

#include "compute/cpu/onednn.h"

#include <string.h>

/* Ids that are no control tokens in any vocabulary of some size: content does not change the speed. */
static int32_t made_up(uint64_t key, int64_t i, int64_t vocab) {
    uint64_t low = vocab > 1024 ? 512 : 0;
    return (int32_t)(low + rng_below(rng_key(key), (uint64_t)i, (uint64_t)vocab - low));
}

static void fill(int32_t *ids, int64_t n, uint64_t key, int64_t vocab) {
    for (int64_t i = 0; i < n; i++) ids[i] = made_up(key, i, vocab);
}

/* ---- the machine's limit ---- */

static const double LEAST_SECONDS = 0.02;

typedef struct {
    const char *name;
    int64_t out, in;
} gemm_shape;

static void small_numbers(void *at, int64_t n, dtype type) {
    for (int64_t i = 0; i < n; i++) {
        float x = (float)((i * 2654435761LL >> 7) % 1001) * 1e-3f - 0.5f;
        uint32_t bits;
        memcpy(&bits, &x, 4);
        if (type == DTYPE_F32)
            ((float *)at)[i] = x;
        else
            ((uint16_t *)at)[i] = (uint16_t)(bits >> 16);
    }
}

/* Seconds of one product of `rows` tokens with the matrix. */
static esp_status time_gemm(gemm *g, const gemm_shape *s, int64_t rows, int repeats, double *best,
                            esp_error *error) {
    dtype type = gemm_input(g);
    void *a = NULL, *b = NULL, *c = NULL;
    gemm_matrix *matrix = NULL;
    esp_status status = mem_big_alloc(&a, (size_t)(rows * s->in) * dtype_size(type), "the bench", error);
    if (status == ESP_OK)
        status = mem_big_alloc(&b, (size_t)(s->out * s->in) * dtype_size(type), "the bench", error);
    if (status == ESP_OK)
        status = mem_big_alloc(&c, (size_t)(rows * s->out) * dtype_size(type), "the bench", error);
    if (status == ESP_OK) status = gemm_matrix_new(g, &matrix, s->in, s->out, error);
    if (status == ESP_OK) {
        small_numbers(a, rows * s->in, type);
        small_numbers(b, s->out * s->in, type);
        status = gemm_matrix_set(g, matrix, b, 1, s->in, error); /* stored [out, in] */
    }
    *best = 1e30;
    double start = clock_seconds(); /* a product of microseconds is repeated for a while */
    for (int i = 0; (i < 4 * repeats + 1 || clock_seconds() - start < LEAST_SECONDS) && status == ESP_OK;
         i++) {
        double began = clock_seconds();
        status = gemm_multiply(g, matrix, rows, a, c, type, false, error);
        double took = clock_seconds() - began;
        if (i > 0 && took < *best) *best = took;
    }
    gemm_matrix_free(matrix);
    mem_big_free(a);
    mem_big_free(b);
    mem_big_free(c);
    return status;
}

esp_status bench_gemm_limit(const model_config *config, dtype type, int threads, int64_t rows, int repeats,
                            json_t **out, esp_error *error) {
    int64_t D = config->width, HE = (int64_t)config->heads * config->head_width,
            GE = (int64_t)config->kv_heads * config->head_width;
    gemm_shape shapes[] = {{"qkv", HE + 2 * GE, D},
                           {"out", D, HE},
                           {"gate_up", 2 * config->feed_forward, D},
                           {"down", D, config->feed_forward},
                           {"head", config->vocab, D}};
    enum { LAYER = 4 }; /* shapes of a layer; the head comes once */
    gemm *g;
    char description[96];
    ESP_TRY(gemm_new(&g, type, threads, error));
    gemm_describe(g, description, sizeof description);
    json_t *matrices = json_array();
    double flop = 0, seconds = 0, head = 0, best = 0;
    esp_status status = ESP_OK;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && status == ESP_OK; i++) {
        double took, work = 2.0 * (double)rows * (double)shapes[i].out * (double)shapes[i].in;
        status = time_gemm(g, &shapes[i], rows, repeats, &took, error);
        flop += work * (i < LAYER ? config->layers : 0);
        seconds += took * (i < LAYER ? config->layers : 0);
        if (i == LAYER) head = took;
        if (work / took > best) best = work / took;
        json_array_append_new(matrices, json_pack("{ss sI sI sf}", "name", shapes[i].name, "out",
                                                  (json_int_t)shapes[i].out, "in", (json_int_t)shapes[i].in,
                                                  "gflops", work / took / 1e9));
    }
    gemm_free(g);
    if (status != ESP_OK) {
        json_decref(matrices);
        return status;
    }
    *out = json_pack("{ss sI sf sf sf sf so}", "by", description, "rows", (json_int_t)rows, "gflops",
                     flop / seconds / 1e9, "best_gflops", best / 1e9, "tokens_per_second",
                     (double)rows / seconds, "tokens_per_second_with_head", (double)rows / (seconds + head),
                     "matrices", matrices);
    return ESP_OK;
}

/* ---- sampling ---- */

/* Makes runs of their own for n sequences behind prompts of their own. */
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

esp_status bench_prefill(model *m, int64_t tokens, int repeats, double *rate, esp_error *error) {
    kv_cache *kv;
    int32_t *ids = MEM_ARRAY(int32_t, tokens);
    double best = 1e30;
    fill(ids, tokens, 1, model_configuration(m)->vocab);
    esp_status status = kv_new(&kv, m, tokens + KV_PAGE_TOKENS, error);
    for (int i = 0; i < repeats + 1 && status == ESP_OK; i++) {
        int32_t run = kv_run_new(kv, -1);
        kv_feed feed = {.run = run, .tokens = ids, .n = tokens};
        kv_read read = {.at = tokens - 1, .kind = READ_GREEDY};
        double began = clock_seconds();
        status = model_extend(m, kv, &feed, 1, &read, 1, error);
        double took = clock_seconds() - began;
        if (i > 0 && took < best) best = took;
        kv_run_release(kv, run);
    }
    if (status == ESP_OK) *rate = (double)tokens / best;
    kv_free(kv);
    mem_free(ids);
    return status;
}

/* One token more for every sequence; the token behind it is sampled into `next`. */
static esp_status decode_step(model *m, kv_cache *kv, const int32_t *runs, int32_t *next, kv_feed *feeds,
                              kv_read *reads, int64_t n, int64_t step, esp_error *error) {
    for (int64_t i = 0; i < n; i++) {
        feeds[i] = (kv_feed){.run = runs[i], .tokens = &next[i], .n = 1};
        reads[i] = (kv_read){.feed = (int32_t)i,
                             .kind = READ_SAMPLE,
                             .temperature = 1,
                             .u = rng_uniform(rng_key((uint64_t)i), (uint64_t)step)};
    }
    ESP_TRY(model_extend(m, kv, feeds, n, reads, n, error));
    for (int64_t i = 0; i < n; i++) next[i] = reads[i].token;
    return ESP_OK;
}

esp_status bench_decode(model *m, int64_t sequences, int64_t prompt, int64_t steps, int repeats, double *rate,
                        esp_error *error) {
    kv_cache *kv = NULL;
    int32_t *runs = MEM_ARRAY(int32_t, sequences), *next = MEM_ARRAY(int32_t, sequences);
    kv_feed *feeds = MEM_ARRAY(kv_feed, sequences);
    kv_read *reads = MEM_ARRAY(kv_read, sequences);
    int64_t each = (prompt + steps + KV_PAGE_TOKENS) / KV_PAGE_TOKENS * KV_PAGE_TOKENS;
    double best = 1e30;
    esp_status status = kv_new(&kv, m, sequences * each, error);
    if (status == ESP_OK) status = feed_prompts(m, kv, runs, sequences, prompt, error);
    for (int i = 0; i < repeats + 1 && status == ESP_OK; i++) {
        for (int64_t j = 0; j < sequences; j++) {
            kv_run_truncate(kv, runs[j], prompt);
            next[j] = 0;
        }
        double began = clock_seconds();
        for (int64_t step = 0; step < steps && status == ESP_OK; step++)
            status = decode_step(m, kv, runs, next, feeds, reads, sequences, step, error);
        double took = clock_seconds() - began;
        if (i > 0 && took < best) best = took;
    }
    if (status == ESP_OK) *rate = (double)(sequences * steps) / best;
    kv_free(kv);
    mem_free(runs);
    mem_free(next);
    mem_free(feeds);
    mem_free(reads);
    return status;
}

/* ---- judging ---- */

enum { JUDGEMENTS = 32 };

esp_status bench_judge(model *m, int64_t prefix, int64_t step, int64_t suffix, int repeats, double *rate,
                       esp_error *error) {
    kv_cache *kv = NULL;
    int64_t n = step + suffix, vocab = model_configuration(m)->vocab;
    int32_t root = 0, *ids = MEM_ARRAY(int32_t, JUDGEMENTS * n);
    double best = 1e30;
    fill(ids, JUDGEMENTS * n, 2, vocab);
    esp_status status = kv_new(&kv, m, prefix + JUDGEMENTS * (n + KV_PAGE_TOKENS) + KV_PAGE_TOKENS, error);
    if (status == ESP_OK) status = feed_prompts(m, kv, &root, 1, prefix, error);
    for (int i = 0; i < repeats + 1 && status == ESP_OK; i++) {
        kv_feed feeds[JUDGEMENTS];
        kv_read reads[2 * JUDGEMENTS];
        for (int32_t j = 0; j < JUDGEMENTS; j++) {
            feeds[j] = (kv_feed){.run = kv_run_new(kv, root), .tokens = ids + j * n, .n = n};
            for (int32_t verdict = 0; verdict < 2; verdict++)
                reads[2 * j + verdict] =
                    (kv_read){.feed = j, .at = n - 1, .kind = READ_SCORE, .token = verdict};
        }
        double began = clock_seconds();
        status = model_extend(m, kv, feeds, JUDGEMENTS, reads, (int64_t)2 * JUDGEMENTS, error);
        double took = clock_seconds() - began;
        if (i > 0 && took < best) best = took;
        for (int32_t j = 0; j < JUDGEMENTS; j++) kv_run_release(kv, feeds[j].run);
    }
    if (status == ESP_OK) *rate = JUDGEMENTS / best;
    kv_free(kv);
    mem_free(ids);
    return status;
}
