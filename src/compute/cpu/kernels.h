/* The kernels of the cpu backend that are not matrix products: one table for each instruction set, made of
 * one source (kernels_*.inc), and chosen once when an instance is made. A kernel works on one thread, on the
 * part it is given; who works on which part is decided in ops.c, attention.c and head.c. */
#ifndef ESPALIER_COMPUTE_CPU_KERNELS_H
#define ESPALIER_COMPUTE_CPU_KERNELS_H

#include "compute/compute.h"

enum {
    ATTENTION_KEYS = 64, /* keys in a tile */
    WIDE_HEAD = 64,      /* heads whose width is a multiple of it have kernels of their own */
};

/* What a part of an attention reads: some key/value heads, and some consecutive queries of a span. A row is a
 * query and a head of the group: there are `count` times `group`. */
typedef struct {
    dtype act;
    int heads, kv_heads, head_width;
    const attention_span *span;
    const attention_segment *segments;
    int64_t window; /* keys that a query sees, at most; 0: all */
    const float *q;
    const void *k, *v;
    int kv_head,
        kv_head_count; /* the heads of keys and values; only wide heads are taken several at a time */
    int first, count;  /* queries first .. first + count - 1 of the span */
    const attention_span *then; /* what this thread will most likely be given next, or NULL */
    float *scratch;             /* attention_scratch floats */
} attention_unit;

typedef struct {
    const void *out;
    const float *lse, *dout;
    float *dq;
    float *dk,
        *dv; /* row `slot` of the pool at (slot - first_slot) * stride, of this key/value head; added to */
    int64_t first_slot, stride;
} attention_gradients;

/* What one row of a tile of logits holds, relative to its own greatest. */
typedef struct {
    float max, tempered_sum; /* greatest; sum of exp((x - max) / temperature) */
    double sum;              /* sum of exp(x - max) */
} logit_sums;

typedef struct {
    const char *name;
    void (*exponentials)(int64_t n, const float *x, float *y); /* y = e^x */
    void (*to_act)(dtype act, int64_t n, const float *x, void *y);
    void (*widen)(dtype act, int64_t n, const void *x, float *y);
    void (*add)(int64_t n, const float *x, float *y); /* y += x */
    /* c[m, n] += a b in f32, each sum in the order of k: element (i, k) of a is a[i * a_row + k * a_step],
     * rows of b and c are b_row and c_row apart. */
    void (*product)(int64_t m, int64_t n, int64_t k, const float *a, int64_t a_row, int64_t a_step,
                    const float *b, int64_t b_row, float *c, int64_t c_row);
    void (*rmsnorm)(dtype act, int64_t rows, int64_t width, const float *x, const float *gain, float eps,
                    void *y, float *rstd);
    void (*rmsnorm_backward)(int64_t rows, int64_t width, const float *dy, const float *x, const float *gain,
                             const float *rstd, float *dx, float *dgain);
    void (*rotate)(int64_t half, const float *x, const float *cosine, const float *sine, float sign,
                   float *y);
    /* By gate_kind. */
    void (*gate[2])(dtype act, int64_t rows, int64_t width, const void *gate_up, void *h);
    void (*gate_backward[2])(dtype act, int64_t rows, int64_t width, const float *dh, const void *gate_up,
                             void *dgate_up);
    /* For units of `rows` rows of `kv_heads` heads, in floats. */
    size_t (*attention_scratch)(int rows, int kv_heads, int head_width, bool backward);
    void (*attention)(const attention_unit *u, void *out, float *lse);
    void (*attention_backward)(const attention_unit *u, const attention_gradients *d);
    /* Over n logits. */
    logit_sums (*logits)(int64_t n, const float *x, float temperature, bool tempered);
    /* y (act) = scale * exp(x - total). */
    void (*softmax)(dtype act, int64_t n, const float *x, double total, float scale, void *y);
    /* rate and decay as in w -= rate * (m / bias1 / (sqrt(v / bias2) + eps) + decay * w). */
    void (*adamw)(int64_t n, float *w, const float *g, float *m, float *v, const adamw_settings *s);
    double (*sum_squares)(int64_t n, const float *x);
} cpu_kernels;

extern const cpu_kernels kernels_base;
#if defined(__x86_64__)
extern const cpu_kernels kernels_avx2, kernels_avx512, kernels_avx512bf16;
#endif

#endif
