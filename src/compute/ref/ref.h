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

struct compute_pass {
    pass_plan plan; /* its arrays belong to the pass */
};

adapter *ref_adapter_new(compute *c, const adapter_shape *shape);
void ref_adapter_free(compute *c, adapter *a);

#define OPERATION(name, group, list)    void ref_##name(compute *c OPERATION_PARAMETERS(list));
#define OPTIONAL(name, group, list)     /* none */
#define MEMORY(kind, name, group, list) /* host.h */
#include "compute/operations.inc"

#endif
