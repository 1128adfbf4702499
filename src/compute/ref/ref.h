/* What the files of the reference backend share: element access by type, and the operations that have a file
 * of their own. */
#ifndef ESPALIER_COMPUTE_REF_H
#define ESPALIER_COMPUTE_REF_H

#include "base/half.h"
#include "compute/compute.h"

struct linear {
    int64_t out, in;
    void *w; /* act, [out, in] */
};

static inline float act_get(const compute *c, const void *x, int64_t i) {
    return c->act == DTYPE_F32 ? ((const float *)x)[i] : bf16_to_f32(((const uint16_t *)x)[i]);
}

static inline void act_set(const compute *c, void *x, int64_t i, float value) {
    if (c->act == DTYPE_F32)
        ((float *)x)[i] = value;
    else
        ((uint16_t *)x)[i] = bf16_from_f32(value);
}

void ref_attention(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                   int64_t span_count, const attention_segment *segments, const float *q, const void *k,
                   const void *v, void *out, float *lse);
void ref_attention_backward(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                            int64_t span_count, const attention_segment *segments, const float *q,
                            const void *k, const void *v, const void *out, const float *lse,
                            const float *dout, float *dq, float *dk, float *dv);
void ref_head_read(compute *c, const linear *head, int64_t rows, const void *x, head_read_request *reads,
                   int64_t count);
void ref_head_backward(compute *c, const linear *head, int64_t rows, const void *x, const int32_t *targets,
                       const float *dlogprob, float *dx, float *dw);

#endif
