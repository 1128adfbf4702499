/* Low-rank adapters. Their numbers stay in f32, and so do their products: at the ranks that are used they are
 * a few percent of the matrices' own. The result does not depend on how rows fall to threads. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <omp.h>
#include <string.h>

enum {
    RANK_GRAIN = 16,        /* ranks are filled up with zeros to whole vectors */
    ROWS = 8,               /* of a unit of work */
    TOKENS = 256,           /* of a backward pass in one go: what a gradient is added to is read once a go */
    WEIGHT_ROWS = 64,       /* rows or columns of a gradient that are a unit of work */
    LEAST_SHARED = 1 << 16, /* multiplications below which one thread does all */
};

struct adapter {
    adapter_shape shape;
    int64_t padded; /* rank */
    float *down;    /* [in, parts * padded]: A of all parts, turned */
    float *up;      /* per part [rank, its rows]: B, turned */
    float *up_at[ADAPTER_PARTS];
};

adapter *cpu_adapter_new(compute *c, const adapter_shape *shape) {
    adapter *a = MEM_NEW(adapter);
    a->shape = *shape;
    a->padded = (shape->rank + RANK_GRAIN - 1) / RANK_GRAIN * RANK_GRAIN;
    int64_t rows = 0;
    for (int p = 0; p < shape->parts; p++) rows += shape->part[p].rows;
    size_t down = (size_t)(shape->in * shape->parts * a->padded) * sizeof(float);
    if (mem_big_alloc((void **)&a->down, down, "an adapter", &c->failure) != ESP_OK ||
        mem_big_alloc((void **)&a->up, (size_t)(rows * shape->rank) * sizeof(float), "an adapter",
                      &c->failure) != ESP_OK)
        return a;
    memset(a->down, 0, down);
    float *at = a->up;
    for (int p = 0; p < shape->parts; p++) {
        a->up_at[p] = at;
        at += shape->part[p].rows * shape->rank;
    }
    return a;
}

void cpu_adapter_free(compute *c, adapter *a) {
    (void)c;
    if (!a) return;
    mem_big_free(a->down);
    mem_big_free(a->up);
    mem_free(a);
}

void cpu_adapter_set(compute *c, adapter *a, const float *w) {
    const adapter_shape *s = &a->shape;
    int64_t width = s->parts * a->padded;
    if (c->failure.code != ESP_OK) return;
    for (int p = 0; p < s->parts; p++) {
        const float *A = w + adapter_part_at(s, p), *B = A + s->rank * s->in;
        int64_t rows = s->part[p].rows;
        for (int64_t i = 0; i < s->in; i++)
            for (int64_t k = 0; k < s->rank; k++) a->down[i * width + p * a->padded + k] = A[k * s->in + i];
        for (int64_t k = 0; k < s->rank; k++)
            for (int64_t o = 0; o < rows; o++) a->up_at[p][k * rows + o] = B[o * s->rank + k];
    }
}

/* Rows of act as f32: themselves, or in `room`. */
static const float *wide_rows(compute *c, const void *x, int64_t first, int64_t n, int64_t width,
                              float *room) {
    const char *at = (const char *)x + (size_t)(first * width) * dtype_size(c->act);
    if (c->act == DTYPE_F32) return (const float *)(const void *)at;
    state_of(c)->kernels->widen(c->act, n * width, at, room);
    return room;
}

static void scale_all(float scale, int64_t n, float *x) {
    for (int64_t i = 0; i < n; i++) x[i] *= scale;
}

/* z[n, parts * padded] = scale x A^T. */
static void project(const cpu_kernels *kernels, const adapter *a, int64_t n, const float *x, float *z) {
    int64_t width = a->shape.parts * a->padded, in = a->shape.in;
    memset(z, 0, (size_t)(n * width) * sizeof(float));
    kernels->product(n, width, in, x, in, 1, a->down, width, z, width);
    scale_all(a->shape.scale, n * width, z);
}

/* y[n, out] += what the adapter makes of x[n, in]. */
static void adapt_rows(const cpu_kernels *kernels, const adapter *a, int64_t n, const float *x, float *z,
                       float *y) {
    const adapter_shape *s = &a->shape;
    int64_t width = s->parts * a->padded;
    project(kernels, a, n, x, z);
    for (int p = 0; p < s->parts; p++)
        kernels->product(n, s->part[p].rows, s->rank, z + p * a->padded, width, 1, a->up_at[p],
                         s->part[p].rows, y + s->part[p].first, s->out);
}

void cpu_adapt(compute *c, const adapter *a, int64_t m, const void *x, float *y) {
    const adapter_shape *s = &a->shape;
    if (m == 0 || c->failure.code != ESP_OK) return;
    int64_t units = (m + ROWS - 1) / ROWS, width = s->parts * a->padded, room = ROWS * (s->in + width);
    if (units < c->threads) units = m < c->threads ? m : c->threads;
    float *scratch = cpu_scratch(c, SCRATCH_ADAPTER, (size_t)(c->threads * room) * sizeof(float));
    if (!scratch) return;
    int64_t multiplications = m * s->rank * (s->parts * s->in + s->out);
#pragma omp parallel for num_threads(c->threads) schedule(static) if (multiplications > LEAST_SHARED)
    for (int64_t u = 0; u < units; u++) {
        int64_t first = m * u / units, n = m * (u + 1) / units - first;
        float *own = scratch + omp_get_thread_num() * room;
        const float *rows = wide_rows(c, x, first, n, s->in, own + ROWS * width);
        adapt_rows(state_of(c)->kernels, a, n, rows, own, y + first * s->out);
    }
}

/* ---- Backward ---- */

/* Some tokens on their way back, and where the gradients go. Widths are of filled-up ranks. */
typedef struct {
    compute *c;
    const adapter *a;
    const cpu_kernels *kernels;
    const float *w;
    int64_t tokens, width;
    const float *x, *dy; /* [tokens, in], [tokens, out] */
    float *wide_x, *wide_dy;
    float *z, *dz; /* [tokens, width] */
    float *b;      /* [rows of all parts, padded]: B */
    float *db;     /* the same of its gradient */
    float *dx, *dw;
} adapter_back;

/* Copies B of all parts between w, [rows, rank], and room whose rows are filled up. */
static void pad_b(const adapter *a, const float *w, float *b) {
    const adapter_shape *s = &a->shape;
    for (int p = 0; p < s->parts; p++) {
        const float *from = w + adapter_part_at(s, p) + s->rank * s->in;
        for (int64_t o = 0; o < s->part[p].rows; o++, b += a->padded)
            memcpy(b, from + o * s->rank, (size_t)s->rank * sizeof *b);
    }
}

static void add_b(const adapter *a, const float *db, float *dw) {
    const adapter_shape *s = &a->shape;
    for (int p = 0; p < s->parts; p++) {
        float *to = dw + adapter_part_at(s, p) + s->rank * s->in;
        for (int64_t o = 0; o < s->part[p].rows; o++, db += a->padded)
            for (int64_t k = 0; k < s->rank; k++) to[o * s->rank + k] += db[k];
    }
}

/* z, dz and dx of rows first .. first + n - 1. */
static void rows_back(const adapter_back *d, int64_t first, int64_t n) {
    const adapter_shape *s = &d->a->shape;
    int64_t padded = d->a->padded;
    const float *dy = d->dy + first * s->out, *b = d->b;
    float *dz = d->dz + first * d->width;
    project(d->kernels, d->a, n, d->x + first * s->in, d->z + first * d->width);
    memset(dz, 0, (size_t)(n * d->width) * sizeof(float));
    for (int p = 0; p < s->parts; p++) {
        d->kernels->product(n, padded, s->part[p].rows, dy + s->part[p].first, s->out, 1, b, padded,
                            dz + p * padded, d->width);
        b += s->part[p].rows * padded;
    }
    scale_all(s->scale, n * d->width, dz);
    for (int p = 0; p < s->parts; p++)
        d->kernels->product(n, s->in, s->rank, dz + p * padded, d->width, 1, d->w + adapter_part_at(s, p),
                            s->in, d->dx + first * s->in, s->in);
}

/* B's gradient, unit u of its rows: db += dy^T z. */
static void b_back(const adapter_back *d, int64_t u) {
    const adapter_shape *s = &d->a->shape;
    int64_t padded = d->a->padded, before = 0;
    for (int p = 0; p < s->parts; p++) {
        int64_t units = (s->part[p].rows + WEIGHT_ROWS - 1) / WEIGHT_ROWS, first = u * WEIGHT_ROWS;
        int64_t n = s->part[p].rows - first < WEIGHT_ROWS ? s->part[p].rows - first : WEIGHT_ROWS;
        if (u < units) {
            d->kernels->product(n, padded, d->tokens, d->dy + s->part[p].first + first, 1, s->out,
                                d->z + p * padded, d->width, d->db + (before + first) * padded, padded);
            return;
        }
        u -= units;
        before += s->part[p].rows;
    }
}

/* A's gradient, unit u of its columns: da += dz^T x. */
static void a_back(const adapter_back *d, int64_t u) {
    const adapter_shape *s = &d->a->shape;
    int64_t first = u * WEIGHT_ROWS, n = s->in - first < WEIGHT_ROWS ? s->in - first : WEIGHT_ROWS;
    for (int p = 0; p < s->parts; p++)
        d->kernels->product(s->rank, n, d->tokens, d->dz + p * d->a->padded, 1, d->width, d->x + first, s->in,
                            d->dw + adapter_part_at(s, p) + first, s->in);
}

static int64_t units_of_b(const adapter_shape *s) {
    int64_t units = 0;
    for (int p = 0; p < s->parts; p++) units += (s->part[p].rows + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
    return units;
}

static void tokens_back(adapter_back *d, const void *x, const void *dy, int64_t first) {
    compute *c = d->c;
    const adapter_shape *s = &d->a->shape;
    int64_t blocks = (d->tokens + ROWS - 1) / ROWS, of_b = units_of_b(s),
            of_a = (s->in + WEIGHT_ROWS - 1) / WEIGHT_ROWS;
    d->x = c->act == DTYPE_F32 ? (const float *)x + first * s->in : d->wide_x;
    d->dy = c->act == DTYPE_F32 ? (const float *)dy + first * s->out : d->wide_dy;
#pragma omp parallel num_threads(c->threads)
    {
#pragma omp for schedule(static)
        for (int64_t b = 0; b < blocks; b++) {
            int64_t row = b * ROWS, n = d->tokens - row < ROWS ? d->tokens - row : ROWS;
            wide_rows(c, x, first + row, n, s->in, d->wide_x + row * s->in);
            wide_rows(c, dy, first + row, n, s->out, d->wide_dy + row * s->out);
            rows_back(d, row, n);
        }
#pragma omp for schedule(dynamic)
        for (int64_t u = 0; u < of_b + of_a; u++)
            if (u < of_b)
                b_back(d, u);
            else
                a_back(d, u - of_b);
    }
}

void cpu_adapt_backward(compute *c, const adapter *a, int64_t m, const float *w, const void *x,
                        const void *dy, float *dx, float *dw) {
    const adapter_shape *s = &a->shape;
    if (m == 0 || c->failure.code != ESP_OK) return;
    int64_t most = m < TOKENS ? m : TOKENS, width = s->parts * a->padded, rows = 0;
    for (int p = 0; p < s->parts; p++) rows += s->part[p].rows;
    int64_t wide = c->act == DTYPE_F32 ? 0 : most * (s->in + s->out);
    int64_t floats = 2 * most * width + 2 * rows * a->padded + wide;
    float *scratch = cpu_scratch(c, SCRATCH_ADAPTER, (size_t)floats * sizeof(float));
    if (!scratch) return;
    adapter_back d = {.c = c, .a = a, .kernels = state_of(c)->kernels, .w = w, .width = width, .dw = dw};
    d.z = scratch;
    d.dz = d.z + most * width;
    d.b = d.dz + most * width;
    d.db = d.b + rows * a->padded;
    d.wide_x = d.db + rows * a->padded;
    d.wide_dy = d.wide_x + most * s->in;
    memset(d.b, 0, (size_t)(2 * rows * a->padded) * sizeof(float));
    pad_b(a, w, d.b);
    for (int64_t first = 0; first < m; first += most) {
        d.tokens = m - first < most ? m - first : most;
        d.dx = dx + first * s->in;
        tokens_back(&d, x, dy, first);
    }
    add_b(a, d.db, dw);
}
