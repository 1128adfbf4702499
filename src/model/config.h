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

enum {
    CONFIG_MORE_ENDS = 7,
    CONFIG_WIDEST_HEAD = 1024,
};

typedef struct {
    const arch *arch;
    int64_t vocab, width, feed_forward, context; /* width: hidden_size; context: max_position_embeddings */
    int layers, heads, kv_heads, head_width;
    double norm_eps;
    rope_config rope;
    int unrotated_every;                 /* every n-th layer rotates nothing; 0: all layers rotate */
    bool tied;                           /* the head is the embedding */
    int32_t bos, eos;                    /* -1: none */
    int32_t more_ends[CONFIG_MORE_ENDS]; /* other tokens that end a text, after eos */
    int more_end_count;
} model_config;

/* Whether a layer (0 the first) rotates its queries and keys. */
static inline bool config_rotates(const model_config *c, int layer) {
    return !c->unrotated_every || (layer + 1) % c->unrotated_every != 0;
}

/* Every number in range and consistent with the others; `where` is named in the error. */
esp_status config_check(const model_config *config, const char *where, esp_error *error);
/* cosine and sine of positions 0 .. count-1: [count, head_width / 2] each. */
void config_rope_tables(const model_config *config, int64_t count, float *cosine, float *sine);

/* llama3's scaling as the factor that divides each frequency: [head_width / 2]; and back, from factors
 * rounded to f32. The context and the two bounds are known up to a common factor alone: the lower bound
 * becomes 1. False: no such scaling has those factors. */
void config_rope_factors(const rope_config *rope, int head_width, float *factors);
bool config_rope_from_factors(rope_config *rope, int head_width, const float *factors);

#endif
