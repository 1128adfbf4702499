/* Attention: cut into units of work (some queries of a span, one key/value head), which threads take as they
 * come. A unit's results are its own, and gradients of keys and values are summed in parts whose number does
 * not depend on the threads, so the bits do not either. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <omp.h>
#include <string.h>

enum {
    UNIT_ROWS = 48,     /* queries times heads of the group in a unit, about */
    GRADIENT_PARTS = 4, /* private sums of dk and dv */
    PART_QUERIES = 64,  /* fewer parts where they would have fewer queries than this */
};

typedef struct {
    int64_t span;
    int first, count;
} query_block;

typedef struct {
    query_block *at;
    int64_t count;
    int rows; /* of the largest */
} query_blocks;

/* The spans' queries in blocks. */
static bool cut_queries(compute *c, int group, const attention_span *spans, int64_t span_count,
                        query_blocks *blocks) {
    int size = UNIT_ROWS / group > 0 ? UNIT_ROWS / group : 1;
    blocks->count = 0;
    blocks->rows = size * group;
    for (int64_t s = 0; s < span_count; s++) blocks->count += (spans[s].queries + size - 1) / size;
    blocks->at = cpu_scratch(c, SCRATCH_UNITS, (size_t)blocks->count * sizeof(query_block));
    if (!blocks->at) return false;
    int64_t n = 0;
    for (int64_t s = 0; s < span_count; s++)
        for (int first = 0; first < spans[s].queries; first += size) {
            int left = spans[s].queries - first;
            blocks->at[n++] = (query_block){s, first, left < size ? left : size};
        }
    return true;
}

void cpu_attention(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                   int64_t span_count, const attention_segment *segments, const float *q, const void *k,
                   const void *v, void *out, float *lse) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    query_blocks blocks;
    if (!cut_queries(c, heads / kv_heads, spans, span_count, &blocks)) return;
    size_t each = kernels->attention_scratch(blocks.rows, head_width, false) + 64;
    float *scratch = cpu_scratch(c, SCRATCH_THREADS, each * (size_t)c->threads * sizeof(float));
    if (!scratch) return;
#pragma omp parallel num_threads(c->threads)
    {
        float *own = scratch + each * (size_t)omp_get_thread_num();
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < blocks.count * kv_heads; i++) {
            const query_block *b = &blocks.at[i / kv_heads];
            attention_unit unit = {
                .act = c->act,
                .heads = heads,
                .kv_heads = kv_heads,
                .head_width = head_width,
                .span = &spans[b->span],
                .segments = segments + spans[b->span].first_segment,
                .q = q,
                .k = k,
                .v = v,
                .kv_head = (int)(i % kv_heads),
                .first = b->first,
                .count = b->count,
                .scratch = own,
            };
            kernels->attention(&unit, out, lse);
        }
    }
}

/* The pool's rows that the spans touch: [*first, *last). */
static void touched_rows(const attention_span *spans, int64_t span_count, const attention_segment *segments,
                         int64_t *first, int64_t *last) {
    *first = INT64_MAX;
    *last = 0;
    for (int64_t s = 0; s < span_count; s++)
        for (int32_t i = 0; i < spans[s].segments; i++) {
            const attention_segment *g = &segments[spans[s].first_segment + i];
            if (g->slot < *first) *first = g->slot;
            if (g->slot + g->count > *last) *last = g->slot + g->count;
        }
    if (*first > *last) *first = *last = 0;
}

/* Adds the parts' sums [part][kv head][k, v][row][E] to dk and dv, in order of parts. */
static void add_parts(compute *c, int parts, int kv_heads, int head_width, int64_t first, int64_t rows,
                      const float *sums, float *dk, float *dv) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    int64_t E = head_width, plane = rows * E;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int64_t r = 0; r < rows; r++)
        for (int g = 0; g < kv_heads; g++)
            for (int part = 0; part < parts; part++) {
                const float *from = sums + (int64_t)((part * kv_heads + g) * 2) * plane + r * E;
                int64_t to = ((first + r) * kv_heads + g) * E;
                kernels->add(E, from, dk + to);
                kernels->add(E, from + plane, dv + to);
            }
}

void cpu_attention_backward(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                            int64_t span_count, const attention_segment *segments, const float *q,
                            const void *k, const void *v, const void *out, const float *lse,
                            const float *dout, float *dq, float *dk, float *dv) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    query_blocks blocks;
    if (!cut_queries(c, heads / kv_heads, spans, span_count, &blocks) || blocks.count == 0) return;
    int64_t first, last, queries = 0;
    touched_rows(spans, span_count, segments, &first, &last);
    for (int64_t s = 0; s < span_count; s++) queries += spans[s].queries;
    int parts = (int)(queries / PART_QUERIES);
    if (parts > GRADIENT_PARTS) parts = GRADIENT_PARTS;
    if (parts < 1) parts = 1;
    int64_t plane = (last - first) * head_width;
    size_t each = kernels->attention_scratch(blocks.rows, head_width, true) + 64;
    float *scratch = cpu_scratch(c, SCRATCH_THREADS, each * (size_t)c->threads * sizeof(float));
    float *sums = cpu_scratch(c, SCRATCH_GRADIENT, (size_t)(parts * kv_heads * 2 * plane) * sizeof(float));
    if (!scratch || !sums) return;
#pragma omp parallel for num_threads(c->threads) schedule(dynamic)
    for (int i = 0; i < parts * kv_heads; i++) {
        float *own = sums + (int64_t)i * 2 * plane;
        memset(own, 0, (size_t)(2 * plane) * sizeof(float));
        attention_gradients d = {.out = out,
                                 .lse = lse,
                                 .dout = dout,
                                 .dq = dq,
                                 .dk = own,
                                 .dv = own + plane,
                                 .first_slot = first,
                                 .stride = head_width};
        for (int64_t n = i / kv_heads; n < blocks.count;
             n += parts) { /* every parts-th block: even in work */
            const query_block *b = &blocks.at[n];
            attention_unit unit = {
                .act = c->act,
                .heads = heads,
                .kv_heads = kv_heads,
                .head_width = head_width,
                .span = &spans[b->span],
                .segments = segments + spans[b->span].first_segment,
                .q = q,
                .k = k,
                .v = v,
                .kv_head = i % kv_heads,
                .first = b->first,
                .count = b->count,
                .scratch = scratch + each * (size_t)omp_get_thread_num(),
            };
            kernels->attention_backward(&unit, &d);
        }
    }
    add_parts(c, parts, kv_heads, head_width, first, last - first, sums, dk, dv);
}
