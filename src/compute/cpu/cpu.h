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
    SCRATCH_QUEUE,   /* the units of work that threads have not taken yet */
    SCRATCH_THREADS, /* a piece for each thread */
    SCRATCH_GRADIENT,
    SCRATCH_ROWS, /* gathered rows of hidden states */
    SCRATCH_LOGITS,
    SCRATCH_DLOGITS,
    SCRATCH_SUMS,
    SCRATCH_PAIRS,   /* activations packed for the gradient of a weight */
    SCRATCH_FETCH,   /* what products ask memory for */
    SCRATCH_TURNED,  /* a frozen matrix in the packing that its backward product takes */
    SCRATCH_ADAPTER, /* activations of an adapter */
    SCRATCH_USES
};

typedef struct {
    gemm *gemm;
    const cpu_kernels *kernels;
    const panel_products *panels; /* for large bf16 matrices; NULL: oneDNN has all */
    void *scratch[SCRATCH_USES];
    size_t scratch_bytes[SCRATCH_USES];
    int64_t fetch_most; /* bytes of keys and values that the last cache holds beside the weights */
    panel_fetch *fetch; /* [threads], in scratch: keys and values that products prefetch; NULL: none */
    const compute_pass *fetch_pass; /* whose keys and values are prefetched, now or after the next gate */
    int fetch_layer;                /* after the next gate: those of this layer; -1: none */
} cpu_state;

/* Queries first .. first + count - 1 of a span. */
typedef struct {
    int64_t span;
    int first, count;
    bool small; /* one query, whose heads may go together */
} query_block;

typedef struct {
    query_block *at;
    int64_t count;
    int rows; /* of the largest */
} query_blocks;

/* A thread's work queue, units [next, end) of a list; idle threads take from it too. */
typedef struct {
    _Alignas(64) int64_t next;
    int64_t end;
} unit_stretch;

/* A pass: copies of the plan's arrays, and attention cut into units of work (attention.c). */
struct compute_pass {
    pass_plan plan;
    query_blocks blocks;                  /* forward; the small ones last */
    int64_t large;                        /* of them */
    int together;                         /* heads of keys and values in a small block's unit */
    query_blocks back;                    /* backward; none unless the plan says so */
    int64_t first_row, last_row, queries; /* the pool's rows that spans touch, [first, last); all queries */
    int64_t pieces;                       /* of a prefetch */
};

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
void cpu_linear_free(compute *c, linear *l);
adapter *cpu_adapter_new(compute *c, const adapter_shape *shape);
void cpu_adapter_free(compute *c, adapter *a);
compute_pass *cpu_pass_new(compute *c, const pass_plan *plan);
void cpu_pass_free(compute *c, compute_pass *pass);
/* Lets the products from now on prefetch the keys and values of the next attention, where they are known: the
 * first layer's when a pass begins, the others' after the gate of the layer before. Earlier is of no use:
 * other memory then takes their place in the cache before attention reads them. */
void cpu_prefetch(compute *c);

#define OPERATION(name, group, list)    void cpu_##name(compute *c OPERATION_PARAMETERS(list));
#define MEMORY(kind, name, group, list) /* host.h */
#include "compute/operations.inc"

#endif
