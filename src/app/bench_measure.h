/* What `espalier bench` measures, each figure by itself: a function warms up, repeats, and keeps the fastest
 * repeat, since other load on a machine only ever makes a repeat slower. */
#ifndef ESPALIER_APP_BENCH_MEASURE_H
#define ESPALIER_APP_BENCH_MEASURE_H

#include "learn/trainer.h"
#include "task/task.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#include <jansson.h>

/* What the machine can do: products of the model's own matrices (rows tokens at a time) in the type of the
 * compute layer, through oneDNN with nothing around them. {"rows", "gflops": of the layers,
 * "tokens_per_second": through all layers, "tokens_per_second_with_head": where every token is read as well,
 * "matrices": [{"name", "out", "in", "gflops"}]}. */
esp_status bench_gemm_limit(const model_config *config, dtype type, int threads, int64_t rows, int repeats,
                            json_t **out, esp_error *error);
/* One prompt of `tokens`, the token behind it read: tokens a second. */
esp_status bench_prefill(model *m, int64_t tokens, int repeats, double *rate, esp_error *error);
/* `sequences` side by side, each behind `prompt` tokens of its own, `steps` tokens each: tokens a second. */
esp_status bench_decode(model *m, int64_t sequences, int64_t prompt, int64_t steps, int repeats, double *rate,
                        esp_error *error);
/* Judgements a second: a batch of 32 steps of `step` tokens with a suffix of `suffix`, behind a shared
 * prefix, both verdicts read. */
esp_status bench_judge(model *m, int64_t prefix, int64_t step, int64_t suffix, int repeats, double *rate,
                       esp_error *error);

/* A training step: seconds, tokens as separate paths, tokens computed. */
typedef struct {
    double seconds;
    int64_t rows, tokens, tokens_computed;
} bench_step;
/* 32 pairs in the shape of a search: 4 problems, 4 steps deep, 2 pairs a depth; prompts of 144 tokens, steps
 * of 24. */
esp_status bench_dpo(trainer *t, int repeats, bench_step *out, esp_error *error);
/* 16 rows of 128 tokens of prompt and 96 of answer. */
esp_status bench_sft(trainer *t, int repeats, bench_step *out, esp_error *error);

/* Search with self-evaluation over made-up problems, all trees side by side. {"problems", "seconds",
 * "problems_per_minute", "simulations", "nodes", "tokens_sampled", "tokens_judged", "tokens_computed",
 * "computed_over_distinct"}. Needs a model's own tokenizer. */
esp_status bench_search(model *m, const tokenizer *t, int64_t problems, json_t **out, esp_error *error);

#endif
