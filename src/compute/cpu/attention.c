/* Attention: cut into units of work (some queries of a span, one key/value head), which threads take as they
 * come. A unit's results are its own, and gradients of keys and values are summed in parts whose number does
 * not depend on the threads, so the bits do not either. */
#include "base/memory.h"
#include "compute/cpu/cpu.h"
#include "compute/host.h"

#include <assert.h>
#include <omp.h>
#include <string.h>

enum {
    UNIT_ROWS = 48,      /* queries times heads of the group in a unit, about */
    WIDE_ROWS = 96,      /* the same for wide heads' forward pass */
    PREFETCH_KEYS = 192, /* of the next block, that are fetched while this one is worked on, at most */
    LINE_BYTES = 64,
    GRADIENT_PARTS = 4, /* private sums of dk and dv */
    PART_QUERIES = 64,  /* fewer parts where they would have fewer queries than this */
};

static bool is_wide(const pass_plan *p) {
    return p->head_width % WIDE_HEAD == 0;
}

/* Queries in a block of at most `rows` rows. Wide heads take decoded queries one by one. */
static int block_size(const pass_plan *p, const attention_span *span, int rows) {
    int group = p->heads / p->kv_heads;
    if (is_wide(p) && span->decoded) return 1;
    return rows / group > 0 ? rows / group : 1;
}

/* The spans' queries in blocks of at most `rows` rows, of a span as even as can be. A small block of wide
 * heads is a decoded query, and of narrow ones, which have one way alone, any single query. */
static query_blocks cut_queries(const pass_plan *p, int rows) {
    int64_t most = 0;
    for (int64_t s = 0; s < p->span_count; s++) {
        int size = block_size(p, &p->spans[s], rows);
        most += (p->spans[s].queries + size - 1) / size;
    }
    query_blocks blocks = {.at = MEM_ARRAY(query_block, most)};
    int group = p->heads / p->kv_heads;
    for (int64_t s = 0; s < p->span_count; s++) {
        int size = block_size(p, &p->spans[s], rows);
        if (size * group > blocks.rows) blocks.rows = size * group;
        int n = p->spans[s].queries, parts = (n + size - 1) / size;
        for (int part = 0; part < parts; part++) {
            int first = n * part / parts, end = n * (part + 1) / parts;
            bool small = is_wide(p) ? p->spans[s].decoded : end - first == 1;
            blocks.at[blocks.count++] = (query_block){s, first, end - first, small};
        }
    }
    return blocks;
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
 * prefetched while the block before is worked on. */
static void prefetch_keys(const compute *c, const attention_span *span, const attention_segment *segments,
                          int64_t row_width, const void *k, const void *v) {
    int64_t row = row_width * (int64_t)dtype_size(c->act), left = PREFETCH_KEYS;
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

/* The units of a forward pass. First the large ones, so that threads end together: a block of many queries is
 * a unit for each head of keys and values, and one head's blocks come one after another, as neighbours often
 * read the same keys; the last queries of a span before its first, which see fewer keys. Then small
 * blocks, with all heads, whose keys are side by side, or a unit for each head where there would be few. */
static void order_units(compute *c, compute_pass *pass) {
    enum { UNITS_PER_THREAD = 4 }; /* fewer would not come out even */
    const pass_plan *p = &pass->plan;
    query_blocks cut = cut_queries(p, is_wide(p) ? WIDE_ROWS : UNIT_ROWS);
    pass->blocks = cut;
    pass->blocks.at = MEM_ARRAY(query_block, cut.count);
    for (int64_t b = 0; b < cut.count; b++) pass->large += !cut.at[b].small;
    int64_t to_large = pass->large, to_small = pass->large;
    for (int64_t b = 0; b < cut.count; b++)
        pass->blocks.at[cut.at[b].small ? to_small++ : --to_large] = cut.at[b];
    pass->together = cut.count - pass->large >= UNITS_PER_THREAD * c->threads ? p->kv_heads : 1;
    mem_free(cut.at);
}

/* The threads' shares of the pass's units: [large, small][threads]. */
static unit_stretch *deal_units(compute *c, const compute_pass *pass) {
    unit_stretch *stretch = cpu_scratch(c, SCRATCH_QUEUE, 2 * (size_t)c->threads * sizeof(unit_stretch));
    if (!stretch) return NULL;
    int64_t large = pass->large * pass->plan.kv_heads;
    int64_t small = (pass->blocks.count - pass->large) * (pass->plan.kv_heads / pass->together);
    for (int thread = 0; thread < c->threads; thread++) {
        unit_stretch *first = &stretch[thread], *then = first + c->threads;
        cpu_part(large, 1, thread, c->threads, &first->next, &first->end);
        cpu_part(small, 1, thread, c->threads, &then->next, &then->end);
        then->next += large;
        then->end += large;
    }
    return stretch;
}

typedef struct {
    const query_block *block;
    int kv_head, kv_heads;
} queued_unit;

static queued_unit unit_at(const compute_pass *pass, int64_t u) {
    int64_t large = pass->large * pass->plan.kv_heads, parts = pass->plan.kv_heads / pass->together;
    if (u < large) return (queued_unit){&pass->blocks.at[u % pass->large], (int)(u / pass->large), 1};
    return (queued_unit){&pass->blocks.at[pass->large + (u - large) / parts], (int)((u - large) % parts),
                         pass->together};
}

/* A unit for the thread, and the one that it will most likely take next (block NULL: none); false where all
 * are taken. */
static bool take_unit(const compute_pass *pass, unit_stretch *stretch, int thread, int threads,
                      queued_unit *now, queued_unit *then) {
    for (int i = 0; i < 2 * threads; i++) {
        unit_stretch *s = &stretch[i / threads * threads + (thread + i) % threads];
        if (__atomic_load_n(&s->next, __ATOMIC_RELAXED) >= s->end) continue;
        int64_t u = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED);
        if (u >= s->end) continue;
        *now = unit_at(pass, u);
        *then = u + 1 < s->end ? unit_at(pass, u + 1) : (queued_unit){.block = NULL};
        return true;
    }
    return false;
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
 * before has too. Returns their bytes; ends with the segment that passes `most`. */
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

/* The layer whose keys are pool k; -1: not known. */
static int layer_of(const pass_plan *p, const void *k) {
    for (int l = 0; p->k && l < p->layers; l++)
        if (p->k[l] == k) return l;
    return -1;
}

/* After a layer's attention, that of the next one comes. */
static void plan_prefetch(compute *c, const compute_pass *pass, const void *k) {
    cpu_state *s = state_of(c);
    int layer = layer_of(&pass->plan, k);
    if (layer < 0) return;
    s->fetch_pass = pass;
    s->fetch_layer = layer + 1 < pass->plan.layers ? layer + 1 : -1;
}

void cpu_prefetch(compute *c) {
    cpu_state *s = state_of(c);
    int layer = s->fetch_layer;
    s->fetch_layer = -1;
    s->fetch = NULL;
    if (layer < 0 || !s->panels) return;
    const pass_plan *p = &s->fetch_pass->plan;
    int64_t row = (int64_t)p->kv_heads * p->head_width * (int64_t)dtype_size(c->act), begin, end;
    size_t lists = (size_t)c->threads * sizeof(panel_fetch);
    panel_fetch *fetch =
        cpu_scratch(c, SCRATCH_FETCH, lists + (size_t)s->fetch_pass->pieces * sizeof(panel_piece));
    if (!fetch) return;
    panel_piece *piece = (panel_piece *)(void *)((char *)fetch + lists);
    for (int thread = 0; thread < c->threads; thread++) {
        int64_t room = s->fetch_most / c->threads;
        fetch[thread] = (panel_fetch){.pieces = piece};
        cpu_part(p->span_count, 1, thread, c->threads, &begin, &end);
        for (int64_t i = begin; i < end; i++)
            room -= fetch_span(&fetch[thread], &p->spans[i], i > begin ? &p->spans[i - 1] : NULL, p->segments,
                               row, room, p->k[layer], p->v[layer]);
        piece += fetch[thread].count;
    }
    s->fetch = fetch;
}

/* What is the same for every unit. */
static attention_unit units_of(compute *c, const pass_plan *p, int64_t window, const float *q, const void *k,
                               const void *v) {
    return (attention_unit){.act = c->act,
                            .heads = p->heads,
                            .kv_heads = p->kv_heads,
                            .head_width = p->head_width,
                            .segments = p->segments,
                            .window = window,
                            .q = q,
                            .k = k,
                            .v = v};
}

void cpu_attention(compute *c, const compute_pass *pass, int64_t window, const float *q, const void *k,
                   const void *v, void *out, float *lse) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    const pass_plan *p = &pass->plan;
    const attention_unit all = units_of(c, p, window, q, k, v);
    bool wide = is_wide(p) && !window; /* as the kernels choose */
    state_of(c)->fetch = NULL;
    plan_prefetch(c, pass, k);
    unit_stretch *stretch = deal_units(c, pass);
    size_t each = kernels->attention_scratch(pass->blocks.rows, p->kv_heads, p->head_width, false) + 64;
    float *scratch = cpu_scratch(c, SCRATCH_THREADS, each * (size_t)c->threads * sizeof(float));
    if (!stretch || !scratch) return;
#pragma omp parallel num_threads(c->threads)
    {
        int thread = omp_get_thread_num();
        queued_unit now, then;
        while (take_unit(pass, stretch, thread, c->threads, &now, &then)) {
            attention_unit unit =
                block_unit(&all, now.block, p->spans, now.kv_head, scratch + each * (size_t)thread);
            if (wide) {
                unit.kv_head_count = now.kv_heads;
                if (then.block) unit.then = &p->spans[then.block->span];
                kernels->attention(&unit, out, lse);
                continue;
            }
            if (then.block && now.kv_heads == p->kv_heads)
                prefetch_keys(c, &p->spans[then.block->span], p->segments,
                              (int64_t)p->kv_heads * p->head_width, k, v);
            for (; unit.kv_head < now.kv_head + now.kv_heads; unit.kv_head++)
                kernels->attention(&unit, out, lse);
        }
    }
}

/* The pool's rows that the spans touch, and how many queries they have. */
static void measure_spans(compute_pass *pass) {
    const pass_plan *p = &pass->plan;
    int64_t first = INT64_MAX, last = 0;
    for (int64_t s = 0; s < p->span_count; s++) {
        pass->queries += p->spans[s].queries;
        pass->pieces += 2 * p->spans[s].segments;
        for (int32_t i = 0; i < p->spans[s].segments; i++) {
            const attention_segment *g = &p->segments[p->spans[s].first_segment + i];
            if (g->slot < first) first = g->slot;
            if (g->slot + g->count > last) last = g->slot + g->count;
        }
    }
    pass->first_row = first < last ? first : 0;
    pass->last_row = first < last ? last : 0;
}

compute_pass *cpu_pass_new(compute *c, const pass_plan *plan) {
    cpu_state *s = state_of(c);
    pass_plan copy;
    compute_pass *pass = host_plan_copy(plan, sizeof *pass, &copy);
    pass->plan = copy;
    measure_spans(pass);
    order_units(c, pass);
    if (plan->backward) pass->back = cut_queries(&pass->plan, UNIT_ROWS);
    if (plan->k && plan->layers > 0) {
        s->fetch_pass = pass;
        s->fetch_layer = 0;
        cpu_prefetch(c);
    }
    return pass;
}

void cpu_pass_free(compute *c, compute_pass *pass) {
    cpu_state *s = state_of(c);
    if (!pass) return;
    if (s->fetch_pass == pass) {
        s->fetch_pass = NULL;
        s->fetch = NULL;
        s->fetch_layer = -1;
    }
    mem_free(pass->blocks.at);
    mem_free(pass->back.at);
    mem_free(pass);
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

void cpu_attention_backward(compute *c, const compute_pass *pass, int64_t window, const float *q,
                            const void *k, const void *v, const void *out, const float *lse,
                            const float *dout, float *dq, float *dk, float *dv) {
    const cpu_kernels *kernels = state_of(c)->kernels;
    const pass_plan *p = &pass->plan;
    const attention_unit all = units_of(c, p, window, q, k, v);
    const query_blocks blocks = pass->back;
    int64_t first = pass->first_row, last = pass->last_row;
    int kv_heads = p->kv_heads, head_width = p->head_width;
    assert(p->backward);
    if (blocks.count == 0) return;
    int parts = (int)(pass->queries / PART_QUERIES);
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
            attention_unit unit = block_unit(&all, &blocks.at[n], p->spans, i % kv_heads,
                                             scratch + each * (size_t)omp_get_thread_num());
            kernels->attention_backward(&unit, &d);
        }
    }
    add_parts(c, parts, kv_heads, head_width, first, last - first, sums, dk, dv);
}
