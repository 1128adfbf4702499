/* The reference backend: plain loops, one thread, f64 accumulation. Slow on purpose: it is what the fast one
 * is held to. Linear products and elementwise operations are here; attention.c and head.c hold the two larger
 * ones. */
#include "compute/ref/ref.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static linear *ref_linear_new(compute *c, int64_t out, int64_t in, int flags) {
    (void)flags;
    linear *l = MEM_NEW(linear);
    l->out = out;
    l->in = in;
    if (mem_big_alloc(&l->w, (size_t)(out * in) * dtype_size(c->act), "a weight matrix", &c->failure) !=
        ESP_OK)
        l->out = l->in = 0;
    return l;
}

static void ref_linear_set(compute *c, linear *l, const float *w) {
    for (int64_t i = 0; i < l->out * l->in; i++) act_set(c, l->w, i, w[i]);
}

static void ref_linear_free(compute *c, linear *l) {
    (void)c;
    if (!l) return;
    mem_big_free(l->w);
    mem_free(l);
}

static void ref_linear_forward(compute *c, const linear *l, int64_t m, const void *x, void *y, dtype y_type,
                               bool accumulate) {
    for (int64_t r = 0; r < m; r++)
        for (int64_t o = 0; o < l->out; o++) {
            double sum = 0;
            for (int64_t i = 0; i < l->in; i++)
                sum += (double)act_get(c, x, r * l->in + i) * (double)act_get(c, l->w, o * l->in + i);
            if (y_type == DTYPE_F32) {
                float *at = (float *)y + r * l->out + o;
                *at = (float)(accumulate ? (double)*at + sum : sum);
            } else
                act_set(c, y, r * l->out + o, (float)sum);
        }
}

static void ref_linear_backward_input(compute *c, const linear *l, int64_t m, const void *dy, float *dx) {
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < l->in; i++) {
            double sum = 0;
            for (int64_t o = 0; o < l->out; o++)
                sum += (double)act_get(c, dy, r * l->out + o) * (double)act_get(c, l->w, o * l->in + i);
            dx[r * l->in + i] = (float)sum;
        }
}

static void ref_linear_backward_weight(compute *c, int64_t m, int64_t out, int64_t in, const void *dy,
                                       const void *x, float *dw) {
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            double sum = 0;
            for (int64_t r = 0; r < m; r++)
                sum += (double)act_get(c, dy, r * out + o) * (double)act_get(c, x, r * in + i);
            dw[o * in + i] = (float)((double)dw[o * in + i] + sum);
        }
}

static void ref_embed_gather(compute *c, const linear *table, int64_t tokens, const int32_t *ids, float *x) {
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < table->in; i++)
            x[t * table->in + i] = act_get(c, table->w, ids[t] * table->in + i);
}

static void ref_embed_scatter(compute *c, int64_t tokens, int64_t width, const int32_t *ids, const float *dx,
                              float *dw) {
    (void)c;
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t i = 0; i < width; i++) dw[ids[t] * width + i] += dx[t * width + i];
}

static void ref_rmsnorm(compute *c, int64_t rows, int64_t width, const float *x, const float *gain, float eps,
                        void *y, float *rstd) {
    for (int64_t r = 0; r < rows; r++) {
        double squares = 0;
        for (int64_t i = 0; i < width; i++) squares += (double)x[r * width + i] * (double)x[r * width + i];
        float scale = (float)(1.0 / sqrt(squares / (double)width + (double)eps));
        for (int64_t i = 0; i < width; i++) act_set(c, y, r * width + i, x[r * width + i] * scale * gain[i]);
        if (rstd) rstd[r] = scale;
    }
}

static void ref_rmsnorm_backward(compute *c, int64_t rows, int64_t width, const float *dy, const float *x,
                                 const float *gain, const float *rstd, float *dx, float *dgain) {
    (void)c;
    for (int64_t r = 0; r < rows; r++) {
        const float *dyr = dy + r * width, *xr = x + r * width;
        double dot = 0, s = (double)rstd[r];
        for (int64_t i = 0; i < width; i++) dot += (double)dyr[i] * (double)gain[i] * (double)xr[i];
        for (int64_t i = 0; i < width; i++) {
            double from_scale = (double)xr[i] * dot * s * s * s / (double)width;
            dx[r * width + i] += (float)((double)dyr[i] * (double)gain[i] * s - from_scale);
            dgain[i] += (float)((double)dyr[i] * (double)xr[i] * s);
        }
    }
}

/* Rotates the pair (a, b) by the angle with this cosine and sine. */
static void rotate(float *a, float *b, float cosine, float sine) {
    float x = *a, y = *b;
    *a = x * cosine - y * sine;
    *b = y * cosine + x * sine;
}

static void ref_rope_split(compute *c, int64_t tokens, const qkv_spec *spec, const float *qkv,
                           const int32_t *positions, const int64_t *slots, const float *cosine,
                           const float *sine, float *q, void *k, void *v) {
    int heads = spec->heads, kv_heads = spec->kv_heads;
    int64_t E = spec->head_width, half = E / 2, row = (heads + 2 * kv_heads) * E;
    for (int64_t t = 0; t < tokens; t++) {
        const float *cs = cosine + positions[t] * half, *sn = sine + positions[t] * half;
        for (int64_t h = 0; h < heads + 2 * kv_heads; h++)
            for (int64_t i = 0; i < half; i++) {
                float a = qkv[t * row + h * E + i], b = qkv[t * row + h * E + i + half];
                if (spec->bias) a += spec->bias[h * E + i], b += spec->bias[h * E + i + half];
                if (h < heads + kv_heads) rotate(&a, &b, cs[i], sn[i]);
                if (h < heads) {
                    q[(t * heads + h) * E + i] = a;
                    q[(t * heads + h) * E + i + half] = b;
                } else {
                    void *pool = h < heads + kv_heads ? k : v;
                    int64_t at = (slots[t] * kv_heads + (h - heads) % kv_heads) * E + i;
                    act_set(c, pool, at, a);
                    act_set(c, pool, at + half, b);
                }
            }
    }
}

static void ref_rope_split_backward(compute *c, int64_t tokens, const qkv_spec *spec, const float *dq,
                                    const float *dk, const float *dv, const int32_t *positions,
                                    const int64_t *slots, const float *cosine, const float *sine, void *dqkv,
                                    float *dbias) {
    int heads = spec->heads, kv_heads = spec->kv_heads;
    int64_t E = spec->head_width, half = E / 2, row = (heads + 2 * kv_heads) * E;
    for (int64_t t = 0; t < tokens; t++) {
        const float *cs = cosine + positions[t] * half, *sn = sine + positions[t] * half;
        for (int64_t h = 0; h < heads + 2 * kv_heads; h++) {
            const float *from = h < heads ? dq + (t * heads + h) * E
                                : h < heads + kv_heads
                                    ? dk + (slots[t] * kv_heads + h - heads) * E
                                    : dv + (slots[t] * kv_heads + h - heads - kv_heads) * E;
            for (int64_t i = 0; i < half; i++) {
                float a = from[i], b = from[i + half];
                if (h < heads + kv_heads) rotate(&a, &b, cs[i], -sn[i]);
                act_set(c, dqkv, t * row + h * E + i, a);
                act_set(c, dqkv, t * row + h * E + i + half, b);
                if (dbias) dbias[h * E + i] += a, dbias[h * E + i + half] += b;
            }
        }
    }
}

static double sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

static void ref_swiglu(compute *c, int64_t rows, int64_t width, const void *gate_up, void *h) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++) {
            double gate = (double)act_get(c, gate_up, r * 2 * width + i);
            double up = (double)act_get(c, gate_up, r * 2 * width + width + i);
            act_set(c, h, r * width + i, (float)(gate * sigmoid(gate) * up));
        }
}

static void ref_linear_swiglu(compute *c, const linear *l, int64_t m, const void *x, void *gate_up, bool keep,
                              void *h) {
    (void)keep;
    ref_linear_forward(c, l, m, x, gate_up, c->act, false);
    ref_swiglu(c, m, l->out / 2, gate_up, h);
}

static void ref_swiglu_backward(compute *c, int64_t rows, int64_t width, const float *dh, const void *gate_up,
                                void *dgate_up) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++) {
            double gate = (double)act_get(c, gate_up, r * 2 * width + i);
            double up = (double)act_get(c, gate_up, r * 2 * width + width + i);
            double d = (double)dh[r * width + i], s = sigmoid(gate);
            act_set(c, dgate_up, r * 2 * width + i, (float)(d * up * s * (1 + gate * (1 - s))));
            act_set(c, dgate_up, r * 2 * width + width + i, (float)(d * gate * s));
        }
}

static void ref_to_act(compute *c, int64_t n, const float *x, void *y) {
    for (int64_t i = 0; i < n; i++) act_set(c, y, i, x[i]);
}

static void ref_adamw(compute *c, int64_t n, float *w, const float *g, float *m, float *v,
                      const adamw_settings *s) {
    (void)c;
    double bias1 = 1 - pow((double)s->beta1, (double)s->step),
           bias2 = 1 - pow((double)s->beta2, (double)s->step);
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * s->grad_scale;
        m[i] = s->beta1 * m[i] + (1 - s->beta1) * gi;
        v[i] = s->beta2 * v[i] + (1 - s->beta2) * gi * gi;
        double step = (double)m[i] / bias1 / (sqrt((double)v[i] / bias2) + (double)s->eps);
        w[i] = (float)((double)w[i] * (1 - (double)s->lr * (double)s->weight_decay) - (double)s->lr * step);
    }
}

static double ref_sum_squares(compute *c, int64_t n, const float *x) {
    (void)c;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void ref_destroy(compute *c) {
    (void)c;
}

static esp_status ref_share(compute *c, esp_error *error) {
    (void)error;
    c->ops = c->of->ops;
    return ESP_OK;
}

static void ref_attention_ahead(compute *c, int kv_heads, int head_width, const attention_span *spans,
                                int64_t span_count, const attention_segment *segments, const void *k,
                                const void *v) {
    (void)c, (void)kv_heads, (void)head_width, (void)spans, (void)span_count, (void)segments;
    (void)k, (void)v;
}

static const compute_ops ref_ops = {
    .name = "ref",
    .destroy = ref_destroy,
    .share = ref_share,
    .linear_new = ref_linear_new,
    .linear_set = ref_linear_set,
    .linear_free = ref_linear_free,
    .linear_forward = ref_linear_forward,
    .linear_swiglu = ref_linear_swiglu,
    .linear_backward_input = ref_linear_backward_input,
    .linear_backward_weight = ref_linear_backward_weight,
    .embed_gather = ref_embed_gather,
    .embed_scatter = ref_embed_scatter,
    .rmsnorm = ref_rmsnorm,
    .rmsnorm_backward = ref_rmsnorm_backward,
    .rope_split = ref_rope_split,
    .rope_split_backward = ref_rope_split_backward,
    .attention = ref_attention,
    .attention_backward = ref_attention_backward,
    .attention_ahead = ref_attention_ahead,
    .swiglu = ref_swiglu,
    .swiglu_backward = ref_swiglu_backward,
    .to_act = ref_to_act,
    .head_read = ref_head_read,
    .head_backward = ref_head_backward,
    .adamw = ref_adamw,
    .sum_squares = ref_sum_squares,
};

esp_status compute_ref_init(compute *c, esp_error *error) {
    (void)error;
    c->ops = &ref_ops;
    return ESP_OK;
}
