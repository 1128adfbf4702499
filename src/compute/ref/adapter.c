/* Low-rank adapters by plain loops. */
#include "base/memory.h"
#include "compute/ref/ref.h"

#include <string.h>

struct adapter {
    adapter_shape shape;
    float *w; /* as adapter_part_at has it */
};

adapter *ref_adapter_new(compute *c, const adapter_shape *shape) {
    (void)c;
    adapter *a = MEM_NEW(adapter);
    a->shape = *shape;
    a->w = MEM_ARRAY(float, adapter_part_at(shape, shape->parts));
    return a;
}

void ref_adapter_free(compute *c, adapter *a) {
    (void)c;
    if (!a) return;
    mem_free(a->w);
    mem_free(a);
}

void ref_adapter_set(compute *c, adapter *a, const float *w) {
    (void)c;
    memcpy(a->w, w, (size_t)adapter_part_at(&a->shape, a->shape.parts) * sizeof *w);
}

/* z[rank] = scale A x. */
static void project(const compute *c, const adapter_shape *s, const float *A, const void *x, int64_t row,
                    double *z) {
    for (int64_t k = 0; k < s->rank; k++) {
        z[k] = 0;
        for (int64_t i = 0; i < s->in; i++)
            z[k] += (double)A[k * s->in + i] * (double)act_get(c, x, row * s->in + i);
        z[k] *= (double)s->scale;
    }
}

void ref_adapt(compute *c, const adapter *a, int64_t m, const void *x, float *y) {
    const adapter_shape *s = &a->shape;
    double *z = MEM_ARRAY(double, s->rank);
    for (int p = 0; p < s->parts; p++) {
        const float *A = a->w + adapter_part_at(s, p), *B = A + s->rank * s->in;
        for (int64_t r = 0; r < m; r++) {
            project(c, s, A, x, r, z);
            for (int64_t o = 0; o < s->part[p].rows; o++) {
                double sum = 0;
                for (int64_t k = 0; k < s->rank; k++) sum += (double)B[o * s->rank + k] * z[k];
                y[r * s->out + s->part[p].first + o] += (float)sum;
            }
        }
    }
    mem_free(z);
}

/* dz[rank] = scale B^T dy. */
static void project_back(const compute *c, const adapter_shape *s, int part, const float *B, const void *dy,
                         int64_t row, double *dz) {
    for (int64_t k = 0; k < s->rank; k++) {
        dz[k] = 0;
        for (int64_t o = 0; o < s->part[part].rows; o++)
            dz[k] +=
                (double)B[o * s->rank + k] * (double)act_get(c, dy, row * s->out + s->part[part].first + o);
        dz[k] *= (double)s->scale;
    }
}

void ref_adapt_backward(compute *c, const adapter *a, int64_t m, const float *w, const void *x,
                        const void *dy, float *dx, float *dw) {
    const adapter_shape *s = &a->shape;
    double *z = MEM_ARRAY(double, s->rank), *dz = MEM_ARRAY(double, s->rank);
    for (int p = 0; p < s->parts; p++) {
        int64_t at = adapter_part_at(s, p), size = s->rank * s->in;
        const float *A = w + at, *B = A + size;
        float *dA = dw + at, *dB = dA + size;
        for (int64_t r = 0; r < m; r++) {
            project(c, s, A, x, r, z);
            project_back(c, s, p, B, dy, r, dz);
            for (int64_t k = 0; k < s->rank; k++) {
                for (int64_t i = 0; i < s->in; i++) {
                    dx[r * s->in + i] += (float)(dz[k] * (double)A[k * s->in + i]);
                    dA[k * s->in + i] += (float)(dz[k] * (double)act_get(c, x, r * s->in + i));
                }
                for (int64_t o = 0; o < s->part[p].rows; o++)
                    dB[o * s->rank + k] +=
                        (float)((double)act_get(c, dy, r * s->out + s->part[p].first + o) * z[k]);
            }
        }
    }
    mem_free(dz);
    mem_free(z);
}
