/* The cpu backend against the plain loops of ref, operation by operation, in f32 and bf16: odd sizes, spans
 * that share pieces of the pool, contexts of one token; every set of kernels the processor runs; and the same
 * bits twice.
 * timeout: 240 */
#include "support.h"

#include "base/half.h"
#include "base/memory.h"
#include "base/random.h"
#include "compute/compute.h"

#include <math.h>
#include <string.h>
#include <sys/wait.h>

typedef struct {
    compute *ref, *cpu;
    dtype act;
    double f32_tolerance, act_tolerance; /* relative to the largest magnitude of the expected array */
} pair;

static uint64_t draws;

static float *normal(int64_t n, double scale) {
    float *x = MEM_ARRAY(float, n);
    rng_key_t key = rng_mix(rng_key(11), draws++);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * rng_normal(key, (uint64_t)i));
    return x;
}

static void *act_of(dtype act, const float *x, int64_t n) {
    char *y = mem_alloc((size_t)n * dtype_size(act));
    for (int64_t i = 0; i < n; i++) {
        if (act == DTYPE_F32)
            ((float *)y)[i] = x[i];
        else
            ((uint16_t *)y)[i] = bf16_from_f32(x[i]);
    }
    return y;
}

static void *act_normal(dtype act, int64_t n, double scale) {
    float *x = normal(n, scale);
    void *y = act_of(act, x, n);
    mem_free(x);
    return y;
}

static double element(dtype t, const void *x, int64_t i) {
    return t == DTYPE_F32 ? (double)((const float *)x)[i] : (double)bf16_to_f32(((const uint16_t *)x)[i]);
}

static void same(const char *what, dtype t, const void *expected, const void *got, int64_t n,
                 double tolerance) {
    double scale = 0, worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(element(t, expected, i)));
    for (int64_t i = 0; i < n; i++) {
        double off = fabs(element(t, expected, i) - element(t, got, i));
        if (!(off <= worst)) worst = off, at = i;
    }
    if (!(worst <= tolerance * scale + 1e-30))
        fail_msg("%s: element %lld of %lld is %g where %g is right (tolerance %g of %g)", what, (long long)at,
                 (long long)n, element(t, got, at), element(t, expected, at), tolerance, scale);
}

static void begin(pair *p, dtype act, const char *isa) {
    esp_error error = {0};
    if (isa)
        setenv("ESPALIER_ISA", isa, 1);
    else
        unsetenv("ESPALIER_ISA");
    p->act = act;
    p->f32_tolerance = 1e-5;
    p->act_tolerance =
        act == DTYPE_F32 ? 1e-5 : 0x1p-7; /* one step of bf16: both round, perhaps to neighbours */
    if (compute_new(&p->ref, "ref", act, 1, &error) != ESP_OK) fail_msg("%s", error.message);
    if (compute_new(&p->cpu, "cpu", act, 2, &error) != ESP_OK) fail_msg("%s", error.message);
    assert_non_null(strstr(compute_describe(p->cpu), "cpu"));
    if (isa) assert_non_null(strstr(compute_describe(p->cpu), isa));
}

static void end(pair *p) {
    esp_error error = {0};
    if (compute_check(p->cpu, &error) != ESP_OK) fail_msg("%s", error.message);
    compute_free(p->ref);
    compute_free(p->cpu);
}

/* Runs a check for both types and all kernels. */
static void everywhere(void (*check)(pair *)) {
    const char *isas[] = {"base", "avx2", "avx512", "avx512bf16"};
    for (int act = 0; act < 2; act++)
        for (int i = 0; i < 4; i++) {
#if defined(__x86_64__)
            if (i == 1 && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) continue;
            if (i >= 2 && !(__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                            __builtin_cpu_supports("avx512vl")))
                continue;
            if (i == 3 && !__builtin_cpu_supports("avx512bf16")) continue;
#else
            if (i > 0) continue;
#endif
            pair p;
            begin(&p, act ? DTYPE_BF16 : DTYPE_F32, isas[i]);
            check(&p);
            end(&p);
        }
}

static linear *make_linear(compute *c, int64_t out, int64_t in, int flags, const float *w) {
    linear *l = c->ops->linear_new(c, out, in, flags);
    c->ops->linear_set(c, l, w);
    return l;
}

static void check_linear(pair *p) {
    /* The last three are large enough for panels, with and without whole ones, and with k in more than one
     * go. */
    const int64_t shapes[][2] = {{96, 64}, {65, 37}, {8200, 24}, {362, 378}, {24, 9002}};
    const int64_t rows[] = {1, 13, 17, 64, 200, 523};
    bool panels = strstr(compute_describe(p->cpu), "panels") != NULL;
    for (int s = 0; s < 5; s++) {
        int64_t out = shapes[s][0], in = shapes[s][1];
        float *w = normal(out * in, 0.1);
        linear *a = make_linear(p->ref, out, in, LINEAR_BACKWARD | LINEAR_ROWS, w);
        linear *b = make_linear(p->cpu, out, in, LINEAR_BACKWARD | LINEAR_ROWS, w);
        for (int i = 0; i < (s < 2 ? 5 : s == 3 && panels ? 6 : 3); i++) {
            int64_t m = rows[i], n = m * out;
            void *x = act_normal(p->act, m * in, 1), *dy = act_normal(p->act, n, 1);
            float *y1 = normal(n, 1), *y2 = MEM_ARRAY(float, n);
            memcpy(y2, y1, (size_t)n * sizeof(float));
            p->ref->ops->linear_forward(p->ref, a, m, x, y1, DTYPE_F32, true);
            p->cpu->ops->linear_forward(p->cpu, b, m, x, y2, DTYPE_F32, true);
            same("linear_forward, added", DTYPE_F32, y1, y2, n, p->f32_tolerance);
            p->ref->ops->linear_forward(p->ref, a, m, x, y1, DTYPE_F32, false);
            p->cpu->ops->linear_forward(p->cpu, b, m, x, y2, DTYPE_F32, false);
            same("linear_forward", DTYPE_F32, y1, y2, n, p->f32_tolerance);
            p->ref->ops->linear_forward(p->ref, a, m, x, y1, p->act, false);
            p->cpu->ops->linear_forward(p->cpu, b, m, x, y2, p->act, false);
            same("linear_forward to act", p->act, y1, y2, n, p->act_tolerance);
            float *dx1 = MEM_ARRAY(float, m *in), *dx2 = MEM_ARRAY(float, m *in);
            p->ref->ops->linear_backward_input(p->ref, a, m, dy, dx1);
            p->cpu->ops->linear_backward_input(p->cpu, b, m, dy, dx2);
            same("linear_backward_input", DTYPE_F32, dx1, dx2, m * in, p->f32_tolerance);
            float *dw1 = normal(out * in, 1), *dw2 = MEM_ARRAY(float, out *in);
            memcpy(dw2, dw1, (size_t)(out * in) * sizeof(float));
            p->ref->ops->linear_backward_weight(p->ref, m, out, in, dy, x, dw1);
            p->cpu->ops->linear_backward_weight(p->cpu, m, out, in, dy, x, dw2);
            same("linear_backward_weight", DTYPE_F32, dw1, dw2, out * in, p->f32_tolerance);
            void *all[] = {x, dy, y1, y2, dx1, dx2, dw1, dw2};
            for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
        }
        const int32_t ids[] = {3, 0, 23, 3, 7};
        float *e1 = MEM_ARRAY(float, 5 * in), *e2 = MEM_ARRAY(float, 5 * in);
        const pass_plan plan = {.heads = 1, .kv_heads = 1, .head_width = 2, .tokens = 5, .ids = ids};
        compute_pass *pass1 = p->ref->ops->pass_new(p->ref, &plan);
        compute_pass *pass2 = p->cpu->ops->pass_new(p->cpu, &plan);
        p->ref->ops->embed_gather(p->ref, a, pass1, e1);
        p->cpu->ops->embed_gather(p->cpu, b, pass2, e2);
        assert_memory_equal(e1, e2, (size_t)(5 * in) * sizeof(float));
        float *d1 = normal(out * in, 1), *d2 = MEM_ARRAY(float, out *in);
        memcpy(d2, d1, (size_t)(out * in) * sizeof(float));
        p->ref->ops->embed_scatter(p->ref, pass1, in, e1, d1);
        p->cpu->ops->embed_scatter(p->cpu, pass2, in, e1, d2);
        assert_memory_equal(d1, d2, (size_t)(out * in) * sizeof(float));
        p->ref->ops->pass_free(p->ref, pass1);
        p->cpu->ops->pass_free(p->cpu, pass2);
        p->ref->ops->linear_free(p->ref, a);
        p->cpu->ops->linear_free(p->cpu, b);
        void *all[] = {w, e1, e2, d1, d2};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
    }
}

/* A frozen matrix against one that has a packing for each product: the same bits in panels; gated ones too.
 */
static void check_frozen(pair *p) {
    const int64_t shapes[][2] = {{96, 64}, {8200, 24}, {362, 378}, {360, 378}, {24, 9002}};
    const int64_t rows[] = {1, 13, 200};
    for (int i = 0; i < 2 * 5 * 3; i++) {
        int gated = i < 15 ? 0 : LINEAR_GATED, s = i % 15 / 3;
        int64_t out = shapes[s][0], in = shapes[s][1], m = rows[i % 3];
        float *w = normal(out * in, 0.1), *dx1 = MEM_ARRAY(float, m *in), *dx2 = MEM_ARRAY(float, m *in);
        void *dy = act_normal(p->act, m * out, 1), *x = act_normal(p->act, m * in, 1);
        linear *twice = make_linear(p->cpu, out, in, LINEAR_BACKWARD | gated, w);
        linear *once = make_linear(p->cpu, out, in, LINEAR_BACKWARD | LINEAR_FROZEN | gated, w);
        p->cpu->ops->linear_backward_input(p->cpu, twice, m, dy, dx1);
        p->cpu->ops->linear_backward_input(p->cpu, once, m, dy, dx2);
        if (p->cpu->traits.rows_alone && out * in >= 1 << 17)
            assert_memory_equal(dx1, dx2, (size_t)(m * in) * sizeof *dx1);
        same("linear_backward_input, frozen", DTYPE_F32, dx1, dx2, m * in, out > 8192 ? 1e-5 : 1e-6);
        if (!gated) {
            float *y1 = MEM_ARRAY(float, m *out), *y2 = MEM_ARRAY(float, m *out);
            p->cpu->ops->linear_forward(p->cpu, twice, m, x, y1, DTYPE_F32, false);
            p->cpu->ops->linear_forward(p->cpu, once, m, x, y2, DTYPE_F32, false);
            assert_memory_equal(y1, y2, (size_t)(m * out) * sizeof *y1);
            mem_free(y1);
            mem_free(y2);
        }
        p->cpu->ops->linear_free(p->cpu, twice);
        p->cpu->ops->linear_free(p->cpu, once);
        void *all[] = {w, dx1, dx2, dy, x};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
    }
}

static void test_frozen(void **state) {
    (void)state;
    everywhere(check_frozen);
}

/* An instance's adapter, forward and backward, added to what y, dx and dw hold. */
static void run_adapter(compute *c, const adapter_shape *s, int64_t m, const float *w, const void *x,
                        const void *dy, float *y, float *dx, float *dw) {
    adapter *a = c->ops->adapter_new(c, s);
    c->ops->adapter_set(c, a, w);
    c->ops->adapt(c, a, m, x, y);
    c->ops->adapt_backward(c, a, m, w, x, dy, dx, dw);
    c->ops->adapter_free(c, a);
}

/* Ranks and rows that fill no vectors, parts with gaps between them, and more rows than a unit of work; a
 * row's bits are those that it has alone. */
static void check_adapter(pair *p) {
    const adapter_shape shapes[] = {
        {.out = 96, .in = 70, .rank = 16, .scale = 2, .parts = 3, .part = {{0, 48}, {48, 16}, {64, 32}}},
        {.out = 50, .in = 23, .rank = 5, .scale = 0.5f, .parts = 2, .part = {{3, 19}, {31, 7}}},
        {.out = 130, .in = 300, .rank = 33, .scale = 1, .parts = 1, .part = {{0, 130}}}};
    const int64_t rows[] = {1, 3, 40, 600};
    for (int i = 0; i < 3 * 4; i++) {
        const adapter_shape *s = &shapes[i / 4];
        int64_t m = rows[i % 4], n = adapter_part_at(s, s->parts);
        float *w = normal(n, 0.3), *y1 = normal(m * s->out, 1), *dx1 = normal(m * s->in, 1),
              *dw1 = normal(n, 1);
        float *y2 = MEM_ARRAY(float, m * s->out), *dx2 = MEM_ARRAY(float, m * s->in),
              *dw2 = MEM_ARRAY(float, n);
        memcpy(y2, y1, (size_t)(m * s->out) * sizeof *y1);
        memcpy(dx2, dx1, (size_t)(m * s->in) * sizeof *dx1);
        memcpy(dw2, dw1, (size_t)n * sizeof *dw1);
        float *last = MEM_ARRAY(float, s->out);
        memcpy(last, y1 + (m - 1) * s->out, (size_t)s->out * sizeof *last);
        void *x = act_normal(p->act, m * s->in, 1), *dy = act_normal(p->act, m * s->out, 1);
        run_adapter(p->ref, s, m, w, x, dy, y1, dx1, dw1);
        run_adapter(p->cpu, s, m, w, x, dy, y2, dx2, dw2);
        same("adapt", DTYPE_F32, y1, y2, m * s->out, 1e-5);
        same("adapt_backward, dx", DTYPE_F32, dx1, dx2, m * s->in, 1e-5);
        same("adapt_backward, dw", DTYPE_F32, dw1, dw2, n, 1e-5);
        adapter *a = p->cpu->ops->adapter_new(p->cpu, s);
        p->cpu->ops->adapter_set(p->cpu, a, w);
        p->cpu->ops->adapt(p->cpu, a, 1, (char *)x + (size_t)((m - 1) * s->in) * dtype_size(p->act), last);
        assert_memory_equal(last, y2 + (m - 1) * s->out, (size_t)s->out * sizeof *last);
        p->cpu->ops->adapter_free(p->cpu, a);
        void *all[] = {w, y1, y2, dx1, dx2, dw1, dw2, x, dy, last};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
    }
}

static void test_adapter(void **state) {
    (void)state;
    everywhere(check_adapter);
}

/* The gated product, whether gate and up are kept or not: a matrix too small for panels, and two in panels,
 * of which the second has a half that is no whole number of vectors. */
static void check_gated(pair *p) {
    const int64_t shapes[][2] = {{96, 64}, {448, 302}, {360, 378}};
    const int64_t rows[] = {1, 13, 64, 300};
    for (int i = 0; i < 3 * 4; i++) {
        int64_t out = shapes[i / 4][0], in = shapes[i / 4][1], m = rows[i % 4];
        float *w = normal(out * in, 0.1);
        void *x = act_normal(p->act, m * in, 1);
        linear *a = make_linear(p->ref, out, in, LINEAR_GATED, w);
        linear *b = make_linear(p->cpu, out, in, LINEAR_GATED | LINEAR_BACKWARD, w);
        float *both1 = MEM_ARRAY(float, m *out), *both2 = MEM_ARRAY(float, m *out);
        float *h1 = MEM_ARRAY(float, m *out), *h2 = MEM_ARRAY(float, m *out), *h3 = MEM_ARRAY(float, m *out);
        int64_t width = out / 2;
        assert_null(p->ref->ops->linear_gate); /* its products and gates are apart */
        compute_linear_gate(p->ref, a, GATE_SILU, m, width, x, both1, true, h1);
        compute_linear_gate(p->cpu, b, GATE_SILU, m, width, x, both2, true, h2);
        same("what linear_gate keeps", p->act, both1, both2, m * out, p->act_tolerance);
        same("linear_gate", p->act, h1, h2, m * width, p->act_tolerance);
        p->cpu->ops->gate(p->cpu, GATE_SILU, m, width, both2, h3);
        assert_memory_equal(h2, h3, (size_t)(m * out / 2) * dtype_size(p->act));
        compute_linear_gate(p->cpu, b, GATE_SILU, m, width, x, both2, false, h3);
        assert_memory_equal(h2, h3, (size_t)(m * out / 2) * dtype_size(p->act));
        float *dx1 = MEM_ARRAY(float, m *in), *dx2 = MEM_ARRAY(float, m *in);
        p->ref->ops->linear_backward_input(p->ref, a, m, both1, dx1);
        p->cpu->ops->linear_backward_input(p->cpu, b, m, both1, dx2);
        same("linear_backward_input of a gated matrix", DTYPE_F32, dx1, dx2, m * in, p->f32_tolerance);
        p->ref->ops->linear_free(p->ref, a);
        p->cpu->ops->linear_free(p->cpu, b);
        void *all[] = {w, x, both1, both2, h1, h2, h3, dx1, dx2};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
    }
}

/* Sums in panels are taken in one order: a row has the same bits alone and among others, on one thread and on
 * two. */
static void check_panels(pair *p) {
    enum { OUT = 450, IN = 602, ROWS = 77 };
    if (!strstr(compute_describe(p->cpu), "panels")) return;
    esp_error error = {0};
    compute *one;
    if (compute_new(&one, "cpu", p->act, 1, &error) != ESP_OK) fail_msg("%s", error.message);
    float *w = normal((int64_t)OUT * IN, 0.1), *all = MEM_ARRAY(float, ROWS *OUT),
          *few = MEM_ARRAY(float, ROWS *OUT);
    linear *a = make_linear(p->cpu, OUT, IN, 0, w), *b = make_linear(one, OUT, IN, 0, w);
    char *x = act_normal(p->act, (int64_t)ROWS * IN, 1);
    p->cpu->ops->linear_forward(p->cpu, a, ROWS, x, all, DTYPE_F32, false);
    for (int64_t first = 0, n = 1; first < ROWS; first += n, n++) {
        if (n > ROWS - first) n = ROWS - first;
        one->ops->linear_forward(one, b, n, x + first * IN * 2, few + first * OUT, DTYPE_F32, false);
    }
    assert_memory_equal(all, few, sizeof(float) * ROWS * OUT);
    head_read_request reads[2][ROWS];
    for (int r = 0; r < ROWS; r++)
        reads[0][r] = reads[1][r] = (head_read_request){.row = r, .kind = READ_SCORE, .token = 5 * r};
    p->cpu->ops->head_read(p->cpu, a, ROWS, x, reads[0], ROWS);
    one->ops->head_read(one, b, ROWS, x, reads[1] + ROWS - 9, 9);
    for (int r = ROWS - 9; r < ROWS; r++) assert_true(reads[0][r].logprob == reads[1][r].logprob);
    one->ops->linear_free(one, b);
    p->cpu->ops->linear_free(p->cpu, a);
    compute_free(one);
    mem_free(w), mem_free(all), mem_free(few), mem_free(x);
}

static void check_rows(pair *p) {
    const int64_t sizes[][2] = {{1, 8}, {3, 37}, {50, 576}};
    for (int s = 0; s < 3; s++) {
        int64_t rows = sizes[s][0], width = sizes[s][1], n = rows * width;
        float *x = normal(n, 2), *gain = normal(width, 1), *dy = normal(n, 1);
        float *r1 = MEM_ARRAY(float, rows), *r2 = MEM_ARRAY(float, rows);
        float *y1 = MEM_ARRAY(float, 2 * n), *y2 = MEM_ARRAY(float, 2 * n);
        p->ref->ops->rmsnorm(p->ref, rows, width, x, gain, 1e-5f, y1, r1);
        p->cpu->ops->rmsnorm(p->cpu, rows, width, x, gain, 1e-5f, y2, r2);
        same("rmsnorm", p->act, y1, y2, n, p->act_tolerance);
        same("rmsnorm's rstd", DTYPE_F32, r1, r2, rows, 1e-6);
        float *dx1 = normal(n, 1), *dx2 = MEM_ARRAY(float, n), *dg1 = normal(width, 1),
              *dg2 = MEM_ARRAY(float, width);
        memcpy(dx2, dx1, (size_t)n * sizeof(float));
        memcpy(dg2, dg1, (size_t)width * sizeof(float));
        p->ref->ops->rmsnorm_backward(p->ref, rows, width, dy, x, gain, r1, dx1, dg1);
        p->cpu->ops->rmsnorm_backward(p->cpu, rows, width, dy, x, gain, r1, dx2, dg2);
        same("rmsnorm_backward's dx", DTYPE_F32, dx1, dx2, n, p->f32_tolerance);
        same("rmsnorm_backward's dgain", DTYPE_F32, dg1, dg2, width, p->f32_tolerance);
        memcpy(dx2, dx1, (size_t)n * sizeof(float));
        p->ref->ops->rmsnorm_add(p->ref, rows, width, x, gain, 1e-5f, dx1, r1);
        p->cpu->ops->rmsnorm_add(p->cpu, rows, width, x, gain, 1e-5f, dx2, r2);
        same("rmsnorm_add", DTYPE_F32, dx1, dx2, n, p->f32_tolerance);
        same("rmsnorm_add's rstd", DTYPE_F32, r1, r2, rows, 1e-6);
        p->ref->ops->scale_shift(p->ref, n, 1.5f, 0.25f, x, dx1);
        memcpy(dx2, x, (size_t)n * sizeof(float));
        p->cpu->ops->scale_shift(p->cpu, n, 1.5f, 0.25f, dx2, dx2);
        same("scale_shift, in place", DTYPE_F32, dx1, dx2, n, 1e-6);
        void *gate_up = act_normal(p->act, 2 * n, 3);
        for (int kind = 0; kind < 2; kind++) {
            p->ref->ops->gate(p->ref, (gate_kind)kind, rows, width, gate_up, y1);
            p->cpu->ops->gate(p->cpu, (gate_kind)kind, rows, width, gate_up, y2);
            same("gate", p->act, y1, y2, n, p->act_tolerance);
            p->ref->ops->gate_backward(p->ref, (gate_kind)kind, rows, width, dy, gate_up, y1);
            p->cpu->ops->gate_backward(p->cpu, (gate_kind)kind, rows, width, dy, gate_up, y2);
            same("gate_backward", p->act, y1, y2, 2 * n, p->act_tolerance);
        }
        p->ref->ops->to_act(p->ref, n, x, y1);
        p->cpu->ops->to_act(p->cpu, n, x, y2);
        assert_memory_equal(y1, y2, (size_t)n * dtype_size(p->act));
        void *all[] = {x, gain, dy, r1, r2, y1, y2, dx1, dx2, dg1, dg2, gate_up};
        for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
    }
}

/* A forest: run 0 is a prompt; runs 1 and 2 are its children; run 3 is run 2's; run 4 is a path of its own,
 * of one token. Run 5 is a long path. Runs 6 to 10 are of one token, as in decoding: three siblings below run
 * 3, one below the last of them, and one that shares less. Slots are scattered through the pool. */
enum { RUNS = 11 };
typedef struct {
    int64_t tokens, pool;
    attention_span spans[RUNS];
    attention_segment segments[40];
    int32_t *positions;
    int64_t *slots;
} forest;

static forest plant(void) {
    const int count[RUNS] = {70, 5, 31, 66, 1, 150, 1, 1, 1, 1, 1};
    const int parent[RUNS] = {-1, 0, 0, 2, -1, -1, 3, 3, 3, 8, 0};
    forest f = {.pool = 400};
    int64_t base[RUNS] = {0}, next_slot = 400, segment = 0;
    for (int r = 0; r < RUNS; r++) f.tokens += count[r];
    f.positions = MEM_ARRAY(int32_t, f.tokens);
    f.slots = MEM_ARRAY(int64_t, f.tokens);
    int64_t t = 0;
    for (int r = 0; r < RUNS; r++) {
        int path[RUNS], depth = 0;
        for (int a = r; a >= 0; a = parent[a]) path[depth++] = a;
        next_slot -= count[r] + 3; /* from the end, with gaps */
        base[r] = next_slot;
        f.spans[r] = (attention_span){
            .first_query = t, .queries = count[r], .first_segment = segment, .segments = depth};
        for (int i = depth - 1; i >= 0; i--) {
            f.segments[segment++] = (attention_segment){.slot = base[path[i]], .count = count[path[i]]};
            f.spans[r].context += count[path[i]];
        }
        for (int i = 0; i < count[r]; i++, t++) {
            f.positions[t] = f.spans[r].context - count[r] + i;
            f.slots[t] = base[r] + i;
        }
    }
    return f;
}

static void check_attention_shape(pair *p, int heads, int kv_heads, int E, int64_t window) {
    forest f = plant();
    compute *a = p->ref, *b = p->cpu;
    int64_t nq = f.tokens * heads * E, nk = f.pool * kv_heads * E, row = (heads + 2 * kv_heads) * E;
    float *cosine = MEM_ARRAY(float, 200 * E / 2), *sine = MEM_ARRAY(float, 200 * E / 2);
    for (int64_t i = 0; i < 200 * E / 2; i++)
        cosine[i] = (float)cos(0.37 * (double)i), sine[i] = (float)sin(0.37 * (double)i);
    float *qkv = normal(f.tokens * row, 1.5), *q1 = MEM_ARRAY(float, nq), *q2 = MEM_ARRAY(float, nq);
    float *k1 = MEM_ARRAY(float, nk), *k2 = MEM_ARRAY(float, nk), *v1 = MEM_ARRAY(float, nk),
          *v2 = MEM_ARRAY(float, nk);
    float *bias = normal(row, 1), *sum = MEM_ARRAY(float, f.tokens *row);
    for (int64_t i = 0; i < f.tokens * row; i++) sum[i] = qkv[i] + bias[i % row];
    const qkv_spec plain = {.cosine = cosine, .sine = sine},
                   biased = {.cosine = cosine, .sine = sine, .bias = bias};
    const pass_plan plan = {.heads = heads,
                            .kv_heads = kv_heads,
                            .head_width = E,
                            .tokens = f.tokens,
                            .positions = f.positions,
                            .slots = f.slots,
                            .spans = f.spans,
                            .span_count = RUNS,
                            .segments = f.segments,
                            .backward = true};
    compute_pass *pa = a->ops->pass_new(a, &plan), *pb = b->ops->pass_new(b, &plan);
    a->ops->rope_split(a, pa, &biased, qkv, q1, k1, v1);
    b->ops->rope_split(b, pb, &biased, qkv, q2, k2, v2);
    same("rope_split's q, with a bias", DTYPE_F32, q1, q2, nq, 1e-6);
    same("rope_split's k, with a bias", p->act, k1, k2, nk, p->act_tolerance);
    same("rope_split's v, with a bias", p->act, v1, v2, nk, 0);
    b->ops->rope_split(b, pb, &plain, sum, q1, k1, v1);
    assert_memory_equal(q1, q2, (size_t)nq * sizeof(float));
    assert_memory_equal(k1, k2, (size_t)nk * dtype_size(p->act));
    assert_memory_equal(v1, v2, (size_t)nk * dtype_size(p->act));
    a->ops->rope_split(a, pa, &plain, qkv, q1, k1, v1);
    b->ops->rope_split(b, pb, &plain, qkv, q2, k2, v2);
    same("rope_split's q", DTYPE_F32, q1, q2, nq, 1e-6);
    same("rope_split's k", p->act, k1, k2, nk, p->act_tolerance);
    same("rope_split's v", p->act, v1, v2, nk, 0);

    float *out1 = MEM_ARRAY(float, nq), *out2 = MEM_ARRAY(float, nq), *out3 = MEM_ARRAY(float, nq);
    float *lse1 = MEM_ARRAY(float, f.tokens *heads), *lse2 = MEM_ARRAY(float, f.tokens *heads);
    a->ops->attention(a, pa, window, q1, k1, v1, out1, lse1);
    b->ops->attention(b, pb, window, q1, k1, v1, out2, lse2);
    b->ops->attention(b, pb, window, q1, k1, v1, out3, NULL);
    same("attention", p->act, out1, out2, nq, p->act_tolerance);
    same("attention's lse", DTYPE_F32, lse1, lse2, f.tokens * heads, p->f32_tolerance);
    assert_memory_equal(out2, out3, (size_t)nq * dtype_size(p->act));

    float *dout = normal(nq, 1), *dq1 = MEM_ARRAY(float, nq), *dq2 = normal(nq, 1), *dk1 = normal(nk, 1);
    float *dk2 = MEM_ARRAY(float, nk), *dv1 = normal(nk, 1), *dv2 = MEM_ARRAY(float, nk),
          *dk3 = MEM_ARRAY(float, nk);
    size_t bytes = (size_t)nk * sizeof(float);
    memcpy(dk2, dk1, bytes), memcpy(dk3, dk1, bytes), memcpy(dv2, dv1, bytes);
    a->ops->attention_backward(a, pa, window, q1, k1, v1, out1, lse1, dout, dq1, dk1, dv1);
    b->ops->attention_backward(b, pb, window, q1, k1, v1, out1, lse1, dout, dq2, dk2, dv2);
    /* Kernels that multiply bf16 round weights and gradients of scores of wide heads to it. */
    bool rounded = E % 64 == 0 && !window && strstr(compute_describe(b), "kernels avx512bf16");
    double tolerance = rounded ? p->act_tolerance : p->f32_tolerance;
    same("attention_backward's dq", DTYPE_F32, dq1, dq2, nq, tolerance);
    same("attention_backward's dk", DTYPE_F32, dk1, dk2, nk, tolerance);
    same("attention_backward's dv", DTYPE_F32, dv1, dv2, nk, tolerance);
    b->ops->attention_backward(b, pb, window, q1, k1, v1, out1, lse1, dout, dq1, dk3, dv1);
    assert_memory_equal(dk2, dk3, bytes);
    assert_memory_equal(dq1, dq2, (size_t)nq * sizeof(float));

    float *g1 = MEM_ARRAY(float, f.tokens *row), *g2 = MEM_ARRAY(float, f.tokens *row);
    float *g3 = MEM_ARRAY(float, f.tokens *row), *db1 = normal(row, 1), *db2 = MEM_ARRAY(float, row);
    memcpy(db2, db1, (size_t)row * sizeof(float));
    a->ops->rope_split_backward(a, pa, &biased, NULL, dq2, dk2, dv2, g1, db1, NULL);
    b->ops->rope_split_backward(b, pb, &biased, NULL, dq2, dk2, dv2, g2, db2, NULL);
    b->ops->rope_split_backward(b, pb, &plain, NULL, dq2, dk2, dv2, g3, NULL, NULL);
    same("rope_split_backward", p->act, g1, g2, f.tokens * row, p->act_tolerance);
    same("rope_split_backward's dbias", DTYPE_F32, db1, db2, row, 1e-6);
    assert_memory_equal(g2, g3, (size_t)(f.tokens * row) * dtype_size(p->act));
    a->ops->pass_free(a, pa);
    b->ops->pass_free(b, pb);
    void *all[] = {f.positions, f.slots, cosine, sine, qkv,  q1,   q2,  k1,  k2,  v1,  v2,
                   out1,        out2,    out3,   lse1, lse2, dout, dq1, dq2, dk1, dk2, dk3,
                   dv1,         dv2,     g1,     g2,   g3,   bias, sum, db1, db2};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
}

static void check_attention(pair *p) {
    check_attention_shape(p, 9, 3, 64, 0);
    check_attention_shape(p, 4, 2, 128, 0);
    check_attention_shape(p, 4, 4, 6, 0);
    check_attention_shape(p, 8, 1, 36, 0);
    check_attention_shape(p, 4, 2, 64, 20);
    check_attention_shape(p, 8, 1, 36, 70);
}

/* The split with a norm of each head, of which a part or nothing is rotated, and scaled queries. */
static void check_normed_shape(pair *p, int heads, int kv_heads, int E, int rotated, bool rotates) {
    forest f = plant();
    compute *a = p->ref, *b = p->cpu;
    int64_t nq = f.tokens * heads * E, nk = f.pool * kv_heads * E, row = (heads + 2 * kv_heads) * E;
    float *angles = MEM_ARRAY(float, 400 * E), *gain = normal(2 * E, 1), *qkv = normal(f.tokens * row, 1.5);
    for (int64_t i = 0; i < 200 * E; i++)
        angles[i] = (float)cos(0.37 * (double)i), angles[200 * E + i] = (float)sin(0.37 * (double)i);
    const qkv_spec spec = {.cosine = rotates ? angles : NULL,
                           .sine = rotates ? angles + 200 * E : NULL,
                           .gain = gain,
                           .eps = 1e-5f,
                           .query_scale = 0.8f,
                           .rotated = rotated};
    const pass_plan plan = {.heads = heads,
                            .kv_heads = kv_heads,
                            .head_width = E,
                            .tokens = f.tokens,
                            .positions = f.positions,
                            .slots = f.slots,
                            .spans = f.spans,
                            .span_count = RUNS,
                            .segments = f.segments,
                            .backward = true};
    compute_pass *pa = a->ops->pass_new(a, &plan), *pb = b->ops->pass_new(b, &plan);
    float *q1 = MEM_ARRAY(float, nq), *q2 = MEM_ARRAY(float, nq), *k1 = MEM_ARRAY(float, nk),
          *k2 = MEM_ARRAY(float, nk), *v1 = MEM_ARRAY(float, nk), *v2 = MEM_ARRAY(float, nk);
    a->ops->rope_split(a, pa, &spec, qkv, q1, k1, v1);
    b->ops->rope_split(b, pb, &spec, qkv, q2, k2, v2);
    same("normalised q", DTYPE_F32, q1, q2, nq, 1e-5);
    same("normalised k", p->act, k1, k2, nk, p->act_tolerance);
    same("v beside norms", p->act, v1, v2, nk, 0);
    float *dq = normal(nq, 1), *dk = normal(nk, 1), *dv = normal(nk, 1),
          *g1 = MEM_ARRAY(float, f.tokens *row);
    float *g2 = MEM_ARRAY(float, f.tokens *row), *d1 = normal(2 * E, 1), *d2 = MEM_ARRAY(float, 2 * E);
    memcpy(d2, d1, (size_t)(2 * E) * sizeof(float));
    a->ops->rope_split_backward(a, pa, &spec, qkv, dq, dk, dv, g1, NULL, d1);
    b->ops->rope_split_backward(b, pb, &spec, qkv, dq, dk, dv, g2, NULL, d2);
    same("the gradient through norms", p->act, g1, g2, f.tokens * row, p->act_tolerance);
    same("the gains' gradient", DTYPE_F32, d1, d2, 2 * E, p->f32_tolerance);
    a->ops->pass_free(a, pa);
    b->ops->pass_free(b, pb);
    void *all[] = {f.positions, f.slots, angles, gain, qkv, q1, q2, k1, k2,
                   v1,          v2,      dq,     dk,   dv,  g1, g2, d1, d2};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
}

static void check_normed(pair *p) {
    check_normed_shape(p, 4, 2, 64, 0, true);
    check_normed_shape(p, 2, 1, 128, 96, true);
    check_normed_shape(p, 3, 3, 10, 6, true);
    check_normed_shape(p, 4, 1, 36, 0, false);
}

/* bf16_tolerance: of the gradients, for which those of the logits are rounded. */
static void check_head_shape(pair *p, int64_t V, int64_t D, double bf16_tolerance) {
    enum { ROWS = 90, READS = 200 };
    compute *a = p->ref, *b = p->cpu;
    float *w = normal(V * D, sqrt(1 / (double)D));
    void *x = act_normal(p->act, ROWS * D, 1);
    linear *l1 = make_linear(a, V, D, LINEAR_BACKWARD, w), *l2 = make_linear(b, V, D, LINEAR_BACKWARD, w);
    head_read_request r1[READS], r2[READS], r3[READS];
    rng_key_t key = rng_key(5);
    for (int i = 0; i < READS; i++) {
        const float temperatures[] = {1.0f, 0.7f, 1.5f, 0.05f};
        r1[i] = (head_read_request){.row = i * (ROWS - 1) / READS, /* some rows are never asked for */
                                    .kind = (read_kind)(i % 3),
                                    .token = (int32_t)rng_below(key, (uint64_t)i, (uint64_t)V),
                                    .temperature = temperatures[i / 3 % 4],
                                    .u = i % 7 == 1 ? 0.0 : rng_uniform(key, (uint64_t)(1000 + i))};
        if (r1[i].row == 40) r1[i].row = 39;
        if (r1[i].row >= 60 && r1[i].row < 66) r1[i].row = 66;
    }
    memcpy(r2, r1, sizeof r1), memcpy(r3, r1, sizeof r1);
    a->ops->head_read(a, l1, ROWS, x, r1, READS);
    b->ops->head_read(b, l2, ROWS, x, r2, READS);
    b->ops->head_read(b, l2, ROWS, x, r3, READS);
    for (int i = 0; i < READS; i++) {
        assert_int_equal(r1[i].token, r2[i].token);
        assert_true(fabs((double)r1[i].logprob - (double)r2[i].logprob) < 2e-5);
        if (r1[i].kind == READ_GREEDY) assert_true(fabs((double)r1[i].margin - (double)r2[i].margin) < 2e-5);
        assert_int_equal(r2[i].token, r3[i].token);
        assert_memory_equal(&r2[i].logprob, &r3[i].logprob, sizeof(float));
    }
    int32_t targets[ROWS];
    float *dlogprob = normal(ROWS, 1), *dx1 = MEM_ARRAY(float, ROWS *D), *dx2 = normal(ROWS * D, 1);
    float *dw1 = normal(V * D, 0.01), *dw2 = MEM_ARRAY(float, V *D);
    memcpy(dw2, dw1, (size_t)(V * D) * sizeof(float));
    for (int i = 0; i < ROWS; i++) {
        targets[i] = (int32_t)rng_below(key, (uint64_t)(5000 + i), (uint64_t)V);
        if (i % 3 == 0 || i > 80) dlogprob[i] = 0; /* prompts have no gradient */
    }
    a->ops->head_backward(a, l1, ROWS, x, targets, dlogprob, dx1, dw1);
    b->ops->head_backward(b, l2, ROWS, x, targets, dlogprob, dx2, dw2);
    double tolerance = p->act == DTYPE_F32 ? 1e-5 : bf16_tolerance;
    same("head_backward's dx", DTYPE_F32, dx1, dx2, ROWS * D, tolerance);
    same("head_backward's dw", DTYPE_F32, dw1, dw2, V * D, tolerance);
    a->ops->linear_free(a, l1);
    b->ops->linear_free(b, l2);
    void *all[] = {w, x, dlogprob, dx1, dx2, dw1, dw2};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
}

static void check_head(pair *p) {
    /* Fewer tokens than the model is wide, before scratch memory has grown. */
    check_head_shape(p, 96, 320, 0x1p-7);
    check_head_shape(p, 301, 24, 0x1p-8);
    if (p->act == DTYPE_BF16) check_head_shape(p, 9001, 16, 0x1p-8);
}

static void check_optimizer(pair *p) {
    const int64_t n = 70001;
    float *w1 = normal(n, 0.1), *g = normal(n, 1), *m1 = normal(n, 0.1), *v1 = normal(n, 1),
          *w2 = MEM_ARRAY(float, n);
    float *m2 = MEM_ARRAY(float, n), *v2 = MEM_ARRAY(float, n);
    for (int64_t i = 0; i < n; i++) v1[i] = v1[i] * v1[i];
    memcpy(w2, w1, (size_t)n * sizeof(float));
    memcpy(m2, m1, (size_t)n * sizeof(float));
    memcpy(v2, v1, (size_t)n * sizeof(float));
    adamw_settings s = {.lr = 1e-3f,
                        .beta1 = 0.9f,
                        .beta2 = 0.95f,
                        .eps = 1e-8f,
                        .weight_decay = 0.05f,
                        .grad_scale = 0.7f,
                        .step = 3};
    double sum, sum2;
    p->ref->ops->sum_squares(p->ref, n, g, &sum);
    p->cpu->ops->sum_squares(p->cpu, n, g, &sum2);
    assert_true(fabs(sum2 - sum) <= 1e-12 * sum);
    p->ref->ops->adamw(p->ref, n, w1, g, m1, v1, &s);
    p->cpu->ops->adamw(p->cpu, n, w2, g, m2, v2, &s);
    same("adamw's w", DTYPE_F32, w1, w2, n, 1e-6);
    same("adamw's m", DTYPE_F32, m1, m2, n, 1e-6);
    same("adamw's v", DTYPE_F32, v1, v2, n, 1e-6);
    void *all[] = {w1, w2, g, m1, m2, v1, v2};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
}

/* What moves and adds numbers gives the same bits everywhere: those of the loops that it replaces. */
static void check_memory(compute *c) {
    enum { ROWS = 5, WIDTH = 37, N = 40007 };
    const int64_t rows[ROWS] = {4, 0, 4, 2, 4};
    float *x = normal(N, 1), *y = normal(N, 1), *right = MEM_ARRAY(float, N), *got = MEM_ARRAY(float, N);
    float *a = c->ops->buffer_new(c, N * sizeof(float), "a"),
          *b = c->ops->buffer_new(c, N * sizeof(float), "b");
    assert_true(a && b);
    c->ops->put(c, a, x, N * sizeof(float));
    c->ops->copy(c, b, a, N * sizeof(float));
    c->ops->zero(c, b + 10, 20 * sizeof(float));
    c->ops->get(c, got, b, N * sizeof(float));
    for (int i = 0; i < N; i++) assert_true(got[i] == (i < 10 || i >= 30 ? x[i] : 0));

    c->ops->rows_pick(c, ROWS, rows, WIDTH * sizeof(float), a, b);
    c->ops->get(c, got, b, ROWS * WIDTH * sizeof(float));
    for (int i = 0; i < ROWS * WIDTH; i++) assert_true(got[i] == x[rows[i / WIDTH] * WIDTH + i % WIDTH]);

    c->ops->put(c, b, y, N * sizeof(float));
    c->ops->rows_add(c, ROWS, rows, WIDTH, a, b);
    c->ops->get(c, got, b, N * sizeof(float));
    memcpy(right, y, N * sizeof(float));
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < WIDTH; j++) right[rows[i] * WIDTH + j] += x[i * WIDTH + j];
    assert_memory_equal(got, right, N * sizeof(float));

    c->ops->add(c, N, a, b);
    c->ops->average(c, N, 0.3f, a, b);
    c->ops->swap(c, N, a, b);
    for (int i = 0; i < N; i++) right[i] += x[i];
    for (int i = 0; i < N; i++) right[i] += 0.3f * (x[i] - right[i]);
    c->ops->get(c, got, a, N * sizeof(float));
    assert_memory_equal(got, right, N * sizeof(float));
    c->ops->get(c, got, b, N * sizeof(float));
    assert_memory_equal(got, x, N * sizeof(float));
    c->ops->buffer_free(c, a), c->ops->buffer_free(c, b), c->ops->buffer_free(c, NULL);
    mem_free(x), mem_free(y), mem_free(right), mem_free(got);
}

static void check_memories(pair *p) {
    check_memory(p->ref);
    check_memory(p->cpu);
    esp_error error = {0};
    assert_null(p->cpu->ops->buffer_new(p->cpu, SIZE_MAX / 2, "a map of the universe"));
    assert_int_equal(compute_check(p->cpu, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "a map of the universe"));
}

static void test_memory(void **state) {
    (void)state;
    everywhere(check_memories);
}
static void test_panels(void **state) {
    (void)state;
    everywhere(check_panels);
}
static void test_linear(void **state) {
    (void)state;
    everywhere(check_linear);
}

static void test_gated(void **state) {
    (void)state;
    everywhere(check_gated);
}
static void test_rows(void **state) {
    (void)state;
    everywhere(check_rows);
}
static void test_attention(void **state) {
    (void)state;
    everywhere(check_attention);
}
static void test_normed(void **state) {
    (void)state;
    everywhere(check_normed);
}
static void test_head(void **state) {
    (void)state;
    everywhere(check_head);
}
static void test_optimizer(void **state) {
    (void)state;
    everywhere(check_optimizer);
}

static void test_errors(void **state) {
    (void)state;
    compute *c;
    esp_error error = {0};
    assert_int_equal(compute_new(&c, "gpu", DTYPE_F32, 1, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "gpu"));
    assert_non_null(strstr(error.hint, "cpu"));
    assert_int_equal(compute_new(&c, "cpu", DTYPE_F32, -1, &error), ESP_FAILED);
    setenv("ESPALIER_ISA", "avx1024", 1);
    assert_int_equal(compute_new(&c, "cpu", DTYPE_F32, 1, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "avx1024"));
    unsetenv("ESPALIER_ISA");
}

/* The products once more where oneDNN may use no more than AVX2: it refuses bf16 there, and f32 products of
 * bf16 values step in. oneDNN reads its limit once, so that takes a process of its own. */
static void test_without_bf16(void **state) {
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
        execl("/proc/self/exe", "test_parity", "products", (char *)NULL);
        _exit(127);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_falls_back(void **state) {
    (void)state;
    pair p;
    begin(&p, DTYPE_BF16, NULL);
    assert_non_null(strstr(compute_describe(p.cpu), "in f32 on bf16 values"));
    end(&p);
}

int main(int argc, char **argv) {
    const struct CMUnitTest products[] = {
        cmocka_unit_test(test_falls_back), cmocka_unit_test(test_linear), cmocka_unit_test(test_gated),
        cmocka_unit_test(test_panels),     cmocka_unit_test(test_head),   cmocka_unit_test(test_frozen),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),       cmocka_unit_test(test_gated),     cmocka_unit_test(test_panels),
        cmocka_unit_test(test_rows),         cmocka_unit_test(test_attention), cmocka_unit_test(test_normed),
        cmocka_unit_test(test_head),         cmocka_unit_test(test_optimizer), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_without_bf16), cmocka_unit_test(test_errors),    cmocka_unit_test(test_frozen),
        cmocka_unit_test(test_adapter),
    };
    if (argc > 1 && strcmp(argv[1], "products") == 0) return cmocka_run_group_tests(products, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
