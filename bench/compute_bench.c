/* Speed of the compute layer's operations on SmolLM2-135M's shapes: the three products in GFLOP/s, beside the
 * rate of a square product of the best-suited size in the same run (the machine's limit), and milliseconds of
 * attention (decode, prefill, backward), of the vocabulary and of the small operations. One JSON line each;
 * the best of several repeats, as other load on the machine only ever makes a repeat slower.
 *
 * Usage: compute_bench [threads [f32|bf16 [kind [letters of: products, attention, vocabulary, small]]]]
 * Build: cc -O2 -Isrc -Iinclude bench/compute_bench.c -o compute_bench, with the libraries esp_compute,
 * esp_formats and esp_base, -lxxhash -ldnnl -fopenmp -lm. */
#include "base/memory.h"
#include "compute/compute.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { D = 576, F = 1536, V = 49152, H = 9, G = 3, E = 64 };

static clockid_t which_clock =
    CLOCK_MONOTONIC; /* the thread's own with one thread: other load does not count */

static double seconds(void) {
    struct timespec t;
    clock_gettime(which_clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of the fastest repeat of `call`, over 0.15 s and at least 5 repeats after a first one that warms
 * up. */
#define BEST(best, call)                                                                                     \
    do {                                                                                                     \
        call;                                                                                                \
        best = 1e9;                                                                                          \
        double began_ = seconds();                                                                           \
        for (int n_ = 0; n_ < 5 || seconds() - began_ < 0.15; n_++) {                                        \
            double start_ = seconds();                                                                       \
            call;                                                                                            \
            double took_ = seconds() - start_;                                                               \
            if (took_ < best) best = took_;                                                                  \
        }                                                                                                    \
    } while (0)

static void *buffer(size_t bytes) {
    void *p;
    esp_error error;
    if (mem_big_alloc(&p, bytes, "a buffer of the benchmark", &error) != ESP_OK) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    return p;
}

/* Small numbers of either type. */
static void *values(compute *c, int64_t n) {
    float *x = buffer((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) x[i] = (float)((i * 2654435761u >> 7) % 1001) * 1e-3f - 0.5f;
    void *y = buffer((size_t)n * dtype_size(c->act));
    c->ops->to_act(c, n, x, y);
    mem_big_free(x);
    return y;
}

static float *floats(int64_t n) {
    float *x = buffer((size_t)n * sizeof(float));
    for (int64_t i = 0; i < n; i++) x[i] = (float)((i * 2654435761u >> 7) % 1001) * 1e-3f - 0.5f;
    return x;
}

static void products(compute *c, const char *name, int64_t out, int64_t in, int64_t m, int backward) {
    float *w = floats(out * in);
    linear *l = c->ops->linear_new(c, out, in, backward ? LINEAR_BACKWARD : 0);
    c->ops->linear_set(c, l, w);
    void *x = values(c, m * in), *dy = values(c, m * out);
    float *y = buffer((size_t)(m * (out > in ? out : in)) * sizeof(float));
    double flop = 2e-9 * (double)m * (double)out * (double)in, t;
    BEST(t, c->ops->linear_forward(c, l, m, x, y, DTYPE_F32, false));
    printf("{\"op\": \"forward\", \"matrix\": \"%s\", \"rows\": %ld, \"microseconds\": %.1f, \"gflops\": "
           "%.0f}\n",
           name, (long)m, t * 1e6, flop / t);
    BEST(t, c->ops->linear_forward(c, l, m, x, y, c->act, false));
    printf("{\"op\": \"forward to act\", \"matrix\": \"%s\", \"rows\": %ld, \"microseconds\": %.1f, "
           "\"gflops\": %.0f}\n",
           name, (long)m, t * 1e6, flop / t);
    BEST(t, c->ops->linear_forward(c, l, m, x, y, DTYPE_F32, true));
    printf("{\"op\": \"forward added\", \"matrix\": \"%s\", \"rows\": %ld, \"microseconds\": %.1f, "
           "\"gflops\": %.0f}\n",
           name, (long)m, t * 1e6, flop / t);
    if (backward) {
        BEST(t, c->ops->linear_backward_input(c, l, m, dy, y));
        printf("{\"op\": \"backward input\", \"matrix\": \"%s\", \"rows\": %ld, \"microseconds\": %.1f, "
               "\"gflops\": "
               "%.0f}\n",
               name, (long)m, t * 1e6, flop / t);
        BEST(t, c->ops->linear_backward_weight(c, m, out, in, dy, x, w));
        printf("{\"op\": \"backward weight\", \"matrix\": \"%s\", \"rows\": %ld, \"microseconds\": %.1f, "
               "\"gflops\": "
               "%.0f}\n",
               name, (long)m, t * 1e6, flop / t);
    }
    c->ops->linear_free(c, l);
    mem_big_free(w), mem_big_free(x), mem_big_free(dy), mem_big_free(y);
}

/* `count` spans of `queries` tokens each; each has `context` tokens before its own, the same ones if shared.
 */
static void attend(compute *c, const char *name, int count, int queries, int context, int shared,
                   int backward) {
    int64_t T = (int64_t)count * queries, pool = T + (int64_t)(shared ? 1 : count) * context;
    attention_span *spans = MEM_ARRAY(attention_span, count);
    attention_segment *segments = MEM_ARRAY(attention_segment, 2 * count);
    for (int s = 0; s < count; s++) {
        segments[2 * s] = (attention_segment){T + (shared ? 0 : (int64_t)s * context), context};
        segments[2 * s + 1] = (attention_segment){(int64_t)s * queries, queries};
        spans[s] = (attention_span){.first_query = (int64_t)s * queries,
                                    .queries = queries,
                                    .context = context + queries,
                                    .first_segment = 2 * s,
                                    .segments = 2,
                                    .decoded = queries == 1};
    }
    float *q = floats(T * H * E), *lse = floats(T * H), *dout = floats(T * H * E), *dq = floats(T * H * E);
    void *k = values(c, pool * G * E), *v = values(c, pool * G * E), *out = values(c, T * H * E);
    const pass_plan plan = {.heads = H,
                            .kv_heads = G,
                            .head_width = E,
                            .tokens = T,
                            .spans = spans,
                            .span_count = count,
                            .segments = segments,
                            .backward = backward};
    compute_pass *pass = c->ops->pass_new(c, &plan);
    double t;
    BEST(t, c->ops->attention(c, pass, 0, q, k, v, out, backward ? lse : NULL));
    printf("{\"op\": \"attention\", \"shape\": \"%s\", \"milliseconds\": %.3f}\n", name, t * 1e3);
    if (backward) {
        float *dk = floats(pool * G * E), *dv = floats(pool * G * E);
        BEST(t, c->ops->attention_backward(c, pass, 0, q, k, v, out, lse, dout, dq, dk, dv));
        printf("{\"op\": \"attention backward\", \"shape\": \"%s\", \"milliseconds\": %.3f}\n", name,
               t * 1e3);
        mem_big_free(dk), mem_big_free(dv);
    }
    c->ops->pass_free(c, pass);
    mem_free(spans), mem_free(segments);
    mem_big_free(q), mem_big_free(lse), mem_big_free(dout), mem_big_free(dq), mem_big_free(k),
        mem_big_free(v);
    mem_big_free(out);
}

static void vocabulary(compute *c) {
    enum { ROWS = 512 };
    float *w = floats((int64_t)V * D), *dx = floats(ROWS * D), *dlogprob = floats(ROWS);
    linear *l = c->ops->linear_new(c, V, D, LINEAR_BACKWARD);
    c->ops->linear_set(c, l, w);
    void *x = values(c, ROWS * D);
    head_read_request reads[ROWS];
    int32_t targets[ROWS];
    const char *kinds[] = {"score", "sample at 0.7", "greedy"};
    const int rows[] = {1, 8, 64, 512};
    double t;
    for (int kind = 0; kind < 3; kind++)
        for (int i = 0; i < 4; i++) {
            for (int r = 0; r < ROWS; r++)
                reads[r] = (head_read_request){
                    .row = r, .kind = (read_kind)kind, .token = r, .temperature = 0.7f, .u = r * 0.0019};
            BEST(t, c->ops->head_read(c, l, rows[i], x, reads, rows[i]));
            printf("{\"op\": \"head_read\", \"kind\": \"%s\", \"rows\": %d, \"milliseconds\": %.3f, "
                   "\"gflops\": %.0f}\n",
                   kinds[kind], rows[i], t * 1e3, 2e-9 * rows[i] * V * D / t);
        }
    for (int r = 0; r < ROWS; r++) targets[r] = r, dlogprob[r] += 1.0f;
    BEST(t, c->ops->head_backward(c, l, ROWS, x, targets, dlogprob, dx, w));
    printf("{\"op\": \"head_backward\", \"rows\": %d, \"milliseconds\": %.3f, \"gflops\": %.0f}\n", ROWS,
           t * 1e3, 6e-9 * ROWS * V * D / t);
    c->ops->linear_free(c, l);
    mem_big_free(w), mem_big_free(dx), mem_big_free(dlogprob), mem_big_free(x);
}

static void small(compute *c, int64_t rows) {
    float *x = floats(rows * D), *gain = floats(D), *rstd = floats(rows), *dy = floats(rows * F),
          *dgain = floats(D);
    void *gate_up = values(c, rows * 2 * F), *h = values(c, rows * 2 * F);
    double t;
    BEST(t, c->ops->rmsnorm(c, rows, D, x, gain, 1e-5f, h, rstd));
    printf("{\"op\": \"rmsnorm\", \"rows\": %ld, \"microseconds\": %.1f}\n", (long)rows, t * 1e6);
    BEST(t, c->ops->rmsnorm_backward(c, rows, D, dy, dy, gain, rstd, x, dgain));
    printf("{\"op\": \"rmsnorm_backward\", \"rows\": %ld, \"microseconds\": %.1f}\n", (long)rows, t * 1e6);
    BEST(t, c->ops->gate(c, GATE_SILU, rows, F, gate_up, h));
    printf("{\"op\": \"gate\", \"rows\": %ld, \"microseconds\": %.1f}\n", (long)rows, t * 1e6);
    BEST(t, c->ops->gate_backward(c, GATE_SILU, rows, F, dy, gate_up, h));
    printf("{\"op\": \"gate_backward\", \"rows\": %ld, \"microseconds\": %.1f}\n", (long)rows, t * 1e6);
    mem_big_free(x), mem_big_free(gain), mem_big_free(rstd), mem_big_free(dy), mem_big_free(dgain);
    mem_big_free(gate_up), mem_big_free(h);
}

static void optimizer(compute *c) {
    const int64_t n = 16 << 20;
    float *w = floats(n), *g = floats(n), *m = floats(n), *v = buffer((size_t)n * sizeof(float));
    adamw_settings s = {1e-6f, 0.9f, 0.95f, 1e-8f, 0.05f, 1.0f, 1};
    double t, sum;
    BEST(t, c->ops->adamw(c, n, w, g, m, v, &s));
    printf("{\"op\": \"adamw\", \"millions\": 16.8, \"milliseconds\": %.2f}\n", t * 1e3);
    BEST(t, c->ops->sum_squares(c, n, g, &sum));
    printf("{\"op\": \"sum_squares\", \"millions\": 16.8, \"milliseconds\": %.2f, \"sum\": %g}\n", t * 1e3,
           sum);
    mem_big_free(w), mem_big_free(g), mem_big_free(m), mem_big_free(v);
}

int main(int argc, char **argv) {
    esp_error error = {0};
    compute *c;
    dtype act = argc > 2 && strcmp(argv[2], "f32") == 0 ? DTYPE_F32 : DTYPE_BF16;
    const char *only = argc > 4 ? argv[4] : "";
    if (compute_new(&c, argc > 3 ? argv[3] : "cpu", act, argc > 1 ? atoi(argv[1]) : 0, &error) != ESP_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    if (c->threads == 1) which_clock = CLOCK_THREAD_CPUTIME_ID;
    printf("{\"compute\": \"%s\"}\n", compute_describe(c));
    if (!*only || strchr(only, 'p')) {
        products(c, "limit", 1024, 1024, 512, 0);
        const int64_t rows[] = {1, 8, 32, 64, 128, 512, 2048};
        for (int i = 0; i < 7; i++) {
            products(c, "qkv", D + 2 * G * E, D, rows[i], rows[i] >= 64);
            products(c, "o", D, D, rows[i], rows[i] >= 64);
            products(c, "gate_up", 2 * F, D, rows[i], rows[i] >= 64);
            products(c, "down", D, F, rows[i], rows[i] >= 64);
        }
    }
    if (!*only || strchr(only, 'a')) {
        attend(c, "decode 64 x 300", 64, 1, 300, 0, 0);
        attend(c, "decode 64 x 300, siblings", 64, 1, 300, 1, 0);
        attend(c, "decode 8 x 600", 8, 1, 600, 0, 0);
        attend(c, "decode 1 x 600", 1, 1, 600, 0, 0);
        attend(c, "prefill 1 x 512", 1, 512, 0, 1, 0);
        attend(c, "prefill 4 x 512", 4, 512, 0, 1, 0);
        attend(c, "tree 64 x 32 below 400", 64, 32, 400, 1, 1);
    }
    if (!*only || strchr(only, 'v')) vocabulary(c);
    if (!*only || strchr(only, 's')) {
        small(c, 64);
        small(c, 2048);
        optimizer(c);
    }
    esp_status status = compute_check(c, &error);
    if (status != ESP_OK) fprintf(stderr, "%s\n", error.message);
    compute_free(c);
    return (int)status;
}
