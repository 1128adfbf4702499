/* The cpu backend: its state, the choice of kernels, and the operations that work row by row. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"
#include "compute/host.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WIDEST_HEAD = 1024,
    GRADIENT_PARTS =
        16,          /* private sums of a gain's gradient; fixed, so that sums are the same for any threads */
    CACHE_SHARE = 4, /* a prefetch may take one in this many bytes of the last cache */
    SQUARES_BLOCK = 1 << 16, /* numbers in a block of a sum of squares */
};

void *cpu_scratch(compute *c, enum cpu_scratch_use use, size_t bytes) {
    cpu_state *s = state_of(c);
    if (bytes <= s->scratch_bytes[use]) return s->scratch[use];
    mem_big_free(s->scratch[use]);
    s->scratch[use] = NULL;
    s->scratch_bytes[use] = 0;
    size_t room = bytes + bytes / 4; /* sizes grow little by little in a search */
    if (mem_big_alloc(&s->scratch[use], room, "scratch of the compute layer", &c->failure) != ESP_OK)
        return NULL;
    s->scratch_bytes[use] = room;
    return s->scratch[use];
}

void cpu_part(int64_t n, int64_t grain, int64_t part, int64_t parts, int64_t *begin, int64_t *end) {
    int64_t grains = (n + grain - 1) / grain;
    *begin = grains * part / parts * grain;
    *end = grains * (part + 1) / parts * grain;
    if (*begin > n) *begin = n;
    if (*end > n) *end = n;
}

void cpu_rmsnorm(compute *c, int64_t rows, int64_t width, const float *x, const float *gain, float eps,
                 void *y, float *rstd) {
    const cpu_kernels *k = state_of(c)->kernels;
    size_t row = (size_t)width * dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static) if (rows * width > 16384)
    for (int64_t r = 0; r < rows; r++)
        k->rmsnorm(c->act, 1, width, x + r * width, gain, eps, (char *)y + (size_t)r * row,
                   rstd ? rstd + r : NULL);
}

void cpu_rmsnorm_add(compute *c, int64_t rows, int64_t width, const float *y, const float *gain, float eps,
                     float *x, float *rstd) {
    const cpu_kernels *k = state_of(c)->kernels;
    float *normed = cpu_scratch(c, SCRATCH_THREADS, (size_t)(c->threads * width) * sizeof(float));
    if (!normed) return;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        float *own = normed + omp_get_thread_num() * width;
        k->rmsnorm(DTYPE_F32, 1, width, y + r * width, gain, eps, own, rstd + r);
        k->add(width, own, x + r * width);
    }
}

void cpu_rmsnorm_backward(compute *c, int64_t rows, int64_t width, const float *dy, const float *x,
                          const float *gain, const float *rstd, float *dx, float *dgain) {
    const cpu_kernels *k = state_of(c)->kernels;
    float *sums = cpu_scratch(c, SCRATCH_SUMS, (size_t)(GRADIENT_PARTS * width) * sizeof(float));
    if (!sums) return;
    memset(sums, 0, (size_t)(GRADIENT_PARTS * width) * sizeof(float));
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int part = 0; part < GRADIENT_PARTS; part++) {
        int64_t begin, end;
        cpu_part(rows, 1, part, GRADIENT_PARTS, &begin, &end);
        k->rmsnorm_backward(end - begin, width, dy + begin * width, x + begin * width, gain, rstd + begin,
                            dx + begin * width, sums + part * width);
    }
    for (int part = 0; dgain && part < GRADIENT_PARTS; part++) k->add(width, sums + part * width, dgain);
}

/* Heads wider than any known model's are refused. */
static bool head_fits(compute *c, int head_width) {
    if (head_width <= WIDEST_HEAD) return true;
    error_fail(&c->failure, "use compute kind ref", "heads of width %d: the cpu backend takes at most %d",
               head_width, WIDEST_HEAD);
    return false;
}

/* n numbers of a row with the bias added: the row's own place where there is none. */
static const float *with_bias(const cpu_kernels *kernels, int64_t n, const float *x, const float *bias,
                              float *sum) {
    if (!bias) return x;
    memcpy(sum, x, (size_t)n * sizeof(float));
    kernels->add(n, bias, sum);
    return sum;
}

/* Rotates the leading elements of a head by the angles of a position, and copies the others; sign -1 turns
 * back. */
static void rotate_head(const cpu_kernels *kernels, const qkv_spec *spec, int64_t E, int32_t position,
                        float sign, const float *x, float *y) {
    int64_t rotated = !spec->cosine ? 0 : spec->rotated ? spec->rotated : E, half = rotated / 2;
    if (half) kernels->rotate(half, x, spec->cosine + position * half, spec->sine + position * half, sign, y);
    if (rotated < E) memcpy(y + rotated, x + rotated, (size_t)(E - rotated) * sizeof(float));
}

static void scale_query(const qkv_spec *spec, int64_t E, float *x) {
    for (int64_t i = 0; spec->query_scale != 0 && i < E; i++) x[i] *= spec->query_scale;
}

/* One token's row of qkv to its row of q and to its rows of the pools. */
static void split_token(compute *c, const pass_plan *p, const qkv_spec *spec, int32_t position,
                        const float *from, float *q, void *k, void *v) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    int64_t E = p->head_width, size = (int64_t)dtype_size(c->act);
    int heads = p->heads, kv_heads = p->kv_heads;
    float sum[WIDEST_HEAD], turned[WIDEST_HEAD];
    for (int64_t h = 0; h < heads + 2 * kv_heads; h++) {
        const float *head = with_bias(kernels, E, from + h * E, spec->bias ? spec->bias + h * E : NULL, sum);
        if (spec->gain && h < heads + kv_heads) {
            kernels->rmsnorm(DTYPE_F32, 1, E, head, spec->gain + (h < heads ? 0 : E), spec->eps, sum, NULL);
            head = sum;
        }
        if (h < heads) {
            rotate_head(kernels, spec, E, position, 1, head, q + h * E);
            scale_query(spec, E, q + h * E);
        } else if (h < heads + kv_heads) {
            rotate_head(kernels, spec, E, position, 1, head, turned);
            kernels->to_act(c->act, E, turned, (char *)k + (h - heads) * E * size);
        } else {
            kernels->to_act(c->act, E, head, (char *)v + (h - heads - kv_heads) * E * size);
        }
    }
}

void cpu_rope_split(compute *c, const compute_pass *pass, const qkv_spec *spec, const float *qkv, float *q,
                    void *k, void *v) {
    const pass_plan *p = &pass->plan;
    if (!head_fits(c, p->head_width)) return;
    int64_t E = p->head_width, row = (p->heads + 2 * p->kv_heads) * E;
    int64_t pool_row = p->kv_heads * E * (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t t = 0; t < p->tokens; t++) {
        int64_t at = p->slots[t] * pool_row;
        split_token(c, p, spec, p->positions[t], qkv + t * row, q + t * p->heads * E, (char *)k + at,
                    (char *)v + at);
    }
}

/* The gradients of queries, keys and values, and what they are sent back through. */
typedef struct {
    const cpu_kernels *kernels;
    const pass_plan *p;
    const qkv_spec *spec;
    const float *qkv, *dq, *dk, *dv;
} split_gradients;

/* Head h of token t; of queries and keys turned back into `turned`. */
static const float *head_gradient(const split_gradients *g, int64_t t, int64_t h, float *turned) {
    const pass_plan *p = g->p;
    int64_t E = p->head_width, pool_row = p->slots[t] * p->kv_heads;
    if (h >= p->heads + p->kv_heads) return g->dv + (pool_row + h - p->heads - p->kv_heads) * E;
    const float *from = h < p->heads ? g->dq + (t * p->heads + h) * E : g->dk + (pool_row + h - p->heads) * E;
    rotate_head(g->kernels, g->spec, E, p->positions[t], -1, from, turned);
    if (h < p->heads) scale_query(g->spec, E, turned);
    return turned;
}

/* dbias += the columns' sums. A thread takes whole heads, and rows in their order: the sums do not depend on
 * the number of threads. */
static void bias_gradient(compute *c, const split_gradients *g, float *dbias) {
    const pass_plan *p = g->p;
    int64_t E = p->head_width;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int h = 0; h < p->heads + 2 * p->kv_heads; h++)
        for (int64_t t = 0; t < p->tokens; t++) {
            float turned[WIDEST_HEAD];
            g->kernels->add(E, head_gradient(g, t, h, turned), dbias + h * E);
        }
}

/* A head's gradient through its norm, to `before`; dgain += the gain's. */
static const float *head_norm_gradient(const split_gradients *g, int64_t t, int64_t h, const float *turned,
                                       float *before, float *dgain) {
    const pass_plan *p = g->p;
    int64_t E = p->head_width, row = (p->heads + 2 * p->kv_heads) * E, part = h < p->heads ? 0 : E;
    const float *x = g->qkv + t * row + h * E, *gain = g->spec->gain + part;
    float rstd;
    g->kernels->rmsnorm(DTYPE_F32, 1, E, x, gain, g->spec->eps, before, &rstd);
    memset(before, 0, (size_t)E * sizeof(float));
    g->kernels->rmsnorm_backward(1, E, turned, x, gain, &rstd, before, dgain + part);
    return before;
}

/* One token's gradients to its row of dqkv. */
static void join_token(compute *c, const split_gradients *g, int64_t t, char *dqkv, float *dgain) {
    const pass_plan *p = g->p;
    int64_t E = p->head_width, size = (int64_t)dtype_size(c->act);
    float turned[WIDEST_HEAD], before[WIDEST_HEAD];
    for (int64_t h = 0; h < p->heads + 2 * p->kv_heads; h++) {
        const float *d = head_gradient(g, t, h, turned);
        if (g->spec->gain && h < p->heads + p->kv_heads) d = head_norm_gradient(g, t, h, d, before, dgain);
        g->kernels->to_act(c->act, E, d, dqkv + h * E * size);
    }
}

void cpu_rope_split_backward(compute *c, const compute_pass *pass, const qkv_spec *spec, const float *qkv,
                             const float *dq, const float *dk, const float *dv, void *dqkv, float *dbias,
                             float *dgain) {
    const pass_plan *p = &pass->plan;
    if (!head_fits(c, p->head_width)) return;
    const split_gradients g = {state_of(c)->kernels, p, spec, qkv, dq, dk, dv};
    int64_t E = p->head_width, row = (p->heads + 2 * p->kv_heads) * E * (int64_t)dtype_size(c->act);
    float *sums = NULL;
    if (spec->gain) {
        size_t bytes = (size_t)(GRADIENT_PARTS * 2 * E) * sizeof(float);
        sums = cpu_scratch(c, SCRATCH_SUMS, bytes);
        if (!sums) return;
        memset(sums, 0, bytes);
    }
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int part = 0; part < GRADIENT_PARTS; part++) {
        int64_t begin, end;
        cpu_part(p->tokens, 1, part, GRADIENT_PARTS, &begin, &end);
        for (int64_t t = begin; t < end; t++)
            join_token(c, &g, t, (char *)dqkv + t * row, sums ? sums + part * 2 * E : NULL);
    }
    for (int part = 0; sums && dgain && part < GRADIENT_PARTS; part++)
        g.kernels->add(2 * E, sums + part * 2 * E, dgain);
    if (dbias) bias_gradient(c, &g, dbias);
}

void cpu_gate(compute *c, gate_kind kind, int64_t rows, int64_t width, const void *gate_up, void *h) {
    const cpu_kernels *k = state_of(c)->kernels;
    int64_t size = (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        k->gate[kind](c->act, 1, width, (const char *)gate_up + 2 * r * width * size,
                      (char *)h + r * width * size);
    cpu_prefetch(c);
}

void cpu_gate_backward(compute *c, gate_kind kind, int64_t rows, int64_t width, const float *dh,
                       const void *gate_up, void *dgate_up) {
    const cpu_kernels *k = state_of(c)->kernels;
    int64_t size = (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        k->gate_backward[kind](c->act, 1, width, dh + r * width, (const char *)gate_up + 2 * r * width * size,
                               (char *)dgate_up + 2 * r * width * size);
}

void cpu_to_act(compute *c, int64_t n, const float *x, void *y) {
    const cpu_kernels *k = state_of(c)->kernels;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int part = 0; part < c->threads; part++) {
        int64_t begin, end;
        cpu_part(n, 64, part, c->threads, &begin, &end);
        k->to_act(c->act, end - begin, x + begin, (char *)y + (size_t)begin * dtype_size(c->act));
    }
}

void cpu_adamw(compute *c, int64_t n, float *w, const float *g, float *m, float *v,
               const adamw_settings *settings) {
    const cpu_kernels *k = state_of(c)->kernels;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int part = 0; part < c->threads; part++) {
        int64_t begin, end;
        cpu_part(n, 64, part, c->threads, &begin, &end);
        k->adamw(end - begin, w + begin, g + begin, m + begin, v + begin, settings);
    }
}

void cpu_sum_squares(compute *c, int64_t n, const float *x, double *sum) {
    const cpu_kernels *k = state_of(c)->kernels;
    int64_t blocks = (n + SQUARES_BLOCK - 1) / SQUARES_BLOCK;
    double *sums = cpu_scratch(c, SCRATCH_SUMS, (size_t)blocks * sizeof(double));
    *sum = 0;
    if (!sums) return;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        int64_t begin = b * SQUARES_BLOCK, left = n - begin;
        sums[b] = k->sum_squares(left < SQUARES_BLOCK ? left : SQUARES_BLOCK, x + begin);
    }
    for (int64_t b = 0; b < blocks; b++) *sum += sums[b];
}

void cpu_add(compute *c, int64_t n, const float *x, float *y) {
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

void cpu_average(compute *c, int64_t n, float rate, const float *x, float *mean) {
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int64_t i = 0; i < n; i++) mean[i] += rate * (x[i] - mean[i]);
}

void cpu_scale_shift(compute *c, int64_t n, float scale, float shift, const float *x, float *y) {
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int64_t i = 0; i < n; i++) y[i] = scale * x[i] + shift;
}

void cpu_swap(compute *c, int64_t n, float *x, float *y) {
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int64_t i = 0; i < n; i++) {
        float kept = x[i];
        x[i] = y[i];
        y[i] = kept;
    }
}

void cpu_rows_add(compute *c, int64_t n, const int64_t *rows, int64_t width, const float *from, float *to) {
    const cpu_kernels *k = state_of(c)->kernels;
    for (int64_t i = 0; i < n; i++) k->add(width, from + i * width, to + rows[i] * width);
}

static void cpu_destroy(compute *c) {
    cpu_state *s = state_of(c);
    gemm_free(s->gemm);
    for (int i = 0; i < SCRATCH_USES; i++) mem_big_free(s->scratch[i]);
    mem_free(s);
}

static cpu_state *state_new(gemm *g, const cpu_kernels *kernels, const panel_products *panels) {
    cpu_state *s = MEM_NEW(cpu_state);
    s->gemm = g;
    s->kernels = kernels;
    s->panels = panels;
    s->fetch_layer = -1;
#if defined(_SC_LEVEL3_CACHE_SIZE)
    s->fetch_most = sysconf(_SC_LEVEL3_CACHE_SIZE) / CACHE_SHARE; /* not known: 0 */
#endif
    return s;
}

static esp_status cpu_replica(compute *c, esp_error *error) {
    gemm *g;
    ESP_TRY(gemm_replica(&g, state_of(c->of)->gemm, c->threads, error));
    c->state = state_new(g, state_of(c->of)->kernels, state_of(c->of)->panels);
    c->ops = c->of->ops;
    return ESP_OK;
}

static void cpu_wait(compute *c) {
    (void)c; /* operations have run when they return */
}

static const compute_ops cpu_ops = {
    .name = "cpu",
    .destroy = cpu_destroy,
    .replica = cpu_replica,
    .wait = cpu_wait,
    .buffer_new = host_buffer_new,
    .buffer_free = host_buffer_free,
    .linear_new = cpu_linear_new,
    .linear_free = cpu_linear_free,
    .adapter_new = cpu_adapter_new,
    .adapter_free = cpu_adapter_free,
    .pass_new = cpu_pass_new,
    .pass_free = cpu_pass_free,
#define OPERATION(name, group, list)    .name = cpu_##name,
#define MEMORY(kind, name, group, list) .name = host_##name,
#include "compute/operations.inc"
};

/* The widest kernels the processor runs, or those that ESPALIER_ISA names. */
static esp_status choose_kernels(const cpu_kernels **out, esp_error *error) {
    const cpu_kernels *tables[4] = {&kernels_base};
    int count = 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (avx2) tables[count++] = &kernels_avx2;
    if (avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        tables[count++] = &kernels_avx512;
    if (tables[count - 1] == &kernels_avx512 && __builtin_cpu_supports("avx512bf16"))
        tables[count++] = &kernels_avx512bf16;
#endif
    *out = tables[count - 1];
    const char *named = getenv("ESPALIER_ISA");
    if (!named || !*named) return ESP_OK;
    for (int i = 0; i < count; i++)
        if (strcmp(tables[i]->name, named) == 0) {
            *out = tables[i];
            return ESP_OK;
        }
    return error_fail(error, "unset ESPALIER_ISA, or set it to base, avx2, avx512 or avx512bf16",
                      "ESPALIER_ISA=%s names no kernels that this processor runs", named);
}

/* NULL where oneDNN's own are better, or where the processor or the environment has no bf16 products. */
static const panel_products *choose_panels(const cpu_kernels *kernels, const gemm *g) {
#if defined(__x86_64__)
    if (kernels == &kernels_avx512bf16 && gemm_input(g) == DTYPE_BF16 && !gemm_has_tiles(g))
        return &panels_avx512bf16;
#else
    (void)kernels, (void)g;
#endif
    return NULL;
}

esp_status compute_cpu_init(compute *c, esp_error *error) {
    const cpu_kernels *kernels;
    ESP_TRY(choose_kernels(&kernels, error));
    gemm *g;
    ESP_TRY(gemm_new(&g, c->act, c->threads, error));
    cpu_state *s = state_new(g, kernels, choose_panels(kernels, g));
    c->state = s;
    c->ops = &cpu_ops;
    c->traits = host_traits(c->threads);
    c->traits.rows_alone = s->panels != NULL; /* oneDNN's products for other processors divide k by height */
    char products[64];
    gemm_describe(g, products, sizeof products);
    snprintf(c->description, sizeof c->description, "cpu %s, %d thread%s, kernels %s, products %s%s%s",
             c->act == DTYPE_F32 ? "f32" : "bf16", c->threads, c->threads == 1 ? "" : "s", kernels->name,
             products, gemm_input(g) == c->act ? "" : " in f32 on bf16 values", s->panels ? ", panels" : "");
    return ESP_OK;
}
