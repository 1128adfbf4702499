/* Weight matrices, the three products of a linear layer, and the embedding table. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <assert.h>
#include <string.h>

enum {
    VOCABULARY = 8192, /* matrices of at least that many rows are packed in blocks */
    VOCABULARY_BLOCK = 1024,
    TURNED_ROWS = 8192, /* of a frozen matrix that are turned at a time: a multiple of PANEL_COLUMNS */
};

const void *cpu_product_input(compute *c, enum cpu_scratch_use use, int64_t n, const void *x) {
    cpu_state *s = state_of(c);
    if (gemm_input(s->gemm) == c->act) return x;
    float *wide = cpu_scratch(c, use, (size_t)n * sizeof(float));
    if (!wide) return NULL;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int part = 0; part < c->threads; part++) {
        int64_t begin, end;
        cpu_part(n, 64, part, c->threads, &begin, &end);
        s->kernels->widen(c->act, end - begin, (const uint16_t *)x + begin, wide + begin);
    }
    return wide;
}

/* Whether a matrix of that size, and its gradient, is multiplied in panels. */
static bool takes_panels(const cpu_state *s, int64_t out, int64_t in) {
    return s->panels && out * in >= PANEL_LEAST && in % 2 == 0 && out % 2 == 0;
}

static esp_status panel_matrix_new(panel_matrix **out, int64_t k, int64_t n, esp_error *error) {
    panel_matrix *b = MEM_NEW(panel_matrix);
    int64_t panels = (n + PANEL_COLUMNS - 1) / PANEL_COLUMNS;
    b->k = k;
    b->n = n;
    *out = b;
    return mem_big_alloc((void **)&b->words, (size_t)(panels * PANEL_COLUMNS * (k / 2)) * 4,
                         "a packed weight matrix", error);
}

static void panel_matrix_free(panel_matrix *b) {
    if (b) mem_big_free(b->words);
    mem_free(b);
}

static linear *rows_new(compute *c, linear *l, int flags) {
    if (flags & LINEAR_ROWS)
        mem_big_alloc(&l->rows, (size_t)(l->out * l->in) * dtype_size(c->act), "an embedding table",
                      &c->failure);
    return l;
}

linear *cpu_linear_new(compute *c, int64_t out, int64_t in, int flags) {
    cpu_state *s = state_of(c);
    linear *l = MEM_NEW(linear);
    l->out = out;
    l->in = in;
    l->block = out >= VOCABULARY ? VOCABULARY_BLOCK : out;
    l->blocks = (int)((out + l->block - 1) / l->block);
    bool two_packings = (flags & LINEAR_BACKWARD) && !(flags & LINEAR_FROZEN);
    if (takes_panels(s, out, in)) {
        if (panel_matrix_new(&l->panels, in, out, &c->failure) != ESP_OK) return l;
        l->panels->gated = (flags & LINEAR_GATED) && out % PANEL_COLUMNS == 0;
        if (two_packings) panel_matrix_new(&l->backward_panels, out, in, &c->failure);
        return rows_new(c, l, flags);
    }
    l->forward = MEM_ARRAY(gemm_matrix *, l->blocks);
    for (int i = 0; i < l->blocks; i++) {
        int64_t rows = i + 1 < l->blocks ? l->block : out - i * l->block;
        if (gemm_matrix_new(s->gemm, &l->forward[i], in, rows, &c->failure) != ESP_OK) return l;
    }
    if (two_packings && gemm_matrix_new(s->gemm, &l->backward, out, in, &c->failure) != ESP_OK) return l;
    return rows_new(c, l, flags);
}

void cpu_linear_free(compute *c, linear *l) {
    (void)c;
    if (!l) return;
    for (int i = 0; l->forward && i < l->blocks; i++) gemm_matrix_free(l->forward[i]);
    mem_free(l->forward);
    gemm_matrix_free(l->backward);
    panel_matrix_free(l->panels);
    panel_matrix_free(l->backward_panels);
    mem_big_free(l->rows);
    mem_free(l);
}

/* f32 to bf16. */
static void narrow(compute *c, int64_t n, const float *wide, void *y) {
    cpu_state *s = state_of(c);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int part = 0; part < c->threads; part++) {
        int64_t begin, end;
        cpu_part(n, 64, part, c->threads, &begin, &end);
        s->kernels->to_act(DTYPE_BF16, end - begin, wide + begin, (uint16_t *)y + begin);
    }
}

/* w rounded to act, and widened again where there are no bf16 products: what is packed. */
static const void *rounded(compute *c, linear *l, const float *w) {
    int64_t n = l->out * l->in;
    if (c->act == DTYPE_F32) {
        if (l->rows) memcpy(l->rows, w, (size_t)n * sizeof(float));
        return w;
    }
    void *to = l->rows ? l->rows : cpu_scratch(c, SCRATCH_WEIGHT, (size_t)n * sizeof(uint16_t));
    if (!to) return NULL;
    narrow(c, n, w, to);
    return cpu_product_input(c, SCRATCH_WIDE_X, n, to);
}

void cpu_linear_set(compute *c, linear *l, const float *w) {
    cpu_state *s = state_of(c);
    if (c->failure.code != ESP_OK) return;
    if (l->panels) {
        s->panels->pack(l->panels, w, false, c->threads);
        if (l->backward_panels) s->panels->pack(l->backward_panels, w, true, c->threads);
        if (l->rows) narrow(c, l->out * l->in, w, l->rows);
        return;
    }
    const char *source = rounded(c, l, w);
    if (!source) return;
    for (int i = 0; i < l->blocks; i++) {
        const char *block = source + (size_t)(i * l->block * l->in) * dtype_size(gemm_input(s->gemm));
        if (gemm_matrix_set(s->gemm, l->forward[i], block, 1, l->in, &c->failure) != ESP_OK) return;
    }
    if (l->backward) gemm_matrix_set(s->gemm, l->backward, source, l->in, 1, &c->failure);
}

/* A product with a matrix in blocks: each block's columns through scratch. */
static void forward_blocks(compute *c, const linear *l, int64_t m, const void *x, void *y, dtype y_type,
                           bool accumulate) {
    cpu_state *s = state_of(c);
    float *tile = cpu_scratch(c, SCRATCH_LOGITS, (size_t)(m * l->block) * sizeof(float));
    for (int b = 0; tile && b < l->blocks; b++) {
        int64_t n = b + 1 < l->blocks ? l->block : l->out - b * l->block;
        if (gemm_multiply(s->gemm, l->forward[b], m, x, tile, DTYPE_F32, false, &c->failure) != ESP_OK)
            return;
        for (int64_t r = 0; r < m; r++) {
            char *to = (char *)y + (size_t)(r * l->out + b * l->block) * dtype_size(y_type);
            if (accumulate)
                s->kernels->add(n, tile + r * n, (float *)(void *)to);
            else
                s->kernels->to_act(y_type, n, tile + r * n, to);
        }
    }
}

void cpu_linear_forward(compute *c, const linear *l, int64_t m, const void *x, void *y, dtype y_type,
                        bool accumulate) {
    cpu_state *s = state_of(c);
    if (m == 0 || c->failure.code != ESP_OK) return;
    if (l->panels) {
        panel_result result = y_type == DTYPE_BF16 ? PANEL_NARROW : accumulate ? PANEL_ADD : PANEL_STORE;
        s->panels->multiply(l->panels, m, x, y, result, s->fetch, c->threads);
        return;
    }
    x = cpu_product_input(c, SCRATCH_WIDE_X, m * l->in, x);
    if (!x) return;
    if (l->blocks > 1) {
        forward_blocks(c, l, m, x, y, y_type, accumulate);
    } else if (y_type == DTYPE_BF16 && gemm_input(s->gemm) == DTYPE_F32) {
        float *wide = cpu_scratch(c, SCRATCH_WIDE_Y, (size_t)(m * l->out) * sizeof(float));
        if (wide &&
            gemm_multiply(s->gemm, l->forward[0], m, x, wide, DTYPE_F32, false, &c->failure) == ESP_OK)
            narrow(c, m * l->out, wide, y);
    } else {
        gemm_multiply(s->gemm, l->forward[0], m, x, y, y_type, accumulate, &c->failure);
    }
}

void cpu_linear_gate(compute *c, const linear *l, gate_kind kind, int64_t m, const void *x, void *gate_up,
                     bool keep, void *h) {
    cpu_state *s = state_of(c);
    if (m == 0 || c->failure.code != ESP_OK) return;
    if (l->panels && l->panels->gated) {
        assert(kind == GATE_SILU);
        s->panels->multiply_gated(l->panels, m, x, keep ? gate_up : NULL, h, s->fetch, c->threads);
        cpu_prefetch(c);
        return;
    }
    cpu_linear_forward(c, l, m, x, gate_up, c->act, false);
    if (c->failure.code == ESP_OK) cpu_gate(c, kind, m, l->out / 2, gate_up, h);
}

/* Columns first .. first + n - 1 of dy[m, width], as a matrix of their own. */
static const void *columns_of(compute *c, const void *dy, int64_t m, int64_t width, int64_t first, int64_t n,
                              size_t size) {
    if (n == width) return dy;
    char *to = cpu_scratch(c, SCRATCH_ADAPTER, (size_t)(m * n) * size);
    for (int64_t r = 0; to && r < m; r++)
        memcpy(to + (size_t)(r * n) * size, (const char *)dy + (size_t)(r * width + first) * size,
               (size_t)n * size);
    return to;
}

/* The backward product of a frozen matrix: some rows of it at a time are turned into scratch. The sums have
 * the bits of a packing of its own. */
static void backward_turned_panels(compute *c, const linear *l, int64_t m, const void *dy, float *dx) {
    cpu_state *s = state_of(c);
    int64_t most = l->panels->gated || l->out < TURNED_ROWS ? l->out : TURNED_ROWS;
    for (int64_t first = 0; first < l->out; first += most) {
        int64_t rows = l->out - first < most ? l->out - first : most;
        int64_t words = (l->in + PANEL_COLUMNS - 1) / PANEL_COLUMNS * PANEL_COLUMNS * (rows / 2);
        panel_matrix turned = {.k = rows, .n = l->in};
        turned.words = cpu_scratch(c, SCRATCH_TURNED, (size_t)words * sizeof *turned.words);
        const void *part = columns_of(c, dy, m, l->out, first, rows, sizeof(uint16_t));
        if (!turned.words || !part) return;
        s->panels->turn(l->panels, first, &turned, c->threads);
        s->panels->multiply(&turned, m, part, dx, first ? PANEL_GO_ON : PANEL_STORE, NULL, c->threads);
    }
}

static void backward_turned(compute *c, const linear *l, int64_t m, const void *dy, float *dx) {
    cpu_state *s = state_of(c);
    size_t size = dtype_size(gemm_input(s->gemm));
    for (int b = 0; b < l->blocks && c->failure.code == ESP_OK; b++) {
        int64_t n = b + 1 < l->blocks ? l->block : l->out - b * l->block;
        void *plain = cpu_scratch(c, SCRATCH_TURNED, (size_t)(n * l->in) * size);
        const void *part = columns_of(c, dy, m, l->out, b * l->block, n, size);
        if (plain && part)
            gemm_multiply_turned(s->gemm, l->forward[b], m, part, dx, b > 0, plain, &c->failure);
    }
}

void cpu_linear_backward_input(compute *c, const linear *l, int64_t m, const void *dy, float *dx) {
    cpu_state *s = state_of(c);
    if (m == 0 || c->failure.code != ESP_OK) return;
    if (l->backward_panels) {
        s->panels->multiply(l->backward_panels, m, dy, dx, PANEL_STORE, NULL, c->threads);
        return;
    }
    if (l->panels) {
        backward_turned_panels(c, l, m, dy, dx);
        return;
    }
    dy = cpu_product_input(c, SCRATCH_WIDE_X, m * l->out, dy);
    if (dy && !l->backward)
        backward_turned(c, l, m, dy, dx);
    else if (dy)
        gemm_multiply(s->gemm, l->backward, m, dy, dx, DTYPE_F32, false, &c->failure);
}

void cpu_multiply_transposed(compute *c, int64_t k, int64_t m, int64_t n, const void *a, const void *b,
                             float *to) {
    cpu_state *s = state_of(c);
    if (takes_panels(s, m, n)) {
        void *packed = cpu_scratch(c, SCRATCH_PAIRS, s->panels->transposed_room(k, m, n));
        if (packed) s->panels->multiply_transposed(k, m, n, a, b, to, packed, c->threads);
        return;
    }
    a = cpu_product_input(c, SCRATCH_WIDE_Y, k * m, a);
    b = cpu_product_input(c, SCRATCH_WIDE_X, k * n, b);
    if (a && b) gemm_multiply_transposed(s->gemm, k, m, n, a, b, to, &c->failure);
}

void cpu_linear_backward_weight(compute *c, int64_t m, int64_t out, int64_t in, const void *dy, const void *x,
                                float *dw) {
    if (m == 0 || c->failure.code != ESP_OK) return;
    cpu_multiply_transposed(c, m, out, in, dy, x, dw);
}

void cpu_embed_gather(compute *c, const linear *table, const compute_pass *pass, float *x) {
    cpu_state *s = state_of(c);
    if (c->failure.code != ESP_OK) return;
    size_t row = (size_t)table->in * dtype_size(c->act);
    const int32_t *ids = pass->plan.ids;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t t = 0; t < pass->plan.tokens; t++)
        s->kernels->widen(c->act, table->in, (const char *)table->rows + (size_t)ids[t] * row,
                          x + t * table->in);
}

/* A thread takes the ids that fall to it, in order of t: the sums do not depend on the number of threads. */
void cpu_embed_scatter(compute *c, const compute_pass *pass, int64_t width, const float *dx, float *dw) {
    const int32_t *ids = pass->plan.ids;
    int64_t tokens = pass->plan.tokens;
    cpu_state *s = state_of(c);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int part = 0; part < c->threads; part++)
        for (int64_t t = 0; t < tokens; t++)
            if (ids[t] % c->threads == part)
                s->kernels->add(width, dx + t * width, dw + (int64_t)ids[t] * width);
}
