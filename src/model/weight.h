/* A weight: one array of the model, and the only place where the model multiplies by a matrix. An adapter
 * (LoRA) would be two more matrices in this struct, and weight_forward and weight_backward would add their
 * products; nothing outside weight.c would change. */
#ifndef ESPALIER_MODEL_WEIGHT_H
#define ESPALIER_MODEL_WEIGHT_H

#include "compute/compute.h"
#include "model/params.h"

/* Consecutive parameters as one array, rows upon rows (q, k and v are multiplied at once; so are gate and
 * up).
 */
typedef struct {
    int64_t first, count;  /* parameters */
    int64_t rows, columns; /* of all of them */
    int64_t offset;        /* where their floats, and their gradient's, start in the flat arrays */
    linear *matrix;        /* NULL: a vector */
    float *vector;         /* NULL: a matrix */
    bool plus_one;         /* the vector is 1 more than its numbers */
    adapter *adapter;      /* NULL: none */
    const float *numbers;  /* the adapter's, in the masters; NULL unless trainable */
    int64_t adapter_first, adapter_count; /* its parameters, in the adapter's set */
    int64_t adapter_offset;               /* where their floats start in the flat arrays */
} weight;

static inline bool weight_is_vector(const param_set *set, const weight *w) {
    return param_rank(&set->at[w->first]) == 1;
}

/* y [rows, out] = x W^T, or y += x W^T, the adapter's part included. x is of the compute type, y f32. */
void weight_forward(compute *c, const weight *w, int64_t rows, const void *x, float *y, bool accumulate);
/* Gate and up: hidden = f(x gate^T) * (x up^T), f by kind, as compute_linear_gate. wide: f32 [rows, 2 width],
 * used where there is an adapter. */
void weight_forward_gated(compute *c, const weight *w, gate_kind kind, int64_t rows, const void *x,
                          float *wide, void *gate_up, bool keep, void *hidden);
/* dx = dy W, and gradient += dy^T x at the weight's place in the flat array; of a frozen weight at its
 * adapter's place, if it has one. x and dy are of the compute type. */
void weight_backward(compute *c, const weight *w, bool frozen, int64_t rows, const void *dy, const void *x,
                     float *dx, float *gradient);
/* Takes new numbers, a buffer of f32 [rows, columns]: rounds and packs a matrix, copies a vector. */
void weight_set(compute *c, const weight *w, const float *numbers);

#endif
