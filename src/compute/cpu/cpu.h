/* What the files of the cpu backend share: its state, its matrices, scratch, and the operations that have a
 * file of their own. */
#ifndef ESPALIER_COMPUTE_CPU_H
#define ESPALIER_COMPUTE_CPU_H

#include "compute/cpu/kernels.h"
#include "compute/cpu/onednn.h"
#include "compute/cpu/panels.h"

enum cpu_scratch_use {
    SCRATCH_WIDE_X, /* inputs of a product widened to f32, where there are no bf16 products */
    SCRATCH_WIDE_Y,
    SCRATCH_WEIGHT,  /* weights on their way into packed form */
    SCRATCH_UNITS,   /* a list of units of work */
    SCRATCH_QUEUE,   /* and the same in the order in which they are taken */
    SCRATCH_THREADS, /* a piece for each thread */
    SCRATCH_GRADIENT,
    SCRATCH_ROWS, /* gathered rows of hidden states */
    SCRATCH_LOGITS,
    SCRATCH_DLOGITS,
    SCRATCH_SUMS,
    SCRATCH_PAIRS, /* activations packed for the gradient of a weight */
    SCRATCH_FETCH, /* what products ask memory for */
    SCRATCH_USES
};

typedef struct {
    gemm *gemm;
    const cpu_kernels *kernels;
    const panel_products *panels; /* for large bf16 matrices; NULL: oneDNN has all */
    void *scratch[SCRATCH_USES];
    size_t scratch_bytes[SCRATCH_USES];
    int64_t fetch_most; /* bytes of keys and values that the last cache holds beside the weights */
    panel_fetch *fetch; /* [threads], in scratch: keys and values of the attention to come; NULL: none */
} cpu_state;

/* A matrix is packed in blocks of columns, one for most and several for a vocabulary, so that a block of
 * logits stays in the cache of the core that reads it. */
struct linear {
    int64_t out, in, block; /* block: columns of the result (rows of the weight) in each but the last */
    int blocks;
    gemm_matrix **forward, *backward;       /* by oneDNN, or */
    panel_matrix *panels, *backward_panels; /* by panels: then the others are NULL */
    void *rows;                             /* act, [out, in]; NULL without LINEAR_ROWS */
};

static inline cpu_state *state_of(compute *c) {
    return c->state;
}

/* A buffer of at least `bytes`, the same one for the same use until a larger one is asked for; NULL with the
 * failure kept where there is no memory. */
void *cpu_scratch(compute *c, enum cpu_scratch_use use, size_t bytes);

/* Part `part` of `parts` of n: [*begin, *end), as even as can be in multiples of `grain`. */
void cpu_part(int64_t n, int64_t grain, int64_t part, int64_t parts, int64_t *begin, int64_t *end);

/* Rows as products take them: x itself, or a widened copy where there are no bf16 products. */
const void *cpu_product_input(compute *c, enum cpu_scratch_use use, int64_t n, const void *x);

/* c[m, n] += a[k, m]^T b[k, n]: a and b act. */
void cpu_multiply_transposed(compute *c, int64_t k, int64_t m, int64_t n, const void *a, const void *b,
                             float *to);

linear *cpu_linear_new(compute *c, int64_t out, int64_t in, int flags);
void cpu_linear_set(compute *c, linear *l, const float *w);
void cpu_linear_free(compute *c, linear *l);
void cpu_linear_forward(compute *c, const linear *l, int64_t m, const void *x, void *y, dtype y_type,
                        bool accumulate);
void cpu_linear_swiglu(compute *c, const linear *l, int64_t m, const void *x, void *gate_up, bool keep,
                       void *h);
void cpu_swiglu(compute *c, int64_t rows, int64_t width, const void *gate_up, void *h);
void cpu_linear_backward_input(compute *c, const linear *l, int64_t m, const void *dy, float *dx);
void cpu_linear_backward_weight(compute *c, int64_t m, int64_t out, int64_t in, const void *dy, const void *x,
                                float *dw);
void cpu_embed_gather(compute *c, const linear *table, int64_t tokens, const int32_t *ids, float *x);
void cpu_embed_scatter(compute *c, int64_t tokens, int64_t width, const int32_t *ids, const float *dx,
                       float *dw);

void cpu_attention_ahead(compute *c, int kv_heads, int head_width, const attention_span *spans,
                         int64_t span_count, const attention_segment *segments, const void *k, const void *v);
void cpu_attention(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                   int64_t span_count, const attention_segment *segments, const float *q, const void *k,
                   const void *v, void *out, float *lse);
void cpu_attention_backward(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                            int64_t span_count, const attention_segment *segments, const float *q,
                            const void *k, const void *v, const void *out, const float *lse,
                            const float *dout, float *dq, float *dk, float *dv);

void cpu_head_read(compute *c, const linear *head, int64_t rows, const void *x, head_read_request *reads,
                   int64_t count);
void cpu_head_backward(compute *c, const linear *head, int64_t rows, const void *x, const int32_t *targets,
                       const float *dlogprob, float *dx, float *dw);

#endif
