/* The parameters of a model. An architecture lists them by role (param_spec); from its list and a
 * configuration come the parameters themselves, in the order in which every flat f32 array of a model
 * (masters, gradient, optimizer state) holds them. */
#ifndef ESPALIER_MODEL_PARAMS_H
#define ESPALIER_MODEL_PARAMS_H

#include "model/config.h"

/* What a parameter is for. Roles from ROLE_NORM_IN to ROLE_NORM_FED occur once per layer, the others once. */
typedef enum {
    ROLE_EMBED,
    ROLE_NORM_IN, /* gain before attention */
    ROLE_Q,
    ROLE_K,
    ROLE_V,
    ROLE_BIAS_Q,
    ROLE_BIAS_K,
    ROLE_BIAS_V,
    ROLE_GAIN_Q, /* of the norm of each head of the queries */
    ROLE_GAIN_K,
    ROLE_QKV, /* the three in one */
    ROLE_O,
    ROLE_NORM_ATTENDED, /* gain of what attention adds to the residual stream */
    ROLE_NORM_POST,     /* gain between attention and MLP */
    ROLE_GATE,
    ROLE_UP,
    ROLE_GATE_UP, /* the two in one */
    ROLE_DOWN,
    ROLE_NORM_FED, /* gain of what the MLP adds to the residual stream */
    ROLE_NORM_OUT, /* gain after the last layer */
    ROLE_HEAD,     /* absent where the configuration ties it to the embedding */
} param_role;

typedef enum {
    DIM_ONE, /* columns of a vector */
    DIM_VOCAB,
    DIM_WIDTH,
    DIM_FEED_FORWARD,
    DIM_QUERIES, /* heads * head_width */
    DIM_KEYS,    /* kv_heads * head_width */
    DIM_HEAD,    /* head_width */
    DIM_QKV,     /* (heads + 2 kv_heads) * head_width */
    DIM_GATE_UP, /* twice the feed-forward width */
} param_dim;

/* How a new model starts: normal(0, 0.02); the same over sqrt(2 layers), for matrices that add to the
 * residual stream (GPT-2's rule); ones; zeros. */
typedef enum { INIT_NORMAL, INIT_NORMAL_RESIDUAL, INIT_ONES, INIT_ZEROS } param_init;

enum {
    PARAM_DECAYS = 1,        /* weight decay applies */
    PARAM_GGUF_PERMUTED = 2, /* GGUF files hold the rows of each head interleaved (formats/gguf.h) */
    PARAM_PLUS_ONE = 4,      /* a gain of 1 + w: checkpoints and masters hold w, GGUF files 1 + w */
};

/* One row of an architecture's list. Names of a layer's parameters lack the prefix with the layer's number.
 */
typedef struct {
    param_role role;
    const char *hf, *gguf; /* in a Hugging Face checkpoint; in a GGUF file */
    param_dim rows, columns;
    param_init init;
    int flags;
} param_spec;

/* A matrix itself, or the two factors of its adapter (model/adapter.h). */
typedef enum { PARAM_WHOLE, PARAM_A, PARAM_B } param_side;

typedef struct {
    const param_spec *spec;
    param_side side;
    int layer;                     /* -1: not of a layer */
    int64_t offset, rows, columns; /* offset: of its first float in the flat arrays; columns 1 for a vector */
} param;

typedef struct {
    param *at;
    int64_t count, floats; /* floats: of a flat array */
} param_set;

/* The parameters of a configuration, without numbers. Freed with params_free. */
param_set params_of(const model_config *config);
void params_free(param_set *set);

static inline int64_t param_floats(const param *p) {
    return p->rows * p->columns;
}
static inline int param_rank(const param *p) {
    return p->spec->columns == DIM_ONE ? 1 : 2;
}

/* The full name in a Hugging Face checkpoint (of an adapter's: in PEFT's folder), or in a GGUF file. */
typedef struct {
    char text[128];
} param_name;
param_name param_hf_name(const param *p);
param_name param_gguf_name(const param *p);

#endif
