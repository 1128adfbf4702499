/* What `espalier bench` measures. A part warms up, repeats, and gives the best lap and the median: other load
 * on a machine only makes a lap slower, and the distance between the two shows how much load there was. Every
 * rate is compared with the limit of the same run: the rate of oneDNN's products at the model's shapes.
 * Parts: bench_measure.c (limit, prefill, decode, judge, load), bench_search.c, bench_train.c, bench_arith.c.
 */
#ifndef ESPALIER_APP_BENCH_MEASURE_H
#define ESPALIER_APP_BENCH_MEASURE_H

#include "compute/clock.h"
#include "model/model.h"
#include "text/tokenizer.h"

#include <jansson.h>

/* ---- Laps ---- */

enum { BENCH_LAPS = 512 };
typedef struct {
    double seconds[BENCH_LAPS];
    int count;
} bench_laps;
void bench_lap(bench_laps *laps, double seconds); /* laps beyond BENCH_LAPS are not kept */
double bench_best(const bench_laps *laps);
double bench_median(const bench_laps *laps);
void bench_put(json_t *object, const char *key, double value);
/* "seconds" and "seconds_median". */
void bench_put_seconds(json_t *object, const bench_laps *laps);
/* `key` and `key`_median: work per second, given the work of one lap. */
void bench_put_rate(json_t *object, const char *key, double work, const bench_laps *laps);

/* ---- The limit ---- */

enum { BENCH_LIMIT_ROWS = 512 };

/* Products of the model's matrices, a given number of rows (tokens) at a time, through oneDNN and nothing
 * else. */
typedef struct {
    double flops, flops_median;      /* per second, through the layers' matrices */
    double tokens, tokens_with_head; /* per second, through the layers; and with logits for every token */
    double best_flops;               /* of the fastest matrix */
} bench_limit;

/* matrices (may be NULL): an array that gets {"name", "out", "in", "gflops"} of each. */
esp_status bench_limit_measure(const model_config *config, dtype type, int threads, int64_t rows, int repeats,
                               bench_limit *out, json_t *matrices, esp_error *error);

/* Which of the limit's figures a rate of tokens is compared with. */
typedef enum {
    BENCH_LAYERS, /* logits are needed for few of the tokens */
    BENCH_HEAD,   /* logits are needed for nearly all */
    BENCH_STEP,   /* a training step: 6 operations per parameter and token */
} bench_limit_kind;

/* ---- A part ---- */

typedef struct {
    int repeats;
    int64_t problems, context;
    bool recompute;
    int64_t rank; /* of an adapter on every matrix; 0: none */
    double unshared_seconds;
    const char *pairs, *model_path; /* "": none */
    dtype type;
    model_config config;
    bench_limit limit; /* of this process, before the part */
    compute *compute;
    compute_clock *clock;
    model *model;         /* NULL if the part needs none */
    tokenizer *tokenizer; /* NULL if there is none */
} bench_place;

/* Opens another model with the same configuration, for parts that measure opening. */
esp_status bench_open_model(const bench_place *b, bool trainable, model **out, esp_error *error);

/* Where the cores' time went in `wall` seconds of clocked work, as shares of threads * wall:
 * {"products", "attention", "vocabulary", "other_operations", "tree" (if tree_seconds >= 0), "outside",
 * "idle", "operations": [{"name", "calls", "seconds"}]}. An operation counts on all of its
 * threads. `outside` is work between operations (scheduler, text, the model's bookkeeping), on one thread per
 * replica. `idle` is the threads without an operation. cpu_seconds: of the process; used only for small
 * models, whose replicas run side by side and do not spin. */
json_t *bench_time_shares(const bench_place *b, double wall, double cpu_seconds, double tree_seconds);
double bench_cpu_seconds(void); /* user and system time of this process */

/* "limit_is", "limit_tokens_per_second" and "share_of_limit" of a rate of tokens, by this process's limit;
 * bench.c replaces it with the best limit of the run. */
void bench_put_limit(const bench_place *b, json_t *object, bench_limit_kind kind, double tokens_per_second);
/* The same if logits are needed for a share of the tokens ("share_read"): BENCH_LAYERS and BENCH_HEAD in
 * proportion. */
void bench_put_mixed_limit(const bench_place *b, json_t *object, double read, double tokens_per_second);
double bench_limit_mixed(double tokens, double tokens_with_head, double read);
/* The value of "limit_is": a key of the limit. */
const char *bench_limit_key(bench_limit_kind kind);
json_t *bench_limit_json(const bench_limit *l, int64_t rows);

/* Each makes its part of the document; bench.c has their names. */
typedef esp_status bench_measure(bench_place *b, json_t **out, esp_error *error);
bench_measure bench_gemm_limit, bench_load, bench_prefill, bench_decode, bench_judge;
bench_measure bench_search, bench_unshared;
bench_measure bench_sft, bench_dpo;
bench_measure bench_arithmetic;

#endif
