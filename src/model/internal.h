/* What the files of model/ share: the struct `model`, and the one pass over the layers that forward, scoring
 * and extension all use. */
#ifndef ESPALIER_MODEL_INTERNAL_H
#define ESPALIER_MODEL_INTERNAL_H

#include "model/adapter.h"
#include "model/model.h"
#include "model/replicas.h"
#include "model/tree_layout.h"
#include "model/weight.h"

typedef struct {
    const weight *norm_in, *qkv, *out, *norm_post, *gate_up, *down;
    const weight *qkv_bias;                 /* NULL: the architecture has none */
    const weight *norm_attended, *norm_fed; /* of what a block adds to the stream; NULL: it has none */
    const weight *qk_gain; /* of the norms of each head of queries and keys; NULL: it has none */
} model_layer;

typedef struct {
    float *cosine, *sine; /* buffers, [context, rotated / 2] */
} rotation;

/* A buffer of the compute layer that only grows, so that the hot path allocates nothing. */
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
    workspace k, v;                      /* act, pool [T, G E]; only where there is no KV cache */
    workspace added_attended, added_fed; /* f32 [T, width]: what is normalised before it is added */
    workspace rstd_attended, rstd_fed;   /* f32 */
    workspace qkv; /* f32 [T, (H + 2G) E]: where a pass keeps, and heads are normalised */
} layer_tape;

/* Activations after the last layer, of the R residual rows that are read. */
typedef struct {
    workspace rows;           /* f32 [R, width] */
    workspace rstd, normed;   /* f32 [R]; act [R, width] */
    workspace queries;        /* f32 [R, H E]: the last layer's queries, where only these tokens have them */
    MEM_LIST(int64_t) row_of; /* [T]: token -> row, or -1 */
    MEM_LIST(int64_t) token_of; /* [R]: and back, ascending */
    int64_t count;
    MEM_LIST(head_read_request) reads;
} head_tape;

struct model {
    model_config config;
    compute *compute;
    bool trainable, recompute;
    int64_t context, tokens_computed;
    param_set params;
    adapter_config adapter; /* rank 0: none */
    uint64_t adapter_seed;  /* of its first numbers */
    param_set adapted;      /* the adapter's parameters */
    char *base_path;        /* where its base came from; NULL: nowhere */
    uint64_t base_hash;     /* of the base's numbers */
    model *over;            /* the model whose base this one computes with, with another adapter; or NULL */
    weight *weights;        /* all of them, in the order of their parameters; the next pointers are into it */
    int64_t weight_count;
    const weight *embedding, *norm_out, *head; /* head: the embedding where tied */
    model_layer *layers;
    /* Buffers, as all activations are. */
    float *master;                     /* flat f32, trainable only */
    float *vectors;                    /* vectors that are not in the masters, one after another */
    rotation rotation, local_rotation; /* local: of layers with a window, where it is another */
    workspace *x_in;  /* [layers], f32 [T, width]: the residual stream before each, where a pass keeps */
    layer_tape *tape; /* [layers] */
    head_tape head_rows;
    MEM_LIST(attention_span) read_spans; /* of the last layer, where not all tokens are read */
    MEM_LIST(attention_segment) read_segments;
    workspace qkv, stream, grad_a, grad_b, grad_q, grad_k, grad_v, grad_act;
    tree_layout kept;        /* of the last forward that kept */
    compute_pass *kept_pass; /* and its pass; NULL: nothing is kept */
    model_replicas replicas;
};

/* Whether the weights are not trained, but an adapter of them is. */
static inline bool model_is_frozen(const model *m) {
    return m->adapter.rank > 0;
}

esp_status workspace_need(model *m, workspace *w, size_t bytes, const char *what, esp_error *error);
void workspace_free(model *m, workspace *w);

/* A model with its matrices made and no numbers in them yet. */
esp_status model_allocate(model **out, const model_config *config, const model_options *options,
                          esp_error *error);
/* Gives every weight its numbers; `read` writes those of one parameter. */
typedef esp_status param_reader(void *user, const param *p, float *out, esp_error *error);
esp_status model_fill(model *m, param_reader *read, void *user, esp_error *error);
/* Its adapter's first numbers, if it has one. */
esp_status model_reset_adapter(model *m, esp_error *error);
/* Gives every adapter its numbers in the same way. */
esp_status model_fill_adapter(model *m, param_reader *read, void *user, esp_error *error);
/* Makes m another model over the weights of `of`, with workspaces of its own. */
void model_borrow(model *m, const model *of);
/* model_forward and model_backward of a checked tree in one piece. */
esp_status model_forward_whole(model *m, const token_tree *tree, const uint8_t *wanted, bool keep,
                               float *logprob, esp_error *error);
/* What the last forward that kept left for a backward pass is no longer needed. */
void model_forget_kept(model *m);
esp_status model_backward_whole(model *m, const token_tree *tree, const float *dlogprob, float *gradient,
                                esp_error *error);

/* Tokens on their way through the layers. Keys and values are in the plan's pools, or in the tape's own where
 * it has none. */
typedef struct {
    pass_plan plan;
    const int64_t *read; /* [read_count]: the tokens whose rows are read, ascending, each once */
    int64_t read_count;
    bool keep;
    compute_pass *all;   /* of all tokens */
    compute_pass *reads; /* of those that are read, where the last layer goes on with them alone; else NULL */
} layer_pass;

/* A pass over a tree's tokens, whose reads are still to be named. */
layer_pass model_tree_pass(const model *m, const tree_layout *layout, const int32_t *ids, bool keep);
/* Runs all layers, and leaves the normalised residual rows of the tokens that are read in head_rows, ready
 * for questions. After the last layer's keys and values nothing is computed for other tokens, unless the pass
 * keeps. The pass is begun here, and ended by the caller. */
esp_status model_run_layers(model *m, layer_pass *pass, esp_error *error);
void model_end_pass(model *m, layer_pass *pass);
/* A layer's tape as the last pass that kept had it: the layer's own, or recomputed from x_in. */
layer_tape *model_recompute_layer(model *m, const layer_pass *pass, int layer);
/* Keys that a layer's queries see at most; 0: all, also where no text is longer than the window. */
int64_t model_window(const model *m, int layer);
/* Rows of the embedding, or their gradient, as the architecture scales them. */
void model_scale_embedded(model *m, int64_t tokens, float *x);
/* What a layer's split of queries, keys and values takes. */
qkv_spec model_qkv_spec(const model *m, int layer);

static inline size_t act_bytes(const model *m, int64_t n) {
    return (size_t)n * dtype_size(m->compute->act);
}

#endif
