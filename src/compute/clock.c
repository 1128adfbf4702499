#include "compute/clock.h"

#include "base/clock.h"
#include "base/memory.h"

#include <string.h>

/* Every operation that is clocked, with its group. An operation that is added to compute_ops stands here and
 * below; what only makes and frees (destroy, share, linear_new, linear_free) is not clocked. */
#define OPERATIONS(X)                                                                                        \
    X(linear_set, COMPUTE_OTHER)                                                                             \
    X(linear_forward, COMPUTE_PRODUCTS)                                                                      \
    X(linear_swiglu, COMPUTE_PRODUCTS)                                                                       \
    X(linear_backward_input, COMPUTE_PRODUCTS)                                                               \
    X(linear_backward_weight, COMPUTE_PRODUCTS)                                                              \
    X(embed_gather, COMPUTE_OTHER)                                                                           \
    X(embed_scatter, COMPUTE_OTHER)                                                                          \
    X(rmsnorm, COMPUTE_OTHER)                                                                                \
    X(rmsnorm_backward, COMPUTE_OTHER)                                                                       \
    X(rope_split, COMPUTE_OTHER)                                                                             \
    X(rope_split_backward, COMPUTE_OTHER)                                                                    \
    X(attention, COMPUTE_ATTENTION)                                                                          \
    X(attention_backward, COMPUTE_ATTENTION)                                                                 \
    X(attention_ahead, COMPUTE_ATTENTION)                                                                    \
    X(swiglu, COMPUTE_OTHER)                                                                                 \
    X(swiglu_backward, COMPUTE_OTHER)                                                                        \
    X(to_act, COMPUTE_OTHER)                                                                                 \
    X(head_read, COMPUTE_VOCABULARY)                                                                         \
    X(head_backward, COMPUTE_VOCABULARY)                                                                     \
    X(adamw, COMPUTE_OTHER)                                                                                  \
    X(sum_squares, COMPUTE_OTHER)

enum {
#define OPERATION_NUMBER(name, group) OP_##name,
    OPERATIONS(OPERATION_NUMBER)
#undef OPERATION_NUMBER
        OPERATION_COUNT
};
_Static_assert((int)OPERATION_COUNT <= (int)COMPUTE_OPERATIONS, "raise COMPUTE_OPERATIONS");
/* name, destroy, share, linear_new, linear_free. */
_Static_assert(sizeof(compute_ops) == (OPERATION_COUNT + 5) * sizeof(void (*)(void)),
               "an operation of compute_ops is missing above");

static const struct {
    const char *name;
    compute_group group;
} operations[] = {
#define OPERATION_ROW(name, group) {#name, group},
    OPERATIONS(OPERATION_ROW)
#undef OPERATION_ROW
};

struct compute_clock {
    compute_ops ops; /* what c->ops points to: the wrapped calls find the clock by it */
    const compute_ops *real;
    bool running;
    /* Nanoseconds; several threads add to them. */
    int64_t calls[OPERATION_COUNT], wall[OPERATION_COUNT], cores[OPERATION_COUNT];
};

static compute_clock *clock_of(const compute *c) {
    return (compute_clock *)(uintptr_t)c->ops;
}

static double begin(const compute *c) {
    return clock_of(c)->running ? clock_seconds() : 0;
}

static void end(const compute *c, int operation, double began) {
    compute_clock *k = clock_of(c);
    if (!k->running) return;
    int64_t took = (int64_t)((clock_seconds() - began) * 1e9);
    __atomic_fetch_add(&k->calls[operation], 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&k->wall[operation], took, __ATOMIC_RELAXED);
    __atomic_fetch_add(&k->cores[operation], took * c->threads, __ATOMIC_RELAXED);
}

/* ---- The operations, each between begin and end ---- */

#define CLOCKED(name, parameters, arguments)                                                                 \
    static void clocked_##name parameters {                                                                  \
        double began = begin(c);                                                                             \
        clock_of(c)->real->name arguments;                                                                   \
        end(c, OP_##name, began);                                                                            \
    }

CLOCKED(linear_set, (compute * c, linear *l, const float *w), (c, l, w))
CLOCKED(linear_forward,
        (compute * c, const linear *l, int64_t m, const void *x, void *y, dtype y_type, bool accumulate),
        (c, l, m, x, y, y_type, accumulate))
CLOCKED(linear_swiglu,
        (compute * c, const linear *l, int64_t m, const void *x, void *gate_up, bool keep, void *h),
        (c, l, m, x, gate_up, keep, h))
CLOCKED(linear_backward_input, (compute * c, const linear *l, int64_t m, const void *dy, float *dx),
        (c, l, m, dy, dx))
CLOCKED(linear_backward_weight,
        (compute * c, int64_t m, int64_t out, int64_t in, const void *dy, const void *x, float *dw),
        (c, m, out, in, dy, x, dw))
CLOCKED(embed_gather, (compute * c, const linear *table, int64_t tokens, const int32_t *ids, float *x),
        (c, table, tokens, ids, x))
CLOCKED(embed_scatter,
        (compute * c, int64_t tokens, int64_t width, const int32_t *ids, const float *dx, float *dw),
        (c, tokens, width, ids, dx, dw))
CLOCKED(rmsnorm,
        (compute * c, int64_t rows, int64_t width, const float *x, const float *gain, float eps, void *y,
         float *rstd),
        (c, rows, width, x, gain, eps, y, rstd))
CLOCKED(rmsnorm_backward,
        (compute * c, int64_t rows, int64_t width, const float *dy, const float *x, const float *gain,
         const float *rstd, float *dx, float *dgain),
        (c, rows, width, dy, x, gain, rstd, dx, dgain))
CLOCKED(rope_split,
        (compute * c, int64_t tokens, const qkv_spec *spec, const float *qkv, const int32_t *positions,
         const int64_t *slots, const float *cosine, const float *sine, float *q, void *k, void *v),
        (c, tokens, spec, qkv, positions, slots, cosine, sine, q, k, v))
CLOCKED(rope_split_backward,
        (compute * c, int64_t tokens, const qkv_spec *spec, const float *dq, const float *dk, const float *dv,
         const int32_t *positions, const int64_t *slots, const float *cosine, const float *sine, void *dqkv,
         float *dbias),
        (c, tokens, spec, dq, dk, dv, positions, slots, cosine, sine, dqkv, dbias))
CLOCKED(attention,
        (compute * c, int heads, int kv_heads, int head_width, const attention_span *spans,
         int64_t span_count, const attention_segment *segments, const float *q, const void *k, const void *v,
         void *out, float *lse),
        (c, heads, kv_heads, head_width, spans, span_count, segments, q, k, v, out, lse))
CLOCKED(attention_backward,
        (compute * c, int heads, int kv_heads, int head_width, const attention_span *spans,
         int64_t span_count, const attention_segment *segments, const float *q, const void *k, const void *v,
         const void *out, const float *lse, const float *dout, float *dq, float *dk, float *dv),
        (c, heads, kv_heads, head_width, spans, span_count, segments, q, k, v, out, lse, dout, dq, dk, dv))
CLOCKED(attention_ahead,
        (compute * c, int kv_heads, int head_width, const attention_span *spans, int64_t span_count,
         const attention_segment *segments, const void *k, const void *v),
        (c, kv_heads, head_width, spans, span_count, segments, k, v))
CLOCKED(swiglu, (compute * c, int64_t rows, int64_t width, const void *gate_up, void *h),
        (c, rows, width, gate_up, h))
CLOCKED(swiglu_backward,
        (compute * c, int64_t rows, int64_t width, const float *dh, const void *gate_up, void *dgate_up),
        (c, rows, width, dh, gate_up, dgate_up))
CLOCKED(to_act, (compute * c, int64_t n, const float *x, void *y), (c, n, x, y))
CLOCKED(head_read,
        (compute * c, const linear *head, int64_t rows, const void *x, head_read_request *reads,
         int64_t count),
        (c, head, rows, x, reads, count))
CLOCKED(head_backward,
        (compute * c, const linear *head, int64_t rows, const void *x, const int32_t *targets,
         const float *dlogprob, float *dx, float *dw),
        (c, head, rows, x, targets, dlogprob, dx, dw))
CLOCKED(adamw,
        (compute * c, int64_t n, float *w, const float *g, float *m, float *v,
         const adamw_settings *settings),
        (c, n, w, g, m, v, settings))

static double clocked_sum_squares(compute *c, int64_t n, const float *x) {
    double began = begin(c), sum = clock_of(c)->real->sum_squares(c, n, x);
    end(c, OP_sum_squares, began);
    return sum;
}

/* ---- The clock ---- */

compute_clock *compute_clock_new(compute *c) {
    compute_clock *k = MEM_NEW(compute_clock);
    k->real = c->ops;
    k->ops = *c->ops; /* name, destroy, share, linear_new, linear_free as they are */
#define OPERATION_CLOCKED(name, group) k->ops.name = clocked_##name;
    OPERATIONS(OPERATION_CLOCKED)
#undef OPERATION_CLOCKED
    c->ops = &k->ops;
    return k;
}

void compute_clock_free(compute_clock *k) {
    mem_free(k);
}

void compute_clock_start(compute_clock *k) {
    memset(k->calls, 0, sizeof k->calls);
    memset(k->wall, 0, sizeof k->wall);
    memset(k->cores, 0, sizeof k->cores);
    k->running = true;
}

void compute_clock_stop(compute_clock *k) {
    k->running = false;
}

compute_times compute_clock_read(const compute_clock *k) {
    compute_times t = {0};
    for (int i = 0; i < OPERATION_COUNT; i++) {
        if (!k->calls[i]) continue;
        double seconds = 1e-9 * (double)k->wall[i];
        t.seconds[operations[i].group] += seconds;
        t.core_seconds[operations[i].group] += 1e-9 * (double)k->cores[i];
        t.operation[t.operations++] =
            (compute_operation_time){operations[i].name, operations[i].group, k->calls[i], seconds};
    }
    return t;
}
