/* The shape of a model, in numbers. How it is read and written: model/config_io.h. */
#ifndef ESPALIER_MODEL_CONFIG_H
#define ESPALIER_MODEL_CONFIG_H

#include "base/error.h"

/* RoPE scaling ("rope_scaling" in config.json). Sources: linear, Chen et al. 2023 (arXiv 2306.15595); llama3,
 * the Llama 3.1 release; yarn, Peng et al. 2023 (arXiv 2309.00071). `dynamic` equals none up to the original
 * context, and a longer context is refused, since its angles would change with the length of the text. */
typedef enum { ROPE_NONE, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN } rope_kind;

typedef struct {
    rope_kind kind;
    double theta, factor;
    double low_freq_factor, high_freq_factor;      /* llama3 */
    double beta_fast, beta_slow, attention_factor; /* yarn; attention_factor 0: 0.1 ln(factor) + 1 */
    int64_t original_context;                      /* llama3, yarn, dynamic */
} rope_config;

typedef struct arch arch; /* model/arch.h */

typedef struct {
    const arch *arch;
    int64_t vocab, width, feed_forward, context; /* width: hidden_size; context: max_position_embeddings */
    int layers, heads, kv_heads, head_width;
    double norm_eps;
    rope_config rope;
    bool tied;        /* the head is the embedding */
    int32_t bos, eos; /* -1: none */
} model_config;

/* Every number in range and consistent with the others; `where` is named in the error. */
esp_status config_check(const model_config *config, const char *where, esp_error *error);
/* cosine and sine of positions 0 .. count-1: [count, head_width / 2] each. */
void config_rope_tables(const model_config *config, int64_t count, float *cosine, float *sine);

#endif
