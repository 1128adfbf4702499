/* Every backward operation of ref against central differences of its forward, in f32: what cpu is held to is
 * right. And cpu's exponential against the C library's. */
#include "support.h"

#include "base/memory.h"
#include "base/random.h"
#include "compute/compute.h"
#include "compute/cpu/kernels.h"

#include <math.h>
#include <string.h>

enum { T = 7, H = 4, G = 2, E = 6, D = 10, F = 5, V = 13, POOL = 12, MOST = 512 };

/* Inputs of an operation, its output, and the weights of the loss: loss = sum of weight * output. */
typedef struct {
    compute *c;
    float x[MOST], w[MOST], k[MOST], v[MOST], out[MOST], lse[MOST], weight[MOST];
    int64_t outputs;
} bench;

static void fill(float *x, int64_t n, uint64_t stream) {
    rng_key_t key = rng_mix(rng_key(3), stream);
    for (int64_t i = 0; i < n; i++) x[i] = (float)rng_normal(key, (uint64_t)i);
}

static bench *begin(void) {
    bench *b = MEM_NEW(bench);
    esp_error error = {0};
    if (compute_new(&b->c, "ref", DTYPE_F32, 1, &error) != ESP_OK) fail_msg("%s", error.message);
    float *all[] = {b->x, b->w, b->k, b->v, b->weight};
    for (uint64_t i = 0; i < 5; i++) fill(all[i], MOST, i);
    return b;
}

static void end(bench *b) {
    compute_free(b->c);
    mem_free(b);
}

/* gradient[0..n-1] of the loss in x[0..n-1], against (loss(x + h) - loss(x - h)) / 2h. */
static void check(const char *what, bench *b, void (*forward)(bench *), float *x, int64_t n,
                  const float *gradient) {
    double scale = 0;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs((double)gradient[i]));
    assert_true(scale > 0);
    for (int64_t i = 0; i < n; i++) {
        const float kept = x[i], h = 4e-3f;
        double loss[2] = {0, 0}, at[2];
        for (int side = 0; side < 2; side++) {
            x[i] = side ? kept + h : kept - h;
            at[side] = (double)x[i];
            forward(b);
            for (int64_t o = 0; o < b->outputs; o++) loss[side] += (double)b->weight[o] * (double)b->out[o];
        }
        x[i] = kept;
        double difference = (loss[1] - loss[0]) / (at[1] - at[0]);
        if (!(fabs(difference - (double)gradient[i]) <= 1e-3 * scale))
            fail_msg("%s: element %lld has gradient %g, differences give %g", what, (long long)i,
                     (double)gradient[i], difference);
    }
}

static void linear_run(bench *b) {
    linear *l = b->c->ops->linear_new(b->c, F, D, LINEAR_BACKWARD);
    b->c->ops->linear_set(b->c, l, b->w);
    b->c->ops->linear_forward(b->c, l, T, b->x, b->out, DTYPE_F32, false);
    b->c->ops->linear_free(b->c, l);
    b->outputs = T * F;
}

static void test_linear(void **state) {
    (void)state;
    bench *b = begin();
    linear *l = b->c->ops->linear_new(b->c, F, D, LINEAR_BACKWARD);
    b->c->ops->linear_set(b->c, l, b->w);
    float dx[T * D], dw[F * D] = {0};
    b->c->ops->linear_backward_input(b->c, l, T, b->weight, dx);
    b->c->ops->linear_backward_weight(b->c, T, F, D, b->weight, b->x, dw);
    b->c->ops->linear_free(b->c, l);
    check("linear_backward_input", b, linear_run, b->x, T * D, dx);
    check("linear_backward_weight", b, linear_run, b->w, F * D, dw);
    end(b);
}

/* Two parts, rows 1 .. 2 and 4 of the F = 5. */
static const adapter_shape low_rank = {
    .out = F, .in = D, .rank = 3, .scale = 0.75f, .parts = 2, .part = {{1, 2}, {4, 1}}};

static void adapt_run(bench *b) {
    adapter *a = b->c->ops->adapter_new(b->c, &low_rank);
    b->c->ops->adapter_set(b->c, a, b->w);
    memset(b->out, 0, sizeof b->out);
    b->c->ops->adapt(b->c, a, T, b->x, b->out);
    b->c->ops->adapter_free(b->c, a);
    b->outputs = T * F;
}

static void test_adapter(void **state) {
    (void)state;
    bench *b = begin();
    int64_t n = adapter_part_at(&low_rank, 2);
    assert_int_equal(n, 3 * (D + 2) + 3 * (D + 1));
    assert_int_equal(adapter_part_at(&low_rank, 1), 3 * (D + 2));
    adapter *a = b->c->ops->adapter_new(b->c, &low_rank);
    b->c->ops->adapter_set(b->c, a, b->w);
    float dx[T * D] = {0}, dw[MOST] = {0};
    b->c->ops->adapt_backward(b->c, a, T, b->w, b->x, b->weight, dx, dw);
    b->c->ops->adapter_free(b->c, a);
    check("adapt_backward, dx", b, adapt_run, b->x, T * D, dx);
    check("adapt_backward, dw", b, adapt_run, b->w, n, dw);
    adapt_run(b);
    for (int t = 0; t < T; t++)
        assert_true(b->out[t * F] == 0 && b->out[t * F + 3] == 0); /* rows of no part */
    end(b);
}

static const int32_t ids[T] = {3, 1, 12, 3, 0, 3, 7};

/* A prompt of 3 tokens, below it runs of 3 and of 1. */
static const attention_span spans[] = {
    {.first_query = 0, .queries = 3, .context = 3, .first_segment = 0, .segments = 1},
    {.first_query = 3, .queries = 3, .context = 6, .first_segment = 1, .segments = 2},
    {.first_query = 6, .queries = 1, .context = 4, .first_segment = 3, .segments = 2},
};
static const attention_segment segments[] = {{2, 3}, {2, 3}, {7, 3}, {2, 3}, {11, 1}};
static const int32_t positions[T] = {0, 1, 2, 3, 4, 5, 3};
static const int64_t slots[T] = {2, 3, 4, 7, 8, 9, 11};

static compute_pass *token_pass(compute *c) {
    const pass_plan plan = {.heads = H,
                            .kv_heads = G,
                            .head_width = E,
                            .tokens = T,
                            .ids = ids,
                            .positions = positions,
                            .slots = slots,
                            .spans = spans,
                            .span_count = 3,
                            .segments = segments,
                            .backward = true};
    return c->ops->pass_new(c, &plan);
}

static void embed_run(bench *b) {
    linear *l = b->c->ops->linear_new(b->c, V, D, LINEAR_ROWS);
    b->c->ops->linear_set(b->c, l, b->w);
    compute_pass *pass = token_pass(b->c);
    b->c->ops->embed_gather(b->c, l, pass, b->out);
    b->c->ops->pass_free(b->c, pass);
    b->c->ops->linear_free(b->c, l);
    b->outputs = T * D;
}

static void test_embedding(void **state) {
    (void)state;
    bench *b = begin();
    float dw[V * D] = {0};
    compute_pass *pass = token_pass(b->c);
    b->c->ops->embed_scatter(b->c, pass, D, b->weight, dw);
    b->c->ops->pass_free(b->c, pass);
    check("embed_scatter", b, embed_run, b->w, V * D, dw);
    end(b);
}

static void norm_run(bench *b) {
    b->c->ops->rmsnorm(b->c, T, D, b->x, b->w, 1e-3f, b->out, b->lse);
    b->outputs = T * D;
}

static void test_norm(void **state) {
    (void)state;
    bench *b = begin();
    float dx[T * D] = {0}, dgain[D] = {0};
    norm_run(b);
    b->c->ops->rmsnorm_backward(b->c, T, D, b->weight, b->x, b->w, b->lse, dx, dgain);
    check("rmsnorm_backward's dx", b, norm_run, b->x, T * D, dx);
    check("rmsnorm_backward's dgain", b, norm_run, b->w, D, dgain);
    end(b);
}

static void silu_run(bench *b) {
    b->c->ops->gate(b->c, GATE_SILU, T, F, b->x, b->out);
    b->outputs = T * F;
}

static void gelu_run(bench *b) {
    b->c->ops->gate(b->c, GATE_GELU_TANH, T, F, b->x, b->out);
    b->outputs = T * F;
}

static void test_gate(void **state) {
    (void)state;
    bench *b = begin();
    float dx[T * 2 * F];
    b->c->ops->gate_backward(b->c, GATE_SILU, T, F, b->weight, b->x, dx);
    check("gate_backward, silu", b, silu_run, b->x, T * 2 * F, dx);
    b->c->ops->gate_backward(b->c, GATE_GELU_TANH, T, F, b->weight, b->x, dx);
    check("gate_backward, gelu", b, gelu_run, b->x, T * 2 * F, dx);
    end(b);
}

/* f(x), by the formulas that compute.h gives. */
static void test_gate_values(void **state) {
    (void)state;
    bench *b = begin();
    const double x[] = {-3, -0.5, 0, 1, 2.5};
    for (int i = 0; i < 5; i++) b->x[i] = (float)x[i], b->x[5 + i] = 1;
    for (int kind = 0; kind < 2; kind++) {
        b->c->ops->gate(b->c, (gate_kind)kind, 1, 5, b->x, b->out);
        for (int i = 0; i < 5; i++) {
            double inner = sqrt(2 / acos(-1)) * (x[i] + 0.044715 * pow(x[i], 3));
            double right = kind == GATE_SILU ? x[i] / (1 + exp(-x[i])) : x[i] / 2 * (1 + tanh(inner));
            assert_true(fabs((double)b->out[i] - right) < 1e-6);
        }
    }
    end(b);
}

static void attend(bench *b, int64_t window) {
    compute_pass *pass = token_pass(b->c);
    b->c->ops->attention(b->c, pass, window, b->x, b->k, b->v, b->out, b->lse);
    b->c->ops->pass_free(b->c, pass);
    b->outputs = T * H * E;
}

static void attention_run(bench *b) {
    attend(b, 0);
}

static void windowed_run(bench *b) {
    attend(b, 2);
}

static void check_attention(int64_t window, void (*run)(bench *)) {
    bench *b = begin();
    float dq[T * H * E], dk[POOL * G * E] = {0}, dv[POOL * G * E] = {0};
    run(b);
    compute_pass *pass = token_pass(b->c);
    b->c->ops->attention_backward(b->c, pass, window, b->x, b->k, b->v, b->out, b->lse, b->weight, dq, dk,
                                  dv);
    b->c->ops->pass_free(b->c, pass);
    check("attention_backward's dq", b, run, b->x, T * H * E, dq);
    check("attention_backward's dk", b, run, b->k, POOL * G * E, dk);
    check("attention_backward's dv", b, run, b->v, POOL * G * E, dv);
    end(b);
}

static void test_attention(void **state) {
    (void)state;
    check_attention(0, attention_run);
    check_attention(2, windowed_run);
}

/* q, then the pools of k and v, one after another in out. */
static void rope_run(bench *b) {
    float cosine[6 * E / 2], sine[6 * E / 2];
    for (int i = 0; i < 6 * E / 2; i++) cosine[i] = (float)cos(0.3 * i), sine[i] = (float)sin(0.3 * i);
    float *k = b->out + T * H * E, *v = k + POOL * G * E;
    const qkv_spec spec = {.cosine = cosine, .sine = sine, .bias = b->w};
    compute_pass *pass = token_pass(b->c);
    b->c->ops->rope_split(b->c, pass, &spec, b->x, b->out, k, v);
    b->c->ops->pass_free(b->c, pass);
    b->outputs = T * H * E + 2 * POOL * G * E;
}

static void test_rope(void **state) {
    (void)state;
    bench *b = begin();
    float cosine[6 * E / 2], sine[6 * E / 2], dqkv[T * (H + 2 * G) * E], dbias[(H + 2 * G) * E] = {0};
    const qkv_spec spec = {.cosine = cosine, .sine = sine, .bias = b->w};
    for (int i = 0; i < 6 * E / 2; i++) cosine[i] = (float)cos(0.3 * i), sine[i] = (float)sin(0.3 * i);
    const float *dk = b->weight + T * H * E, *dv = dk + POOL * G * E;
    compute_pass *pass = token_pass(b->c);
    b->c->ops->rope_split_backward(b->c, pass, &spec, NULL, b->weight, dk, dv, dqkv, dbias, NULL);
    b->c->ops->pass_free(b->c, pass);
    check("rope_split_backward", b, rope_run, b->x, T * (H + 2 * G) * E, dqkv);
    check("rope_split_backward's dbias", b, rope_run, b->w, (H + 2 * G) * E, dbias);
    end(b);
}

/* With gains of the heads' norms, which are at the end of w; part of a head rotated; queries scaled. */
static qkv_spec normed_spec(const bench *b, const float *cosine, const float *sine) {
    return (qkv_spec){.cosine = cosine,
                      .sine = sine,
                      .gain = b->w + MOST - 2 * E,
                      .eps = 1e-3f,
                      .query_scale = 0.7f,
                      .rotated = E - 2};
}

static void normed_run(bench *b) {
    float cosine[6 * E / 2], sine[6 * E / 2];
    for (int i = 0; i < 6 * E / 2; i++) cosine[i] = (float)cos(0.3 * i), sine[i] = (float)sin(0.3 * i);
    float *k = b->out + T * H * E, *v = k + POOL * G * E;
    const qkv_spec spec = normed_spec(b, cosine, sine);
    compute_pass *pass = token_pass(b->c);
    b->c->ops->rope_split(b->c, pass, &spec, b->x, b->out, k, v);
    b->c->ops->pass_free(b->c, pass);
    b->outputs = T * H * E + 2 * POOL * G * E;
}

static void test_normed_heads(void **state) {
    (void)state;
    bench *b = begin();
    float cosine[6 * E / 2], sine[6 * E / 2], dqkv[T * (H + 2 * G) * E], dgain[2 * E] = {0};
    const qkv_spec spec = normed_spec(b, cosine, sine);
    for (int i = 0; i < 6 * E / 2; i++) cosine[i] = (float)cos(0.3 * i), sine[i] = (float)sin(0.3 * i);
    const float *dk = b->weight + T * H * E, *dv = dk + POOL * G * E;
    compute_pass *pass = token_pass(b->c);
    b->c->ops->rope_split_backward(b->c, pass, &spec, b->x, b->weight, dk, dv, dqkv, NULL, dgain);
    b->c->ops->pass_free(b->c, pass);
    check("rope_split_backward through norms", b, normed_run, b->x, T * (H + 2 * G) * E, dqkv);
    check("rope_split_backward's dgain", b, normed_run, b->w + MOST - 2 * E, 2 * E, dgain);
    end(b);
}

static void head_run(bench *b) {
    linear *l = b->c->ops->linear_new(b->c, V, D, LINEAR_BACKWARD);
    b->c->ops->linear_set(b->c, l, b->w);
    head_read_request reads[T];
    for (int i = 0; i < T; i++) reads[i] = (head_read_request){.row = i, .kind = READ_SCORE, .token = ids[i]};
    b->c->ops->head_read(b->c, l, T, b->x, reads, T);
    for (int i = 0; i < T; i++) b->out[i] = reads[i].logprob;
    b->c->ops->linear_free(b->c, l);
    b->outputs = T;
}

static void test_head(void **state) {
    (void)state;
    bench *b = begin();
    for (int i = 0; i < MOST; i++) b->w[i] *= 0.3f;
    linear *l = b->c->ops->linear_new(b->c, V, D, LINEAR_BACKWARD);
    b->c->ops->linear_set(b->c, l, b->w);
    float dx[T * D], dw[V * D] = {0};
    b->c->ops->head_backward(b->c, l, T, b->x, ids, b->weight, dx, dw);
    b->c->ops->linear_free(b->c, l);
    check("head_backward's dx", b, head_run, b->x, T * D, dx);
    check("head_backward's dw", b, head_run, b->w, V * D, dw);
    end(b);
}

static void check_exponentials(const cpu_kernels *k) {
    enum { N = 200003 };
    float *x = MEM_ARRAY(float, N), *y = MEM_ARRAY(float, N);
    for (int i = 0; i < N; i++) x[i] = (float)(-87.3 + 176.0 * i / (N - 1));
    x[0] = 0.0f, x[1] = -INFINITY, x[2] = NAN, x[3] = -100.0f, x[4] = INFINITY, x[5] = -0.0f;
    k->exponentials(N, x, y);
    assert_true(y[0] == 1.0f && y[1] == 0.0f && isnan(y[2]) && y[3] == 0.0f && y[4] == INFINITY &&
                y[5] == 1.0f);
    double worst = 0;
    for (int i = 6; i < N; i++) {
        double right = exp((double)x[i]);
        if (right > 3.4e38) continue;
        worst = fmax(worst, fabs((double)y[i] / right - 1));
    }
    if (!(worst <= 2e-7)) fail_msg("exponential of %s kernels is off by %g", k->name, worst);
    mem_free(x);
    mem_free(y);
}

static void test_exponential(void **state) {
    (void)state;
    check_exponentials(&kernels_base);
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) check_exponentials(&kernels_avx2);
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
        check_exponentials(&kernels_avx512);
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),       cmocka_unit_test(test_adapter),
        cmocka_unit_test(test_embedding),    cmocka_unit_test(test_norm),
        cmocka_unit_test(test_gate),         cmocka_unit_test(test_gate_values),
        cmocka_unit_test(test_attention),    cmocka_unit_test(test_rope),
        cmocka_unit_test(test_normed_heads), cmocka_unit_test(test_head),
        cmocka_unit_test(test_exponential),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
