#include "model/weight.h"

void weight_forward(compute *c, const weight *w, int64_t rows, const void *x, float *y, bool accumulate) {
    c->ops->linear_forward(c, w->matrix, rows, x, y, DTYPE_F32, accumulate);
    if (w->adapter) c->ops->adapt(c, w->adapter, rows, x, y);
}

void weight_forward_gated(compute *c, const weight *w, gate_kind kind, int64_t rows, const void *x,
                          float *wide, void *gate_up, bool keep, void *hidden) {
    if (w->adapter) {
        weight_forward(c, w, rows, x, wide, false);
        c->ops->to_act(c, rows * w->rows, wide, gate_up);
        c->ops->gate(c, kind, rows, w->rows / 2, gate_up, hidden);
        return;
    }
    compute_linear_gate(c, w->matrix, kind, rows, w->rows / 2, x, gate_up, keep, hidden);
}

void weight_backward(compute *c, const weight *w, bool frozen, int64_t rows, const void *dy, const void *x,
                     float *dx, float *gradient) {
    if (!frozen) c->ops->linear_backward_weight(c, rows, w->rows, w->columns, dy, x, gradient + w->offset);
    c->ops->linear_backward_input(c, w->matrix, rows, dy, dx);
    if (w->adapter)
        c->ops->adapt_backward(c, w->adapter, rows, w->numbers, x, dy, dx, gradient + w->adapter_offset);
}

void weight_set(compute *c, const weight *w, const float *numbers) {
    if (w->matrix)
        c->ops->linear_set(c, w->matrix, numbers);
    else if (w->plus_one)
        c->ops->scale_shift(c, w->rows, 1, 1, numbers, w->vector);
    else if (w->vector != numbers)
        c->ops->copy(c, w->vector, numbers, (size_t)w->rows * sizeof *numbers);
}
