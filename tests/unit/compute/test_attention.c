/* Attention over many shapes: widths and groups of heads, spans of one and of many queries, contexts from one
 * key to a thousand, in pages scattered through the pool, siblings; against the plain loops of ref. A query's
 * result does not depend on the number of threads, nor on the spans beside its own. timeout: 240 */
#include "support.h"

#include "base/half.h"
#include "base/memory.h"
#include "base/random.h"
#include "compute/compute.h"

#include <math.h>
#include <string.h>

enum { PAGE = 16, SPANS = 40, SEGMENTS = 1000, POOL_PAGES = 400, ALONE = 16 };

typedef struct {
    int heads, kv_heads, width;
} shape;

typedef struct {
    attention_span spans[SPANS];
    attention_segment segments[SEGMENTS];
    int count;
    int64_t tokens, segment, page;
    int64_t order[POOL_PAGES];
} layout;

/* Pages for `keys` tokens after those the span has. */
static void add_keys(layout *l, attention_span *s, int keys) {
    for (; keys > 0; keys -= PAGE) {
        assert_true(l->page < POOL_PAGES && l->segment < SEGMENTS);
        l->segments[l->segment++] =
            (attention_segment){.slot = l->order[l->page++] * PAGE, .count = keys < PAGE ? keys : PAGE};
        s->segments++;
        s->context += keys < PAGE ? keys : PAGE;
    }
}

static attention_span *add_span(layout *l, int queries) {
    attention_span *s = &l->spans[l->count++];
    *s = (attention_span){.first_query = l->tokens, .queries = queries, .first_segment = l->segment};
    l->tokens += queries;
    return s;
}

/* The first ALONE spans share nothing; then come two families of siblings. */
static void lay_out(layout *l) {
    const int queries[ALONE] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 7, 70, 33, 16, 1, 5};
    const int contexts[ALONE] = {1, 15, 16, 17, 64, 65, 144, 1000, 49, 2, 300, 70, 133, 80, 128, 64};
    memset(l, 0, sizeof *l);
    rng_key_t key = rng_key(3);
    for (int i = 0; i < POOL_PAGES; i++) l->order[i] = i;
    for (int i = POOL_PAGES - 1; i > 0; i--) {
        int64_t j = (int64_t)rng_below(key, (uint64_t)i, (uint64_t)i + 1), keep = l->order[i];
        l->order[i] = l->order[j];
        l->order[j] = keep;
    }
    for (int i = 0; i < ALONE; i++) add_keys(l, add_span(l, queries[i]), contexts[i]);
    for (int family = 0; family < 2; family++) {
        attention_segment shared[8];
        int n = family ? 8 : 5;
        for (int i = 0; i < n; i++)
            shared[i] = (attention_segment){l->order[l->page++] * PAGE, i == n - 1 ? 9 : PAGE};
        for (int i = 0; i < (family ? 3 : 20); i++) {
            attention_span *s = add_span(l, 1);
            memcpy(&l->segments[l->segment], shared, (size_t)n * sizeof shared[0]);
            l->segment += n;
            s->segments = n;
            s->context = (n - 1) * PAGE + 9;
            add_keys(l, s, 1 + i * 3);
        }
    }
}

static float *normal(int64_t n, uint64_t seed) {
    float *x = MEM_ARRAY(float, n);
    for (int64_t i = 0; i < n; i++) x[i] = (float)(1.5 * rng_normal(rng_key(seed), (uint64_t)i));
    return x;
}

static void *act_of(dtype act, float *x, int64_t n) {
    uint16_t *y = MEM_ARRAY(uint16_t, n);
    if (act == DTYPE_F32) {
        mem_free(y);
        return x;
    }
    for (int64_t i = 0; i < n; i++) y[i] = bf16_from_f32(x[i]);
    mem_free(x);
    return y;
}

static double element(dtype t, const void *x, int64_t i) {
    return t == DTYPE_F32 ? (double)((const float *)x)[i] : (double)bf16_to_f32(((const uint16_t *)x)[i]);
}

/* Every row of `width` elements to within the tolerance of the greatest expected one. */
static void close_to(const char *what, shape s, dtype t, const void *expected, const void *got, int64_t rows,
                     int64_t width, double tolerance) {
    double scale = 0;
    for (int64_t i = 0; i < rows * width; i++) scale = fmax(scale, fabs(element(t, expected, i)));
    for (int64_t i = 0; i < rows * width; i++)
        if (!(fabs(element(t, expected, i) - element(t, got, i)) <= tolerance * scale))
            fail_msg("%s with %d heads on %d of width %d: row %lld, column %lld is %g where %g is right",
                     what, s.heads, s.kv_heads, s.width, (long long)(i / width), (long long)(i % width),
                     element(t, got, i), element(t, expected, i));
}

static compute *made(const char *kind, const char *isa, dtype act, int threads) {
    compute *c;
    esp_error error = {0};
    if (isa)
        setenv("ESPALIER_ISA", isa, 1);
    else
        unsetenv("ESPALIER_ISA");
    return compute_new(&c, kind, act, threads, &error) == ESP_OK ? c : NULL;
}

/* Attention over `count` of the layout's spans as a pass of its own. */
static void attend(compute *c, shape s, int64_t window, const layout *l, const attention_span *spans,
                   int64_t count, const float *q, const void *k, const void *v, void *out, float *lse) {
    const pass_plan plan = {.heads = s.heads,
                            .kv_heads = s.kv_heads,
                            .head_width = s.width,
                            .tokens = l->tokens,
                            .spans = spans,
                            .span_count = count,
                            .segments = l->segments};
    compute_pass *pass = c->ops->pass_new(c, &plan);
    c->ops->attention(c, pass, window, q, k, v, out, lse);
    c->ops->pass_free(c, pass);
}

/* decoded: of all spans, of none, or (-1) of those of one query. */
static void check_shape(shape s, dtype act, int64_t window, int decoded) {
    layout *l = MEM_NEW(layout);
    lay_out(l);
    attention_span *spans = l->spans;
    for (int i = 0; i < l->count; i++) spans[i].decoded = decoded < 0 ? spans[i].queries == 1 : decoded;
    int64_t row = s.heads * s.width, nq = l->tokens * row,
            nk = (int64_t)POOL_PAGES * PAGE * s.kv_heads * s.width;
    int64_t rows = l->tokens * s.heads;
    float *q = normal(nq, 1), *lse = MEM_ARRAY(float, rows), *lse1 = MEM_ARRAY(float, rows),
          *lse2 = MEM_ARRAY(float, rows);
    void *k = act_of(act, normal(nk, 2), nk), *v = act_of(act, normal(nk, 3), nk);
    size_t size = (size_t)nq * dtype_size(act), token = (size_t)row * dtype_size(act);
    char *out = mem_alloc(size), *one = mem_alloc(size), *two = mem_alloc(size), *alone = mem_alloc(size);
    compute *ref = made("ref", NULL, act, 1);
    assert_non_null(ref);
    attend(ref, s, window, l, spans, l->count, q, k, v, out, lse);
    const char *isas[] = {"base", "avx2", "avx512", "avx512bf16"};
    for (int i = 0; i < 4; i++) {
        compute *c = made("cpu", isas[i], act, 1), *d = made("cpu", isas[i], act, 2);
        if (!c || !d) {
            assert_true(i > 0);
            print_message("no %s on this processor: skipped\n", isas[i]);
            continue;
        }
        attend(c, s, window, l, spans, l->count, q, k, v, one, lse1);
        attend(d, s, window, l, spans, l->count, q, k, v, two, lse2);
        close_to("attention", s, act, out, one, rows, s.width, act == DTYPE_F32 ? 1e-5 : 0x1p-7);
        close_to("its log-sum-exp", s, DTYPE_F32, lse, lse1, rows, 1, 1e-5);
        assert_memory_equal(one, two, size);
        assert_memory_equal(lse1, lse2, (size_t)rows * sizeof(float));
        for (int j = 0; j < l->count; j++) { /* alone, and cut in two spans */
            const attention_span *span = &spans[j];
            size_t at = (size_t)span->first_query * token, bytes = (size_t)span->queries * token;
            attend(c, s, window, l, span, 1, q, k, v, alone, NULL);
            assert_memory_equal(alone + at, one + at, bytes);
            attention_span parts[2] = {*span, *span};
            parts[0].queries = (span->queries + 1) / 2;
            parts[0].context -= span->queries - parts[0].queries;
            parts[1].first_query += parts[0].queries;
            parts[1].queries -= parts[0].queries;
            memset(alone + at, 0, bytes);
            attend(c, s, window, l, parts, parts[1].queries ? 2 : 1, q, k, v, alone, NULL);
            assert_memory_equal(alone + at, one + at, bytes);
        }
        compute_free(c), compute_free(d);
    }
    unsetenv("ESPALIER_ISA");
    compute_free(ref);
    void *all[] = {l, q, lse, lse1, lse2, k, v, out, one, two, alone};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
}

static void test_shapes(void **state) {
    (void)state;
    const shape shapes[] = {{9, 3, 64},  {4, 4, 64},   {8, 1, 64}, {4, 1, 128}, {5, 1, 64},
                            {20, 1, 64}, {28, 14, 64}, {4, 2, 32}, {3, 1, 80}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (int decoded = -1; decoded <= 1; decoded++) {
            check_shape(shapes[i], DTYPE_F32, 0, decoded);
            check_shape(shapes[i], DTYPE_BF16, 0, decoded);
        }
    }
}

/* Windows of one key, of less than a tile, of whole tiles, of more than most contexts. */
static void test_windows(void **state) {
    (void)state;
    const int64_t windows[] = {1, 50, 128, 200};
    for (int i = 0; i < 4; i++) {
        check_shape((shape){4, 2, 64}, DTYPE_F32, windows[i], -1);
        check_shape((shape){9, 3, 64}, DTYPE_BF16, windows[i], -1);
        check_shape((shape){4, 2, 20}, DTYPE_BF16, windows[i], -1);
    }
}

/* A pass that knows its layers' pools lets products prefetch from them: before the first attention, and
 * between the gate and the next one. It changes neither the products nor the attention. */
static void test_prefetch(void **state) {
    (void)state;
    enum { ROWS = 80, IN = 512, OUT = 704, LAYERS = 2 };
    const shape s = {9, 3, 64};
    layout *l = MEM_NEW(layout);
    lay_out(l);
    int64_t nq = l->tokens * s.heads * s.width, nk = (int64_t)POOL_PAGES * PAGE * s.kv_heads * s.width;
    float *q = normal(nq, 1), *w = normal(OUT * IN, 4), *gate_up = normal(ROWS * OUT, 6);
    void *k[LAYERS], *v[LAYERS], *x = act_of(DTYPE_BF16, normal(ROWS * IN, 5), ROWS * IN),
                                 *hidden = MEM_ARRAY(float, ROWS *OUT);
    for (int i = 0; i < LAYERS; i++) {
        k[i] = act_of(DTYPE_BF16, normal(nk, 2 + 10 * i), nk);
        v[i] = act_of(DTYPE_BF16, normal(nk, 3 + 10 * i), nk);
    }
    float *y[2] = {MEM_ARRAY(float, LAYERS *ROWS *OUT), MEM_ARRAY(float, LAYERS *ROWS *OUT)};
    uint16_t *out[2] = {MEM_ARRAY(uint16_t, LAYERS * nq), MEM_ARRAY(uint16_t, LAYERS * nq)};
    compute *c = made("cpu", NULL, DTYPE_BF16, 2);
    assert_non_null(c);
    linear *matrix = c->ops->linear_new(c, OUT, IN, 0);
    c->ops->linear_set(c, matrix, w);
    for (int known = 0; known < 2; known++) {
        const pass_plan plan = {.heads = s.heads,
                                .kv_heads = s.kv_heads,
                                .head_width = s.width,
                                .tokens = l->tokens,
                                .spans = l->spans,
                                .span_count = l->count,
                                .segments = l->segments,
                                .layers = known ? LAYERS : 0,
                                .k = known ? k : NULL,
                                .v = known ? v : NULL};
        compute_pass *pass = c->ops->pass_new(c, &plan);
        for (int i = 0; i < LAYERS; i++) {
            for (int64_t rows = 1; rows <= ROWS; rows += rows == 1 ? 39 : 40)
                c->ops->linear_forward(c, matrix, rows, x, y[known] + (int64_t)i * ROWS * OUT, DTYPE_F32,
                                       false);
            c->ops->attention(c, pass, 0, q, k[i], v[i], out[known] + i * nq, NULL);
            c->ops->gate(c, GATE_SILU, ROWS, OUT / 2, gate_up, hidden);
        }
        c->ops->linear_forward(c, matrix, ROWS, x, y[known], DTYPE_F32, false);
        c->ops->pass_free(c, pass);
        c->ops->linear_forward(c, matrix, ROWS, x, y[known], DTYPE_F32, false);
    }
    assert_int_equal(compute_check(c, NULL), ESP_OK);
    assert_memory_equal(y[0], y[1], LAYERS * ROWS * OUT * sizeof(float));
    assert_memory_equal(out[0], out[1], (size_t)(LAYERS * nq) * sizeof(uint16_t));
    c->ops->linear_free(c, matrix);
    compute_free(c);
    void *all[] = {l, q, w, gate_up, hidden, k[0], k[1], v[0], v[1], x, out[0], out[1], y[0], y[1]};
    for (size_t j = 0; j < sizeof all / sizeof all[0]; j++) mem_free(all[j]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_windows),
                                       cmocka_unit_test(test_prefetch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
