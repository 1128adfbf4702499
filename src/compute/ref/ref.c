/* The reference backend: plain loops, one thread, f64 accumulation. Slow on purpose: it is what the fast one
 * is held to. Linear products and elementwise operations are here; attention.c and head.c hold the two larger
 * ones. */
#include "compute/ref/ref.h"

#include "base/memory.h"
#include "compute/host.h"

#include <math.h>
#include <string.h>

void ref_rows_add(compute *c, int64_t n, const int64_t *rows, int64_t width, const float *from, float *to) {
    (void)c;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < width; j++) to[rows[i] * width + j] += from[i * width + j];
}

static compute_pass *ref_pass_new(compute *c, const pass_plan *plan) {
    (void)c;
    pass_plan copy;
    compute_pass *pass = host_plan_copy(plan, sizeof *pass, &copy);
    pass->plan = copy;
    return pass;
}

static void ref_pass_free(compute *c, compute_pass *pass) {
    (void)c;
    mem_free(pass);
}

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

void ref_linear_set(compute *c, linear *l, const float *w) {
    for (int64_t i = 0; i < l->out * l->in; i++) act_set(c, l->w, i, w[i]);
}

static void ref_linear_free(compute *c, linear *l) {
    (void)c;
    if (!l) return;
    mem_big_free(l->w);
    mem_free(l);
}

void ref_linear_forward(compute *c, const linear *l, int64_t m, const void *x, void *y, dtype y_type,
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

void ref_linear_backward_input(compute *c, const linear *l, int64_t m, const void *dy, float *dx) {
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < l->in; i++) {
            double sum = 0;
            for (int64_t o = 0; o < l->out; o++)
                sum += (double)act_get(c, dy, r * l->out + o) * (double)act_get(c, l->w, o * l->in + i);
            dx[r * l->in + i] = (float)sum;
        }
}

void ref_linear_backward_weight(compute *c, int64_t m, int64_t out, int64_t in, const void *dy, const void *x,
                                float *dw) {
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            double sum = 0;
            for (int64_t r = 0; r < m; r++)
                sum += (double)act_get(c, dy, r * out + o) * (double)act_get(c, x, r * in + i);
            dw[o * in + i] = (float)((double)dw[o * in + i] + sum);
        }
}

void ref_embed_gather(compute *c, const linear *table, const compute_pass *pass, float *x) {
    for (int64_t t = 0; t < pass->plan.tokens; t++)
        for (int64_t i = 0; i < table->in; i++)
            x[t * table->in + i] = act_get(c, table->w, pass->plan.ids[t] * table->in + i);
}

void ref_embed_scatter(compute *c, const compute_pass *pass, int64_t width, const float *dx, float *dw) {
    (void)c;
    for (int64_t t = 0; t < pass->plan.tokens; t++)
        for (int64_t i = 0; i < width; i++) dw[pass->plan.ids[t] * width + i] += dx[t * width + i];
}

void ref_rmsnorm(compute *c, int64_t rows, int64_t width, const float *x, const float *gain, float eps,
                 void *y, float *rstd) {
    for (int64_t r = 0; r < rows; r++) {
        double squares = 0;
        for (int64_t i = 0; i < width; i++) squares += (double)x[r * width + i] * (double)x[r * width + i];
        float scale = (float)(1.0 / sqrt(squares / (double)width + (double)eps));
        for (int64_t i = 0; i < width; i++) act_set(c, y, r * width + i, x[r * width + i] * scale * gain[i]);
        if (rstd) rstd[r] = scale;
    }
}

void ref_rmsnorm_add(compute *c, int64_t rows, int64_t width, const float *y, const float *gain, float eps,
                     float *x, float *rstd) {
    (void)c;
    for (int64_t r = 0; r < rows; r++) {
        double squares = 0;
        for (int64_t i = 0; i < width; i++) squares += (double)y[r * width + i] * (double)y[r * width + i];
        rstd[r] = (float)(1.0 / sqrt(squares / (double)width + (double)eps));
        for (int64_t i = 0; i < width; i++) x[r * width + i] += y[r * width + i] * rstd[r] * gain[i];
    }
}

void ref_rmsnorm_backward(compute *c, int64_t rows, int64_t width, const float *dy, const float *x,
                          const float *gain, const float *rstd, float *dx, float *dgain) {
    (void)c;
    for (int64_t r = 0; r < rows; r++) {
        const float *dyr = dy + r * width, *xr = x + r * width;
        double dot = 0, s = (double)rstd[r];
        for (int64_t i = 0; i < width; i++) dot += (double)dyr[i] * (double)gain[i] * (double)xr[i];
        for (int64_t i = 0; i < width; i++) {
            double from_scale = (double)xr[i] * dot * s * s * s / (double)width;
            dx[r * width + i] += (float)((double)dyr[i] * (double)gain[i] * s - from_scale);
            if (dgain) dgain[i] += (float)((double)dyr[i] * (double)xr[i] * s);
        }
    }
}

static int rotated_of(const qkv_spec *spec, int head_width) {
    return !spec->cosine ? 0 : spec->rotated ? spec->rotated : head_width;
}

/* Rotates the head's first elements in place; sign -1 turns back. */
static void rotate(const qkv_spec *spec, int head_width, int32_t position, float sign, float *x) {
    int half = rotated_of(spec, head_width) / 2;
    for (int i = 0; i < half; i++) {
        float cosine = spec->cosine[position * half + i], sine = sign * spec->sine[position * half + i];
        float a = x[i], b = x[i + half];
        x[i] = a * cosine - b * sine;
        x[i + half] = b * cosine + a * sine;
    }
}

/* Head h of a row of qkv: with its bias; of queries and keys normalised, rotated and scaled. */
static void split_head(const pass_plan *p, const qkv_spec *spec, int h, int32_t position, const float *row,
                       float *x) {
    int E = p->head_width;
    for (int i = 0; i < E; i++) x[i] = row[h * E + i];
    for (int i = 0; spec->bias && i < E; i++) x[i] += spec->bias[h * E + i];
    if (h >= p->heads + p->kv_heads) return;
    if (spec->gain) {
        double squares = 0;
        for (int i = 0; i < E; i++) squares += (double)x[i] * (double)x[i];
        float scale = (float)(1.0 / sqrt(squares / E + (double)spec->eps));
        for (int i = 0; i < E; i++) x[i] = x[i] * scale * spec->gain[(h < p->heads ? 0 : E) + i];
    }
    rotate(spec, E, position, 1, x);
    for (int i = 0; h < p->heads && spec->query_scale != 0 && i < E; i++) x[i] *= spec->query_scale;
}

void ref_rope_split(compute *c, const compute_pass *pass, const qkv_spec *spec, const float *qkv, float *q,
                    void *k, void *v) {
    const pass_plan *p = &pass->plan;
    int heads = p->heads, kv_heads = p->kv_heads;
    int64_t E = p->head_width, row = (heads + 2 * kv_heads) * E;
    float *x = MEM_ARRAY(float, E);
    for (int64_t t = 0; t < p->tokens; t++)
        for (int h = 0; h < heads + 2 * kv_heads; h++) {
            split_head(p, spec, h, p->positions[t], qkv + t * row, x);
            void *pool = h < heads + kv_heads ? k : v;
            int64_t at = (p->slots[t] * kv_heads + (h - heads) % kv_heads) * E;
            for (int64_t i = 0; i < E; i++) {
                if (h < heads)
                    q[(t * heads + h) * E + i] = x[i];
                else
                    act_set(c, pool, at + i, x[i]);
            }
        }
    mem_free(x);
}

/* d (the gradient of a normalised head) becomes that of the head before, x; dgain += the gain's. */
static void norm_head_back(int head_width, const float *x, const float *gain, float eps, float *d,
                           float *dgain) {
    double squares = 0, dot = 0, E = head_width;
    for (int i = 0; i < head_width; i++) {
        squares += (double)x[i] * (double)x[i];
        dot += (double)d[i] * (double)gain[i] * (double)x[i];
    }
    double s = 1 / sqrt(squares / E + (double)eps);
    for (int i = 0; i < head_width; i++) {
        if (dgain) dgain[i] += (float)((double)d[i] * (double)x[i] * s);
        d[i] = (float)((double)d[i] * (double)gain[i] * s - (double)x[i] * dot * s * s * s / E);
    }
}

void ref_rope_split_backward(compute *c, const compute_pass *pass, const qkv_spec *spec, const float *qkv,
                             const float *dq, const float *dk, const float *dv, void *dqkv, float *dbias,
                             float *dgain) {
    const pass_plan *p = &pass->plan;
    int heads = p->heads, kv_heads = p->kv_heads;
    int64_t E = p->head_width, row = (heads + 2 * kv_heads) * E;
    float *d = MEM_ARRAY(float, E);
    for (int64_t t = 0; t < p->tokens; t++)
        for (int64_t h = 0; h < heads + 2 * kv_heads; h++) {
            const float *from = h < heads ? dq + (t * heads + h) * E
                                : h < heads + kv_heads
                                    ? dk + (p->slots[t] * kv_heads + h - heads) * E
                                    : dv + (p->slots[t] * kv_heads + h - heads - kv_heads) * E;
            float scale = h < heads && spec->query_scale != 0 ? spec->query_scale : 1;
            for (int64_t i = 0; i < E; i++) d[i] = from[i] * scale;
            if (h < heads + kv_heads) {
                int64_t gain = h < heads ? 0 : E;
                rotate(spec, p->head_width, p->positions[t], -1, d);
                if (spec->gain)
                    norm_head_back(p->head_width, qkv + t * row + h * E, spec->gain + gain, spec->eps, d,
                                   dgain ? dgain + gain : NULL);
            }
            for (int64_t i = 0; i < E; i++) {
                act_set(c, dqkv, t * row + h * E + i, d[i]);
                if (dbias) dbias[h * E + i] += d[i];
            }
        }
    mem_free(d);
}

static double sigmoid(double x) {
    return 1.0 / (1.0 + exp(-x));
}

/* f(x) of a gate, and its derivative. Both kinds are x sigmoid(u(x)): tanh(y) = 2 sigmoid(2 y) - 1. */
static double gate_value(gate_kind kind, double x, double *derivative) {
    const double twice_root = 2 * sqrt(2 / acos(-1)), cubic = 0.044715;
    double u = kind == GATE_SILU ? x : twice_root * (x + cubic * x * x * x);
    double du = kind == GATE_SILU ? 1 : twice_root * (1 + 3 * cubic * x * x);
    double s = sigmoid(u);
    *derivative = s * (1 + x * (1 - s) * du);
    return x * s;
}

void ref_gate(compute *c, gate_kind kind, int64_t rows, int64_t width, const void *gate_up, void *h) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++) {
            double gate = (double)act_get(c, gate_up, r * 2 * width + i), derivative;
            double up = (double)act_get(c, gate_up, r * 2 * width + width + i);
            act_set(c, h, r * width + i, (float)(gate_value(kind, gate, &derivative) * up));
        }
}

void ref_gate_backward(compute *c, gate_kind kind, int64_t rows, int64_t width, const float *dh,
                       const void *gate_up, void *dgate_up) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < width; i++) {
            double gate = (double)act_get(c, gate_up, r * 2 * width + i), derivative;
            double up = (double)act_get(c, gate_up, r * 2 * width + width + i);
            double d = (double)dh[r * width + i], value = gate_value(kind, gate, &derivative);
            act_set(c, dgate_up, r * 2 * width + i, (float)(d * up * derivative));
            act_set(c, dgate_up, r * 2 * width + width + i, (float)(d * value));
        }
}

void ref_to_act(compute *c, int64_t n, const float *x, void *y) {
    for (int64_t i = 0; i < n; i++) act_set(c, y, i, x[i]);
}

void ref_adamw(compute *c, int64_t n, float *w, const float *g, float *m, float *v, const adamw_settings *s) {
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

void ref_sum_squares(compute *c, int64_t n, const float *x, double *sum) {
    (void)c;
    *sum = 0;
    for (int64_t i = 0; i < n; i++) *sum += (double)x[i] * (double)x[i];
}

void ref_add(compute *c, int64_t n, const float *x, float *y) {
    (void)c;
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

void ref_average(compute *c, int64_t n, float rate, const float *x, float *mean) {
    (void)c;
    for (int64_t i = 0; i < n; i++) mean[i] += rate * (x[i] - mean[i]);
}

void ref_scale_shift(compute *c, int64_t n, float scale, float shift, const float *x, float *y) {
    (void)c;
    for (int64_t i = 0; i < n; i++) y[i] = scale * x[i] + shift;
}

void ref_swap(compute *c, int64_t n, float *x, float *y) {
    (void)c;
    for (int64_t i = 0; i < n; i++) {
        float kept = x[i];
        x[i] = y[i];
        y[i] = kept;
    }
}

static void ref_destroy(compute *c) {
    (void)c;
}

static esp_status ref_replica(compute *c, esp_error *error) {
    (void)error;
    c->ops = c->of->ops;
    return ESP_OK;
}

static void ref_wait(compute *c) {
    (void)c;
}

static const compute_ops ref_ops = {
    .name = "ref",
    .destroy = ref_destroy,
    .replica = ref_replica,
    .wait = ref_wait,
    .buffer_new = host_buffer_new,
    .buffer_free = host_buffer_free,
    .linear_new = ref_linear_new,
    .linear_free = ref_linear_free,
    .adapter_new = ref_adapter_new,
    .adapter_free = ref_adapter_free,
    .pass_new = ref_pass_new,
    .pass_free = ref_pass_free,
#define OPERATION(name, group, list)    .name = ref_##name,
#define OPTIONAL(name, group, list)     /* none */
#define MEMORY(kind, name, group, list) .name = host_##name,
#include "compute/operations.inc"
};

esp_status compute_ref_init(compute *c, esp_error *error) {
    (void)error;
    c->ops = &ref_ops;
    c->traits = host_traits(c->threads);
    c->traits.rows_alone = true;
    return ESP_OK;
}
