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

/* Queries first .. first + count - 1 of a span. */
typedef struct {
    int64_t span;
    int first, count;
} query_block;

typedef struct {
    query_block *at;
    int64_t count;
    int rows; /* of the largest */
} query_blocks;

/* The spans' queries in blocks of at most `rows` rows, of a span as even as can be. */
static bool cut_queries(compute *c, int group, const attention_span *spans, int64_t span_count, int rows,
                        query_blocks *blocks) {
    int size = rows / group > 0 ? rows / group : 1;
    int64_t most = 0;
    for (int64_t s = 0; s < span_count; s++) most += (spans[s].queries + size - 1) / size;
    blocks->count = 0;
    blocks->rows = size * group;
    blocks->at = cpu_scratch(c, SCRATCH_UNITS, (size_t)most * sizeof(query_block));
    if (!blocks->at) return false;
    for (int64_t s = 0; s < span_count; s++) {
        int n = spans[s].queries, parts = (n + size - 1) / size;
        for (int part = 0; part < parts; part++) {
            int first = n * part / parts, end = n * (part + 1) / parts;
            blocks->at[blocks->count++] = (query_block){.span = s, .first = first, .count = end - first};
        }
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
    unit.scratch = scratch;
    return unit;
}

/* A decoding step reads keys once each, in pieces too short for the processor to see a stream in: they are
 * asked for while the block before is worked on. */
static void fetch_ahead(const compute *c, const attention_span *span, const attention_segment *segments,
                        int64_t row_width, const void *k, const void *v) {
    int64_t row = row_width * (int64_t)dtype_size(c->act), left = AHEAD_KEYS;
    for (int32_t i = 0; i < span->segments && left > 0; i++) {
        const attention_segment *piece = &segments[span->first_segment + i];
        int64_t keys = piece->count < left ? piece->count : left;
        for (int64_t at = 0; at < keys * row; at += LINE_BYTES) {
            __builtin_prefetch((const char *)k + piece->slot * row + at);
            __builtin_prefetch((const char *)v + piece->slot * row + at);
        }
        left -= keys;
    }
}

/* A thread's part of some units of work: those from `next` on, taken by it in their order, and by others that
 * have come to the end of theirs. */
typedef struct {
    _Alignas(LINE_BYTES) int64_t next;
    int64_t end;
} unit_stretch;

/* The units of a forward pass. First the large ones, so that threads end together: a block of many queries is
 * a unit for each head of keys and values, and one head's blocks come one after another, as neighbours often
 * read the same keys; the last queries of a span before its first, which see fewer keys. Then blocks of one
 * query, with all heads, whose keys lie side by side, or a unit for each head where there would be few. */
typedef struct {
    query_blocks blocks;    /* those of many queries first */
    int64_t many;           /* of them */
    int kv_heads, together; /* heads of a unit behind those */
    unit_stretch *stretch;  /* [large, small][threads] */
} attention_queue;

typedef struct {
    const query_block *block;
    int kv_head, kv_heads;
} queued_unit;

static bool queue_attention(compute *c, int heads, int kv_heads, int head_width, const attention_span *spans,
                            int64_t span_count, attention_queue *q) {
    enum { UNITS_A_THREAD = 4 }; /* fewer would not come out even */
    bool wide = head_width % WIDE_HEAD == 0;
    query_blocks cut;
    if (!cut_queries(c, heads / kv_heads, spans, span_count, wide ? WIDE_ROWS : UNIT_ROWS, &cut))
        return false;
    size_t stretches = 2 * (size_t)c->threads * sizeof(unit_stretch);
    char *room = cpu_scratch(c, SCRATCH_QUEUE, stretches + (size_t)cut.count * sizeof *cut.at);
    if (!room) return false;
    *q = (attention_queue){.blocks = cut, .kv_heads = kv_heads, .stretch = (unit_stretch *)(void *)room};
    q->blocks.at = (query_block *)(void *)(room + stretches);
    for (int64_t b = 0; b < cut.count; b++) q->many += cut.at[b].count > 1;
    int64_t to_many = q->many, to_one = q->many;
    for (int64_t b = 0; b < cut.count; b++)
        q->blocks.at[cut.at[b].count > 1 ? --to_many : to_one++] = cut.at[b];
    int64_t ones = cut.count - q->many;
    q->together = ones >= UNITS_A_THREAD * c->threads ? kv_heads : 1;
    int64_t large = q->many * kv_heads, small = ones * (kv_heads / q->together);
    for (int thread = 0; thread < c->threads; thread++) {
        unit_stretch *first = &q->stretch[thread], *then = first + c->threads;
        cpu_part(large, 1, thread, c->threads, &first->next, &first->end);
        cpu_part(small, 1, thread, c->threads, &then->next, &then->end);
        then->next += large;
        then->end += large;
    }
    return true;
}

static queued_unit unit_at(const attention_queue *q, int64_t u) {
    int64_t behind = u - q->many * q->kv_heads, parts = q->kv_heads / q->together;
    if (q->many > 0 && behind < 0) return (queued_unit){&q->blocks.at[u % q->many], (int)(u / q->many), 1};
    return (queued_unit){&q->blocks.at[q->many + behind / parts], (int)(behind % parts), q->together};
}

/* A unit for the thread, and the one that it will most likely be given next (block NULL: none); false where
 * all are taken. */
static bool take_unit(attention_queue *q, int thread, int threads, queued_unit *now, queued_unit *then) {
    for (int i = 0; i < 2 * threads; i++) {
        unit_stretch *s = &q->stretch[i / threads * threads + (thread + i) % threads];
        if (__atomic_load_n(&s->next, __ATOMIC_RELAXED) >= s->end) continue;
        int64_t u = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
        if (u >= s->end) continue;
        *now = unit_at(q, u);
        *then = u + 1 < s->end ? unit_at(q, u + 1) : (queued_unit){.block = NULL};
        return true;
    }
    return false;
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
    attention_queue queue;
    state_of(c)->fetch = NULL;
    if (!queue_attention(c, heads, kv_heads, head_width, spans, span_count, &queue)) return;
    size_t each = kernels->attention_scratch(queue.blocks.rows, kv_heads, head_width, false) + 64;
    float *scratch = cpu_scratch(c, SCRATCH_THREADS, each * (size_t)c->threads * sizeof(float));
    if (!scratch) return;
#pragma omp parallel num_threads(c->threads)
    {
        int thread = omp_get_thread_num();
        queued_unit now, then;
        while (take_unit(&queue, thread, c->threads, &now, &then)) {
            attention_unit unit =
                block_unit(&all, now.block, spans, now.kv_head, scratch + each * (size_t)thread);
            if (wide) {
                unit.kv_head_count = now.kv_heads;
                if (then.block) unit.then = &spans[then.block->span];
                kernels->attention(&unit, out, lse);
                continue;
            }
            if (then.block && now.kv_heads == kv_heads)
                fetch_ahead(c, &spans[then.block->span], segments, (int64_t)kv_heads * head_width, k, v);
            for (; unit.kv_head < now.kv_head + now.kv_heads; unit.kv_head++)
                kernels->attention(&unit, out, lse);
        }
    }
}

/* How many leading segments two spans have in common. */
static int32_t common_segments(const attention_span *a, const attention_span *b,
                               const attention_segment *segments) {
    int32_t n = 0;
    for (; n < a->segments && n < b->segments; n++) {
        const attention_segment *x = &segments[a->first_segment + n], *y = &segments[b->first_segment + n];
        if (x->slot != y->slot || x->count != y->count) break;
    }
    return n;
}

/* Adds a span's rows of k and v, `row` bytes each, to what is fetched, but for leading segments that the span
 * before has too. Returns their bytes; ends with the first segment behind `most`. */
static int64_t fetch_span(panel_fetch *f, const attention_span *span, const attention_span *last,
                          const attention_segment *segments, int64_t row, int64_t most, const char *k,
                          const char *v) {
    int32_t known = last ? common_segments(last, span, segments) : 0;
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

void cpu_attention_ahead(compute *c, int kv_heads, int head_width, const attention_span *spans,
                         int64_t span_count, const attention_segment *segments, const void *k,
                         const void *v) {
    cpu_state *s = state_of(c);
    s->fetch = NULL;
    if (!s->panels) return;
    int64_t pieces = 0, row = (int64_t)kv_heads * head_width * (int64_t)dtype_size(c->act), begin, end;
    for (int64_t i = 0; i < span_count; i++) pieces += 2 * spans[i].segments;
    size_t lists = (size_t)c->threads * sizeof(panel_fetch);
    panel_fetch *fetch = cpu_scratch(c, SCRATCH_FETCH, lists + (size_t)pieces * sizeof(panel_piece));
    if (!fetch) return;
    panel_piece *piece = (panel_piece *)(void *)((char *)fetch + lists);
    for (int thread = 0; thread < c->threads; thread++) {
        int64_t room = s->fetch_most / c->threads;
        fetch[thread] = (panel_fetch){.pieces = piece};
        cpu_part(span_count, 1, thread, c->threads, &begin, &end);
        for (int64_t i = begin; i < end; i++)
            room -= fetch_span(&fetch[thread], &spans[i], i > begin ? &spans[i - 1] : NULL, segments, row,
                               room, k, v);
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
    if (!cut_queries(c, heads / kv_heads, spans, span_count, UNIT_ROWS, &blocks) || blocks.count == 0) return;
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
