/* The shape of a model, in numbers. How it is read and written: model/config_io.h. */
#ifndef ESPALIER_MODEL_CONFIG_H
#define ESPALIER_MODEL_CONFIG_H

#include "base/error.h"

/* RoPE scaling ("rope_scaling" in config.json). Sources: linear, Chen et al. 2023 (arXiv 2306.15595); llama3,
 * the Llama 3.1 release; yarn, Peng et al. 2023 (arXiv 2309.00071). `dynamic` equals none up to the original
 * context, and a longer context is refused, since its angles would change with the length of the text.
 * longrope (Ding et al. 2024, arXiv 2402.13753) divides each frequency by a factor of its own, from one list
 * for contexts up to the original one and from another for longer ones. */
typedef enum { ROPE_NONE, ROPE_LINEAR, ROPE_DYNAMIC, ROPE_LLAMA3, ROPE_YARN, ROPE_LONG } rope_kind;

enum {
    CONFIG_MORE_ENDS = 7,
    CONFIG_WIDEST_HEAD = 1024,
    CONFIG_LONG_FACTORS = 128, /* pairs of elements that longrope rotates, at most */
};

typedef struct {
    rope_kind kind;
    double theta, factor;
    double low_freq_factor, high_freq_factor; /* llama3 */
    double beta_fast, beta_slow;              /* yarn */
    double attention_factor;                  /* yarn, longrope; 0: as their papers have it */
    int64_t original_context;                 /* llama3, yarn, dynamic, longrope */
    double short_factor[CONFIG_LONG_FACTORS], long_factor[CONFIG_LONG_FACTORS]; /* longrope */
} rope_config;

typedef struct arch arch; /* model/arch.h */

typedef struct {
    const arch *arch;
    int64_t vocab, width, feed_forward, context; /* width: hidden_size; context: max_position_embeddings */
    int layers, heads, kv_heads, head_width;
    double norm_eps;
    rope_config rope;
    int unrotated_every; /* every n-th layer rotates nothing; 0: all layers rotate */
    int rotated;         /* leading elements of a head that are rotated; 0: all */
    int64_t window;      /* tokens that a query sees; 0: all */
    int full_every;      /* every n-th layer has no window; 0: all have it */
    double local_theta;  /* of the rotation in layers with a window, unscaled; 0: as in the others */
    double query_scalar; /* scores are divided by its root; 0: head_width's */
    bool tied;           /* the head is the embedding */
    int32_t bos, eos;    /* -1: none */
    int32_t more_ends[CONFIG_MORE_ENDS]; /* other tokens that end a text, after eos */
    int more_end_count;
} model_config;

static inline int config_rotated(const model_config *c) {
    return c->rotated ? c->rotated : c->head_width;
}
/* Tokens that a layer's queries see; 0: all. */
static inline int64_t config_window(const model_config *c, int layer) {
    return c->full_every && (layer + 1) % c->full_every == 0 ? 0 : c->window;
}
/* What queries are multiplied by, besides 1 / sqrt(head_width); 0: nothing. */
float config_query_scale(const model_config *config);
/* What rows of the embedding are multiplied by: 1, or the root of the width, rounded to bf16. */
float config_embedding_scale(const model_config *config);
/* Whether a layer (0 the first) rotates its queries and keys. */
static inline bool config_rotates(const model_config *c, int layer) {
    return !c->unrotated_every || (layer + 1) % c->unrotated_every != 0;
}

/* Every number in range and consistent with the others; `where` is named in the error. */
esp_status config_check(const model_config *config, const char *where, esp_error *error);
/* cosine and sine of positions 0 .. count-1: [count, rotated / 2] each; local: of layers with a window.
 * longrope takes the list for contexts of `count` tokens. */
void config_rope_tables(const model_config *config, bool local, int64_t count, float *cosine, float *sine);

/* llama3's scaling as the factor that divides each frequency: [head_width / 2]; and back, from factors
 * rounded to f32. The context and the two bounds are known up to a common factor alone: the lower bound
 * becomes 1. False: no such scaling has those factors. */
void config_rope_factors(const rope_config *rope, int head_width, float *factors);
bool config_rope_from_factors(rope_config *rope, int head_width, const float *factors);

#endif
