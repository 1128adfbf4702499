/* The cpu backend: its state, the choice of kernels, and the operations that work row by row. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WIDEST_HEAD = 1024,
    GRADIENT_PARTS =
        16,          /* private sums of a gain's gradient; fixed, so that sums are the same for any threads */
    CACHE_SHARE = 4, /* one in so many bytes of the last cache may be fetched into ahead */
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

static void cpu_rmsnorm(compute *c, int64_t rows, int64_t width, const float *x, const float *gain, float eps,
                        void *y, float *rstd) {
    const cpu_kernels *k = state_of(c)->kernels;
    size_t row = (size_t)width * dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static) if (rows * width > 16384)
    for (int64_t r = 0; r < rows; r++)
        k->rmsnorm(c->act, 1, width, x + r * width, gain, eps, (char *)y + (size_t)r * row,
                   rstd ? rstd + r : NULL);
}

static void cpu_rmsnorm_backward(compute *c, int64_t rows, int64_t width, const float *dy, const float *x,
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
    for (int part = 0; part < GRADIENT_PARTS; part++) k->add(width, sums + part * width, dgain);
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

/* One token's row of qkv to its row of q and to its rows of the pools. */
static void split_token(compute *c, const qkv_spec *spec, const float *from, const float *cs, const float *sn,
                        float *q, void *k, void *v) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    int64_t E = spec->head_width, half = E / 2, size = (int64_t)dtype_size(c->act);
    int heads = spec->heads, kv_heads = spec->kv_heads;
    float sum[WIDEST_HEAD], turned[WIDEST_HEAD];
    for (int64_t h = 0; h < heads + 2 * kv_heads; h++) {
        const float *head = with_bias(kernels, E, from + h * E, spec->bias ? spec->bias + h * E : NULL, sum);
        if (h < heads) {
            kernels->rotate(half, head, cs, sn, 1, q + h * E);
        } else if (h < heads + kv_heads) {
            kernels->rotate(half, head, cs, sn, 1, turned);
            kernels->to_act(c->act, E, turned, (char *)k + (h - heads) * E * size);
        } else {
            kernels->to_act(c->act, E, head, (char *)v + (h - heads - kv_heads) * E * size);
        }
    }
}

static void cpu_rope_split(compute *c, int64_t tokens, const qkv_spec *spec, const float *qkv,
                           const int32_t *positions, const int64_t *slots, const float *cosine,
                           const float *sine, float *q, void *k, void *v) {
    if (!head_fits(c, spec->head_width)) return;
    int64_t E = spec->head_width, row = (spec->heads + 2 * spec->kv_heads) * E;
    int64_t pool_row = spec->kv_heads * E * (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t t = 0; t < tokens; t++) {
        int64_t angles = positions[t] * (E / 2), at = slots[t] * pool_row;
        split_token(c, spec, qkv + t * row, cosine + angles, sine + angles, q + t * spec->heads * E,
                    (char *)k + at, (char *)v + at);
    }
}

/* dbias += the columns' sums. A thread takes whole heads, and rows in their order: the sums do not depend on
 * the number of threads. */
static void bias_gradient(compute *c, int64_t tokens, const qkv_spec *spec, const float *dq, const float *dk,
                          const float *dv, const int32_t *positions, const int64_t *slots,
                          const float *cosine, const float *sine, float *dbias) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    int64_t E = spec->head_width, half = E / 2;
    int heads = spec->heads, kv_heads = spec->kv_heads;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int h = 0; h < heads + 2 * kv_heads; h++)
        for (int64_t t = 0; t < tokens; t++) {
            float turned[WIDEST_HEAD];
            const float *from = h < heads ? dq + (t * heads + h) * E
                                : h < heads + kv_heads
                                    ? dk + (slots[t] * kv_heads + h - heads) * E
                                    : dv + (slots[t] * kv_heads + h - heads - kv_heads) * E;
            if (h < heads + kv_heads) {
                int64_t angles = positions[t] * half;
                kernels->rotate(half, from, cosine + angles, sine + angles, -1, turned);
                from = turned;
            }
            kernels->add(E, from, dbias + h * E);
        }
}

static void cpu_rope_split_backward(compute *c, int64_t tokens, const qkv_spec *spec, const float *dq,
                                    const float *dk, const float *dv, const int32_t *positions,
                                    const int64_t *slots, const float *cosine, const float *sine, void *dqkv,
                                    float *dbias) {
    if (!head_fits(c, spec->head_width)) return;
    const cpu_kernels *kernels = state_of(c)->kernels;
    int heads = spec->heads, kv_heads = spec->kv_heads;
    int64_t E = spec->head_width, half = E / 2, row = (heads + 2 * kv_heads) * E,
            size = (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t t = 0; t < tokens; t++) {
        const float *cs = cosine + positions[t] * half, *sn = sine + positions[t] * half;
        const float *dkt = dk + slots[t] * kv_heads * E, *dvt = dv + slots[t] * kv_heads * E;
        char *to = (char *)dqkv + t * row * size;
        for (int64_t h = 0; h < heads + kv_heads; h++) {
            float turned[WIDEST_HEAD];
            const float *from = h < heads ? dq + (t * heads + h) * E : dkt + (h - heads) * E;
            kernels->rotate(half, from, cs, sn, -1, turned);
            kernels->to_act(c->act, E, turned, to + h * E * size);
        }
        kernels->to_act(c->act, kv_heads * E, dvt, to + (heads + kv_heads) * E * size);
    }
    if (dbias) bias_gradient(c, tokens, spec, dq, dk, dv, positions, slots, cosine, sine, dbias);
}

void cpu_swiglu(compute *c, int64_t rows, int64_t width, const void *gate_up, void *h) {
    const cpu_kernels *k = state_of(c)->kernels;
    int64_t size = (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        k->swiglu(c->act, 1, width, (const char *)gate_up + 2 * r * width * size,
                  (char *)h + r * width * size);
}

static void cpu_swiglu_backward(compute *c, int64_t rows, int64_t width, const float *dh, const void *gate_up,
                                void *dgate_up) {
    const cpu_kernels *k = state_of(c)->kernels;
    int64_t size = (int64_t)dtype_size(c->act);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        k->swiglu_backward(c->act, 1, width, dh + r * width, (const char *)gate_up + 2 * r * width * size,
                           (char *)dgate_up + 2 * r * width * size);
}

static void cpu_to_act(compute *c, int64_t n, const float *x, void *y) {
    const cpu_kernels *k = state_of(c)->kernels;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int part = 0; part < c->threads; part++) {
        int64_t begin, end;
        cpu_part(n, 64, part, c->threads, &begin, &end);
        k->to_act(c->act, end - begin, x + begin, (char *)y + (size_t)begin * dtype_size(c->act));
    }
}

static void cpu_adamw(compute *c, int64_t n, float *w, const float *g, float *m, float *v,
                      const adamw_settings *settings) {
    const cpu_kernels *k = state_of(c)->kernels;
#pragma omp parallel for num_threads(c->threads) schedule(static) if (n > 16384)
    for (int part = 0; part < c->threads; part++) {
        int64_t begin, end;
        cpu_part(n, 64, part, c->threads, &begin, &end);
        k->adamw(end - begin, w + begin, g + begin, m + begin, v + begin, settings);
    }
}

static double cpu_sum_squares(compute *c, int64_t n, const float *x) {
    const cpu_kernels *k = state_of(c)->kernels;
    int64_t blocks = (n + SQUARES_BLOCK - 1) / SQUARES_BLOCK;
    double *sums = cpu_scratch(c, SCRATCH_SUMS, (size_t)blocks * sizeof(double)), sum = 0;
    if (!sums) return 0;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t b = 0; b < blocks; b++) {
        int64_t begin = b * SQUARES_BLOCK, left = n - begin;
        sums[b] = k->sum_squares(left < SQUARES_BLOCK ? left : SQUARES_BLOCK, x + begin);
    }
    for (int64_t b = 0; b < blocks; b++) sum += sums[b];
    return sum;
}

static void cpu_destroy(compute *c) {
    cpu_state *s = state_of(c);
    gemm_free(s->gemm);
    for (int i = 0; i < SCRATCH_USES; i++) mem_big_free(s->scratch[i]);
    mem_free(s);
}

static esp_status cpu_share(compute *c, esp_error *error) {
    gemm *g;
    ESP_TRY(gemm_share(&g, state_of(c->of)->gemm, c->threads, error));
    cpu_state *s = MEM_NEW(cpu_state);
    s->gemm = g;
    s->kernels = state_of(c->of)->kernels;
    s->panels = state_of(c->of)->panels;
    s->fetch_most = state_of(c->of)->fetch_most;
    c->state = s;
    c->ops = c->of->ops;
    return ESP_OK;
}

static const compute_ops cpu_ops = {
    .name = "cpu",
    .destroy = cpu_destroy,
    .share = cpu_share,
    .linear_new = cpu_linear_new,
    .linear_set = cpu_linear_set,
    .linear_free = cpu_linear_free,
    .linear_forward = cpu_linear_forward,
    .linear_swiglu = cpu_linear_swiglu,
    .linear_backward_input = cpu_linear_backward_input,
    .linear_backward_weight = cpu_linear_backward_weight,
    .embed_gather = cpu_embed_gather,
    .embed_scatter = cpu_embed_scatter,
    .rmsnorm = cpu_rmsnorm,
    .rmsnorm_backward = cpu_rmsnorm_backward,
    .rope_split = cpu_rope_split,
    .rope_split_backward = cpu_rope_split_backward,
    .attention = cpu_attention,
    .attention_backward = cpu_attention_backward,
    .attention_ahead = cpu_attention_ahead,
    .swiglu = cpu_swiglu,
    .swiglu_backward = cpu_swiglu_backward,
    .to_act = cpu_to_act,
    .head_read = cpu_head_read,
    .head_backward = cpu_head_backward,
    .adamw = cpu_adamw,
    .sum_squares = cpu_sum_squares,
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
    cpu_state *s = MEM_NEW(cpu_state);
    s->gemm = g;
    s->kernels = kernels;
    s->panels = choose_panels(kernels, g);
#if defined(_SC_LEVEL3_CACHE_SIZE)
    s->fetch_most = sysconf(_SC_LEVEL3_CACHE_SIZE) / CACHE_SHARE; /* not known: 0 */
#endif
    c->state = s;
    c->ops = &cpu_ops;
    char products[64];
    gemm_describe(g, products, sizeof products);
    snprintf(c->description, sizeof c->description, "cpu %s, %d thread%s, kernels %s, products %s%s%s",
             c->act == DTYPE_F32 ? "f32" : "bf16", c->threads, c->threads == 1 ? "" : "s", kernels->name,
             products, gemm_input(g) == c->act ? "" : " in f32 on bf16 values", s->panels ? ", panels" : "");
    return ESP_OK;
}
