/* What the files of model/ share: the model's inside, and the one pass over the layers that forward, scoring
 * and extension all use. */
#ifndef ESPALIER_MODEL_INTERNAL_H
#define ESPALIER_MODEL_INTERNAL_H

#include "model/model.h"
#include "model/team.h"
#include "model/weight.h"

typedef struct {
    const weight *norm_in, *qkv, *out, *norm_post, *gate_up, *down;
} model_layer;

/* A buffer that only grows, so that the hot path allocates nothing. */
typedef struct {
    void *at;
    size_t bytes;
} workspace;

/* Activations inside one layer. In a pass that keeps, each layer has its own; in others, and where a model
 * recomputes, all share the first's. */
typedef struct {
    workspace x_mid; /* f32 [T, width]: the residual stream before the MLP, where a pass keeps */
    workspace norm1, norm2, attended, gate_up, hidden; /* act */
    workspace rstd1, rstd2, q, lse;                    /* f32 */
    workspace k, v; /* act, pool [T, G E]; only where there is no KV cache */
} layer_tape;

/* Activations behind the last layer. */
typedef struct {
    workspace rows;         /* f32 [R, width]: the residual rows that are read */
    workspace rstd, normed; /* f32 [R]; act [R, width] */
    workspace row_of;       /* int64 [T]: token -> row, or -1 */
    workspace token_of;     /* int64 [R]: and back, ascending */
    int64_t count;
} head_tape;

struct model {
    model_config config;
    compute *compute;
    bool trainable, recompute;
    int64_t context, tokens_computed;
    param_set params;
    weight *weights; /* all of them, in the order of their parameters; the next pointers are into it */
    int64_t weight_count;
    const weight *embedding, *norm_out, *head; /* head: the embedding where tied */
    model_layer *layers;
    float *master;        /* flat f32, trainable only */
    float *vectors;       /* not trainable: all vectors, one after another */
    float *cosine, *sine; /* [context, head_width / 2] */
    workspace *x_in;      /* [layers], f32 [T, width]: the residual stream before each, where a pass keeps */
    layer_tape *tape;     /* [layers] */
    head_tape head_rows;
    MEM_LIST(attention_span) read_spans; /* of the last layer, where not all tokens are read */
    MEM_LIST(attention_segment) read_segments;
    workspace qkv, stream, grad_a, grad_b, grad_q, grad_k, grad_v, grad_act, read_list;
    tree_layout kept; /* of the last forward that kept */
    bool has_kept;
    model_team team;
};

esp_status workspace_need(workspace *w, size_t bytes, const char *what, esp_error *error);
void workspace_free(workspace *w);

/* A model with its matrices made and no numbers in them yet. */
esp_status model_allocate(model **out, const model_config *config, const model_options *options,
                          esp_error *error);
/* Makes w another model over the weights of `of`, with workspaces of its own. */
void model_borrow(model *w, const model *of);
/* model_forward and model_backward of a checked tree as one piece. */
esp_status model_forward_whole(model *m, const token_tree *tree, const uint8_t *wanted, bool keep,
                               float *logprob, esp_error *error);
esp_status model_backward_whole(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                                esp_error *error);

/* Where a pass finds its keys and values: the tape's own (pools NULL) or a cache's. */
typedef struct {
    int64_t tokens;
    const int32_t *ids, *positions;
    const int64_t *slots;
    const attention_span *spans;
    int64_t span_count;
    const attention_segment *segments;
    void **k, **v;       /* [layers], act; NULL: the tape's */
    const int64_t *read; /* [read_count]: the tokens whose rows are read, ascending, each once */
    int64_t read_count;
    bool keep;
} layer_pass;

/* Runs all layers. *x: the residual stream behind the last one of the tokens that are read, f32 [read_count,
 * width], owned by the model. Behind the last layer's keys and values nothing is computed for other tokens,
 * unless the pass keeps. */
esp_status model_run_layers(model *m, const layer_pass *pass, float **x, esp_error *error);
/* A pass over a tree's tokens, whose reads are still to be named. */
layer_pass model_tree_pass(const tree_layout *layout, const int32_t *ids, bool keep);
/* A layer's tape as the last pass that kept had it: the layer's own, or computed again from x_in. */
layer_tape *model_layer_again(model *m, const layer_pass *pass, int layer);
/* Normalises those rows into head_rows, ready to be asked about. */
esp_status model_head_rows(model *m, const float *x, int64_t count, esp_error *error);

static inline size_t act_bytes(const model *m, int64_t n) {
    return (size_t)n * dtype_size(m->compute->act);
}

#endif
