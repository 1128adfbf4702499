/* Attention: cut into units of work (some queries of a span, one key/value head), which threads take as they
 * come. A unit's results are its own, and gradients of keys and values are summed in parts whose number does
 * not depend on the threads, so the bits do not either. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"

#include <omp.h>
#include <string.h>

enum {
    UNIT_ROWS = 48,   /* queries times heads of the group in a unit, about */
    WIDE_ROWS = 96,   /* the same for wide heads' forward pass */
    AHEAD_KEYS = 192, /* of the block to come that are fetched while this one is worked on, at most */
    LINE_BYTES = 64,
    GRADIENT_PARTS = 4, /* private sums of dk and dv */
    PART_QUERIES = 64,  /* fewer parts where they would have fewer queries than this */
};

/* Queries first .. first + count - 1 of a span, or the only ones of `count` spans that share their first
 * segments. */
typedef struct {
    int64_t span;
    int first, count;
    bool many_spans;
    int32_t shared_segments, shared;
    int64_t cost;   /* block_cost; of the forward pass alone, as `before` */
    int64_t before; /* of all heads of the blocks before it */
} query_block;

typedef struct {
    query_block *at;
    int64_t count;
    int rows; /* of the largest */
} query_blocks;

/* How many leading segments, at most `most`, two spans have in common; their keys in *keys. */
static int32_t common_segments(const attention_span *a, const attention_span *b,
                               const attention_segment *segments, int32_t most, int32_t *keys) {
    int32_t n = 0;
    for (*keys = 0; n < most && n < b->segments; n++) {
        const attention_segment *x = &segments[a->first_segment + n], *y = &segments[b->first_segment + n];
        if (x->slot != y->slot || x->count != y->count) break;
        *keys += x->count;
    }
    return n;
}

/* Spans of one query from *b's on that share enough keys with its span to read them together: siblings in a
 * search. The own keys of a query are never shared. */
static void join_spans(const attention_span *spans, int64_t span_count, const attention_segment *segments,
                       int most, query_block *b) {
    const attention_span *first = &spans[b->span];
    int32_t common = first->segments - 1, shared = first->context;
    while (b->count < most && b->span + b->count < span_count) {
        const attention_span *next = &spans[b->span + b->count];
        int32_t keys, n = common_segments(first, next, segments, common, &keys);
        if (next->queries != 1 || n >= next->segments || keys < ATTENTION_KEYS || keys < shared / 2) break;
        common = n;
        shared = keys;
        b->count++;
    }
    b->many_spans = b->count > 1;
    b->shared_segments = common;
    b->shared = shared;
}

/* The spans' queries in blocks. `join`: also blocks of many spans. */
static bool cut_queries(compute *c, int group, const attention_span *spans, int64_t span_count,
                        const attention_segment *segments, int rows, bool join, query_blocks *blocks) {
    int size = rows / group > 0 ? rows / group : 1;
    int64_t most = 0;
    for (int64_t s = 0; s < span_count; s++) most += (spans[s].queries + size - 1) / size;
    blocks->count = 0;
    blocks->rows = size * group;
    blocks->at = cpu_scratch(c, SCRATCH_UNITS, (size_t)most * sizeof(query_block));
    if (!blocks->at) return false;
    for (int64_t s = 0; s < span_count;) {
        for (int first = 0; first < spans[s].queries; first += size) {
            int left = spans[s].queries - first;
            blocks->at[blocks->count++] =
                (query_block){.span = s, .first = first, .count = left < size ? left : size};
        }
        if (join && spans[s].queries == 1) {
            query_block *last = &blocks->at[blocks->count - 1];
            join_spans(spans, span_count, segments, size, last);
            s += last->count;
        } else
            s++;
    }
    return true;
}

/* A block's work for one key/value head; `all` holds what is the same for every unit. */
static attention_unit block_unit(const attention_unit *all, const query_block *b, const attention_span *spans,
                                 int kv_head, float *scratch) {
    attention_unit unit = *all;
    unit.span = &spans[b->span];
    unit.kv_head = kv_head;
    unit.kv_head_count = 1;
    unit.first = b->first;
    unit.count = b->count;
    unit.many_spans = b->many_spans;
    unit.shared_segments = b->shared_segments;
    unit.shared = b->shared;
    unit.scratch = scratch;
    return unit;
}

/* A decoding step reads keys once each, in pieces too short for the processor to see a stream in: they are
 * asked for while the block before is worked on. */
static void fetch_ahead(const compute *c, const query_block *b, const attention_span *spans,
                        const attention_segment *segments, int64_t row_width, const void *k, const void *v) {
    int64_t row = row_width * (int64_t)dtype_size(c->act), left = AHEAD_KEYS;
    for (int s = 0; s < (b->many_spans ? b->count : 1); s++) {
        const attention_span *span = &spans[b->span + s];
        for (int32_t i = s ? b->shared_segments : 0; i < span->segments && left > 0; i++) {
            const attention_segment *piece = &segments[span->first_segment + i];
            int64_t keys = piece->count < left ? piece->count : left;
            for (int64_t at = 0; at < keys * row; at += LINE_BYTES) {
                __builtin_prefetch((const char *)k + piece->slot * row + at);
                __builtin_prefetch((const char *)v + piece->slot * row + at);
            }
            left -= keys;
        }
    }
}

/* About how long a block takes, for one key/value head: fetching a key, and a product with it for every row.
 */
static int64_t block_cost(const query_block *b, const attention_span *spans, int group) {
    enum { FETCH = 5 }; /* of a key, in rows; measured on Zen 5 */
    const attention_span *span = &spans[b->span];
    int64_t rows = (int64_t)b->count * group;
    if (!b->many_spans) return (span->context - span->queries + b->first + b->count) * (FETCH + rows);
    int64_t cost = b->shared * (FETCH + rows);
    for (int i = 0; i < b->count; i++) cost += (span[i].context - b->shared) * (FETCH + group);
    return cost;
}

/* Who does what of a forward pass: units of work are the heads of keys and values of the first block, then
 * of the second, and each thread has a stretch of them that costs as much as every other's. The heads of a
 * block that are one thread's are taken together, as their keys lie side by side. */
typedef struct {
    query_blocks blocks;
    int kv_heads;
    int64_t total; /* cost of all units */
} attention_plan;

static bool plan_attention(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                           int64_t span_count, const attention_segment *segments, attention_plan *plan) {
    int group = heads / kv_heads;
    bool wide = head_width % WIDE_HEAD == 0;
    if (!cut_queries(c, group, spans, span_count, segments, wide ? WIDE_ROWS : UNIT_ROWS, true,
                     &plan->blocks))
        return false;
    plan->kv_heads = kv_heads;
    plan->total = 0;
    for (int64_t b = 0; b < plan->blocks.count; b++) {
        plan->blocks.at[b].before = plan->total;
        plan->blocks.at[b].cost = block_cost(&plan->blocks.at[b], spans, group);
        plan->total += plan->blocks.at[b].cost * kv_heads;
    }
    return true;
}

/* The first of a block's heads that lie behind `cost`, by their middle. */
static int head_behind(const attention_plan *plan, const query_block *b, int64_t cost) {
    if (cost <= b->before) return 0;
    int64_t head = (2 * (cost - b->before) + b->cost) / (2 * b->cost);
    return head < plan->kv_heads ? (int)head : plan->kv_heads;
}

/* The heads of a block that are a thread's: [*first, *first + the result). */
static int heads_of(const attention_plan *plan, const query_block *b, int thread, int threads, int *first) {
    *first = head_behind(plan, b, plan->total * thread / threads);
    return head_behind(plan, b, plan->total * (thread + 1) / threads) - *first;
}

void cpu_attention(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                   int64_t span_count, const attention_segment *segments, const float *q, const void *k,
                   const void *v, void *out, float *lse) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    const attention_unit all = {.act = c->act,
                                .heads = heads,
                                .kv_heads = kv_heads,
                                .head_width = head_width,
                                .segments = segments,
                                .q = q,
                                .k = k,
                                .v = v};
    bool wide = head_width % WIDE_HEAD == 0;
    attention_plan plan;
    state_of(c)->fetch = NULL;
    if (!plan_attention(c, heads, kv_heads, head_width, spans, span_count, segments, &plan)) return;
    const query_blocks *blocks = &plan.blocks;
    size_t each = kernels->attention_scratch(blocks->rows, kv_heads, head_width, false) + 64;
    float *scratch = cpu_scratch(c, SCRATCH_THREADS, each * (size_t)c->threads * sizeof(float));
    if (!scratch) return;
#pragma omp parallel num_threads(c->threads)
    {
        int thread = omp_get_thread_num(), threads = omp_get_num_threads(), first;
        float *own = scratch + each * (size_t)thread;
        for (int64_t b = 0; b < blocks->count; b++) {
            int count = heads_of(&plan, &blocks->at[b], thread, threads, &first);
            if (count == 0) continue;
            attention_unit unit = block_unit(&all, &blocks->at[b], spans, first, own);
            bool more = b + 1 < blocks->count;
            if (wide) {
                unit.kv_head_count = count;
                if (more) unit.then = &spans[blocks->at[b + 1].span];
                kernels->attention(&unit, out, lse);
                continue;
            }
            if (more && count == kv_heads)
                fetch_ahead(c, &blocks->at[b + 1], spans, segments, (int64_t)kv_heads * head_width, k, v);
            for (; unit.kv_head < first + count; unit.kv_head++) kernels->attention(&unit, out, lse);
        }
    }
}

/* Adds a span's rows of k and v, `row` bytes each, to what is fetched, but for leading segments that the span
 * before has too. Returns their bytes; ends with the first segment behind `most`. */
static int64_t fetch_span(panel_fetch *f, const attention_span *span, const attention_span *last,
                          const attention_segment *segments, int64_t row, int64_t most, const char *k,
                          const char *v) {
    int32_t keys, known = last ? common_segments(last, span, segments, last->segments, &keys) : 0;
    int64_t sum = 0;
    for (int32_t i = known; i < span->segments && sum < most; i++) {
        const attention_segment *g = &segments[span->first_segment + i];
        int64_t bytes = g->count * row, at = g->slot * row;
        f->pieces[f->count++] = (panel_piece){k + at, bytes};
        f->pieces[f->count++] = (panel_piece){v + at, bytes};
        sum += 2 * bytes;
    }
    return sum;
}

void cpu_attention_ahead(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                         int64_t span_count, const attention_segment *segments, const void *k,
                         const void *v) {
    cpu_state *s = state_of(c);
    attention_plan plan;
    s->fetch = NULL;
    if (!s->panels || !plan_attention(c, heads, kv_heads, head_width, spans, span_count, segments, &plan))
        return;
    int64_t pieces = 0, row = (int64_t)kv_heads * head_width * (int64_t)dtype_size(c->act);
    for (int64_t i = 0; i < span_count; i++) pieces += 2 * spans[i].segments;
    size_t lists = (size_t)c->threads * sizeof(panel_fetch);
    panel_fetch *fetch = cpu_scratch(c, SCRATCH_FETCH, lists + (size_t)pieces * sizeof(panel_piece));
    if (!fetch) return;
    panel_piece *piece = (panel_piece *)(void *)((char *)fetch + lists);
    int64_t b = 0;
    for (int thread = 0; thread < c->threads; thread++) {
        const attention_span *last = NULL;
        int64_t room = s->fetch_most / c->threads, end = plan.total * (thread + 1) / c->threads;
        fetch[thread] = (panel_fetch){.pieces = piece};
        /* A block that two threads share is asked for by the first of them. */
        for (; b < plan.blocks.count && plan.blocks.at[b].before < end; b++) {
            const query_block *block = &plan.blocks.at[b];
            for (int i = 0; i < (block->many_spans ? block->count : 1); i++) {
                const attention_span *span = &spans[block->span + i];
                if (span != last) room -= fetch_span(&fetch[thread], span, last, segments, row, room, k, v);
                last = span;
            }
        }
        piece += fetch[thread].count;
    }
    s->fetch = fetch;
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
    const attention_unit all = {.act = c->act,
                                .heads = heads,
                                .kv_heads = kv_heads,
                                .head_width = head_width,
                                .segments = segments,
                                .q = q,
                                .k = k,
                                .v = v};
    query_blocks blocks;
    if (!cut_queries(c, heads / kv_heads, spans, span_count, segments, UNIT_ROWS, false, &blocks) ||
        blocks.count == 0)
        return;
    int64_t first, last, queries = 0;
    touched_rows(spans, span_count, segments, &first, &last);
    for (int64_t s = 0; s < span_count; s++) queries += spans[s].queries;
    int parts = (int)(queries / PART_QUERIES);
    if (parts > GRADIENT_PARTS) parts = GRADIENT_PARTS;
    if (parts < 1) parts = 1;
    int64_t plane = (last - first) * head_width;
    size_t each = kernels->attention_scratch(blocks.rows, 1, head_width, true) + 64;
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
            attention_unit unit = block_unit(&all, &blocks.at[n], spans, i % kv_heads,
                                             scratch + each * (size_t)omp_get_thread_num());
            kernels->attention_backward(&unit, &d);
        }
    }
    add_parts(c, parts, kv_heads, head_width, first, last - first, sums, dk, dv);
}
