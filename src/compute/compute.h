/* Compute: the operations a Llama-family model is made of, and who does them. `ref` does them with plain
 * loops that one can check by eye; `cpu` does the same with oneDNN matrix products and fused kernels picked
 * at run time. The two are held to parity op by op (tests/unit/compute). Logits exist only inside head_read
 * and head_backward, a chunk at a time.
 *
 * Types. "act" means the activation type of the instance, f32 or bf16: what matrix products take as inputs
 * (they accumulate in f32). Everything else is f32. A pointer to act data is void*. All matrices are
 * row-major and dense. Letters: T tokens, D width of the residual stream, H query heads, G key/value heads, E
 * width of a head, F width of the feed-forward part, V vocabulary.
 *
 * Errors. The operations return nothing; a failure inside (a primitive that cannot be made, no memory for
 * scratch) is kept and handed out by compute_check, which the model calls once after each pass. Determinism.
 * Same inputs, same thread count, same machine: same bits. */
#ifndef ESPALIER_COMPUTE_COMPUTE_H
#define ESPALIER_COMPUTE_COMPUTE_H

#include "base/error.h"
#include "base/random.h"

typedef enum { DTYPE_F32, DTYPE_BF16 } dtype;

typedef struct compute compute;
typedef struct linear linear; /* a weight matrix [out, in] in the form its backend likes */

enum {
    LINEAR_BACKWARD = 1, /* linear_backward_input will be called */
    LINEAR_ROWS = 2,     /* embed_gather will be called */
    LINEAR_GATED = 4,    /* linear_swiglu will be called, and linear_forward will not */
};

/* Keys and values that a group of query tokens attends to. Query tokens first_query .. first_query + queries
 * - 1 are consecutive tokens of one path. The path's keys, the queries' own among them, lie in `segments`
 * pieces of the pool, in order of position; together they hold `context` tokens, and the last `queries` of
 * them are the queries' own. Query j sees the first context - queries + j + 1. */
typedef struct {
    int64_t first_query;
    int32_t queries, context;
    int64_t first_segment;
    int32_t segments;
} attention_span;

typedef struct {
    int64_t slot; /* first row in the pool */
    int32_t count;
} attention_segment;

/* The heads of an attention layer, and what the split of q, k, v does besides splitting and rotating. */
typedef struct {
    int heads, kv_heads, head_width;
    const float *bias; /* f32, [(heads + 2 kv_heads) head_width]; NULL: none */
} qkv_spec;

/* What is asked of the next-token distribution at one row of hidden states. log-probs are natural, of the
 * untempered model, in f32. */
typedef enum {
    READ_SCORE,  /* the log-prob of `token` */
    READ_SAMPLE, /* a token drawn at `temperature` by inverting the distribution at u in [0,1); its log-prob
                  */
    READ_GREEDY, /* the most probable token (ties: lowest id); its log-prob; margin to the second */
} read_kind;

typedef struct {
    int64_t row; /* of x; reads come in ascending order of row, several may share one */
    read_kind kind;
    int32_t token;     /* in for READ_SCORE, out otherwise */
    float temperature; /* > 0, READ_SAMPLE */
    double u;          /* READ_SAMPLE */
    float logprob;     /* out */
    float margin;      /* out, READ_GREEDY: log-prob of the best less that of the second */
} head_read_request;

typedef struct {
    float lr, beta1, beta2, eps, weight_decay;
    float grad_scale; /* gradients are multiplied by it first (clipping) */
    int64_t step;     /* 1 for the first */
} adamw_settings;

typedef struct compute_ops {
    const char *name;
    void (*destroy)(compute *c);
    esp_status (*share)(compute *c,
                        esp_error *error); /* makes c, with act, threads and of set, a share of c->of */

    /* Weights. linear_set rounds and packs w[out, in] (f32); it may be called again after an update. */
    linear *(*linear_new)(compute *c, int64_t out, int64_t in, int flags);
    void (*linear_set)(compute *c, linear *l, const float *w);
    void (*linear_free)(compute *c, linear *l);

    /* y[m, out] = x[m, in] W^T (+ y where accumulate). y is f32 where y_type is DTYPE_F32, else act;
     * accumulate needs f32. */
    void (*linear_forward)(compute *c, const linear *l, int64_t m, const void *x, void *y, dtype y_type,
                           bool accumulate);
    /* h (act, [m, out / 2]) = silu(gate) * up, where gate_up (act, [m, out]: gate then up) = x W^T. gate_up
     * is room for it, and holds it afterwards only where `keep`. */
    void (*linear_swiglu)(compute *c, const linear *l, int64_t m, const void *x, void *gate_up, bool keep,
                          void *h);
    /* dx[m, in] = dy[m, out] W, f32. */
    void (*linear_backward_input)(compute *c, const linear *l, int64_t m, const void *dy, float *dx);
    /* dw[out, in] += dy[m, out]^T x[m, in]; dy and x are act, dw f32. */
    void (*linear_backward_weight)(compute *c, int64_t m, int64_t out, int64_t in, const void *dy,
                                   const void *x, float *dw);

    /* x[t, :] = row ids[t] of the weight, widened to f32; and dw[ids[t], :] += dx[t, :]. */
    void (*embed_gather)(compute *c, const linear *table, int64_t tokens, const int32_t *ids, float *x);
    void (*embed_scatter)(compute *c, int64_t tokens, int64_t width, const int32_t *ids, const float *dx,
                          float *dw);

    /* y (act) = x * rstd * gain, rstd = 1 / sqrt(mean(x^2) + eps); rstd may be NULL.
     * Backward: dx += ..., dgain += ... */
    void (*rmsnorm)(compute *c, int64_t rows, int64_t width, const float *x, const float *gain, float eps,
                    void *y, float *rstd);
    void (*rmsnorm_backward)(compute *c, int64_t rows, int64_t width, const float *dy, const float *x,
                             const float *gain, const float *rstd, float *dx, float *dgain);

    /* Adds the bias to qkv (f32, [T, (H + 2G) E]) and splits it into q (f32, [T, H E]) and into rows slots[t]
     * of the pools k and v (act, [slots, G E]); q and k are rotated (halves: element i with i + E/2) by the
     * angles of positions[t]: cosine and sine are [positions, E/2]. Backward: from dq (f32), and rows
     * slots[t] of dk, dv (f32, pool-shaped) to dqkv (act); and dbias (f32, [(H + 2G) E], NULL without a bias)
     * += the columns' sums of dqkv before it is rounded, in f32, row by row. */
    void (*rope_split)(compute *c, int64_t tokens, const qkv_spec *spec, const float *qkv,
                       const int32_t *positions, const int64_t *slots, const float *cosine, const float *sine,
                       float *q, void *k, void *v);
    void (*rope_split_backward)(compute *c, int64_t tokens, const qkv_spec *spec, const float *dq,
                                const float *dk, const float *dv, const int32_t *positions,
                                const int64_t *slots, const float *cosine, const float *sine, void *dqkv,
                                float *dbias);

    /* out (act, [T, H E]) = softmax(q k^T / sqrt(E)) v over each query's span, with q rounded to act, as k
     * and v are, where E is a multiple of 64; lse (f32, [T, H], natural log of the sum of exponentials of the
     * scaled scores) may be NULL. Head h uses key/value head h / (H / G). Backward: dq = ..., dk += ..., dv
     * += ... (dk, dv pool-shaped, f32). Spans cover the queries once each.
     */
    void (*attention)(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                      int64_t span_count, const attention_segment *segments, const float *q, const void *k,
                      const void *v, void *out, float *lse);
    void (*attention_backward)(compute *c, int heads, int kv_heads, int head_width,
                               const attention_span *spans, int64_t span_count,
                               const attention_segment *segments, const float *q, const void *k,
                               const void *v, const void *out, const float *lse, const float *dout, float *dq,
                               float *dk, float *dv);

    /* Says what the next attention will be, of the pools k and v alone: linear_forward may ask memory for
     * their rows meanwhile. Nothing depends on it but time. */
    void (*attention_ahead)(compute *c, int kv_heads, int head_width, const attention_span *spans,
                            int64_t span_count, const attention_segment *segments, const void *k,
                            const void *v);

    /* gate_up (act, [rows, 2F]: gate then up) to h (act, [rows, F]) = silu(gate) * up; and back. */
    void (*swiglu)(compute *c, int64_t rows, int64_t width, const void *gate_up, void *h);
    void (*swiglu_backward)(compute *c, int64_t rows, int64_t width, const float *dh, const void *gate_up,
                            void *dgate_up);

    void (*to_act)(compute *c, int64_t n, const float *x, void *y);

    /* The vocabulary. x (act, [rows, D]); reads in ascending order of row. */
    void (*head_read)(compute *c, const linear *head, int64_t rows, const void *x, head_read_request *reads,
                      int64_t count);
    /* For the log-probs of targets[r] at row r: dx (f32, [rows, D]) = ..., dw (f32, [V, D]) += ..., given
     * dlogprob[r]. */
    void (*head_backward)(compute *c, const linear *head, int64_t rows, const void *x, const int32_t *targets,
                          const float *dlogprob, float *dx, float *dw);

    /* AdamW (Loshchilov and Hutter 2019, decoupled decay scaled by lr) on n parameters; the sum of squares of
     * n numbers, in f64, in an order that does not depend on the number of threads; a <- keep * a + (1 -
     * keep) * b. */
    void (*adamw)(compute *c, int64_t n, float *w, const float *g, float *m, float *v,
                  const adamw_settings *settings);
    double (*sum_squares)(compute *c, int64_t n, const float *x);
} compute_ops;

struct compute {
    const compute_ops *ops;
    dtype act;
    int threads;
    struct compute *of; /* the instance that this one is a share of, or NULL */
    esp_error failure;  /* the first failure inside an operation; compute_check hands it out */
    void *state;        /* the backend's own */
    char description[160];
};

/* kind: "ref" or "cpu". threads 0: one a core. bf16 on a machine without bf16 matrix units still works
 * (oneDNN or plain loops emulate it) and gives the same rounding of inputs. The environment's ESPALIER_ISA
 * (base, avx2, avx512, avx512bf16) makes `cpu` use those kernels in place of the widest that the processor
 * runs; oneDNN has ONEDNN_MAX_CPU_ISA for the same. */
esp_status compute_new(compute **out, const char *kind, dtype act, int threads, esp_error *error);
/* Another instance of the same kind and type, with `threads` threads and scratch of its own, that takes the
 * matrices of `of` and can be used at the same time as it, by another thread. No matrix may be set meanwhile.
 * `of` must outlive it. */
esp_status compute_share(compute **out, compute *of, int threads, esp_error *error);
void compute_free(compute *c);
/* ESP_OK, or the first failure since the last check. */
esp_status compute_check(compute *c, esp_error *error);
/* A one-line description for logs: "cpu bf16, 2 threads, avx512_core_bf16, oneDNN 2.6.3". */
const char *compute_describe(compute *c);

static inline size_t dtype_size(dtype t) {
    return t == DTYPE_F32 ? 4 : 2;
}

/* Backends: compute/ref and compute/cpu. */
esp_status compute_ref_init(compute *c, esp_error *error);
esp_status compute_cpu_init(compute *c, esp_error *error);

#endif
