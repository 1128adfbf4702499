#include "compute/host.h"

#include "base/memory.h"

#include <string.h>

enum {
    /* Replicas of a small model pay where its bf16 weights stay in the last cache, which all cores share, and
     * the keys and values in use in a core's own. Sizes that most processors have; they are not asked for, as
     * the cutting of trees, and with it the rounding of gradients, would then depend on the machine. */
    SHARED_CACHE = 16 << 20,
    CORE_CACHE = 1 << 20,
};

compute_traits host_traits(int threads) {
    return (compute_traits){.host_memory = true,
                            .trains = true,
                            .replicas = threads,
                            .cache_bytes = SHARED_CACHE,
                            .core_cache_bytes = CORE_CACHE};
}

void *host_buffer_new(compute *c, size_t bytes, const char *what) {
    void *buffer;
    return mem_big_alloc(&buffer, bytes, what, &c->failure) == ESP_OK ? buffer : NULL;
}

void host_buffer_free(compute *c, void *buffer) {
    (void)c;
    mem_big_free(buffer);
}

void host_put(compute *c, void *to, const void *from, size_t bytes) {
    host_copy(c, to, from, bytes);
}

void host_get(compute *c, void *to, const void *from, size_t bytes) {
    host_copy(c, to, from, bytes);
}

void host_copy(compute *c, void *to, const void *from, size_t bytes) {
    (void)c;
    if (bytes) memcpy(to, from, bytes);
}

void host_zero(compute *c, void *at, size_t bytes) {
    (void)c;
    if (bytes) memset(at, 0, bytes);
}

void host_rows_pick(compute *c, int64_t n, const int64_t *rows, size_t row_bytes, const void *from,
                    void *to) {
    (void)c;
    for (int64_t i = 0; i < n; i++)
        memcpy((char *)to + (size_t)i * row_bytes, (const char *)from + (size_t)rows[i] * row_bytes,
               row_bytes);
}

/* Copies n bytes to the end of what is used of `room` (NULL: counts them only); NULL stays NULL. */
static void *append(char *room, size_t *used, const void *from, size_t n) {
    if (!from) return NULL;
    char *to = room ? room + *used : NULL;
    if (to && n) memcpy(to, from, n);
    *used += (n + 7) & ~(size_t)7;
    return to;
}

static size_t segments_of(const pass_plan *p) {
    int64_t end = 0;
    for (int64_t i = 0; i < p->span_count; i++)
        if (p->spans[i].first_segment + p->spans[i].segments > end)
            end = p->spans[i].first_segment + p->spans[i].segments;
    return (size_t)end;
}

static size_t copy_arrays(const pass_plan *p, pass_plan *to, char *room) {
    size_t used = 0, tokens = (size_t)p->tokens, layers = (size_t)p->layers;
    to->spans = append(room, &used, p->spans, (size_t)p->span_count * sizeof *p->spans);
    to->segments = append(room, &used, p->segments, segments_of(p) * sizeof *p->segments);
    to->slots = append(room, &used, p->slots, tokens * sizeof *p->slots);
    to->ids = append(room, &used, p->ids, tokens * sizeof *p->ids);
    to->positions = append(room, &used, p->positions, tokens * sizeof *p->positions);
    to->k = append(room, &used, p->k, layers * sizeof *p->k);
    to->v = append(room, &used, p->v, layers * sizeof *p->v);
    return used;
}

void *host_plan_copy(const pass_plan *plan, size_t head, pass_plan *copy) {
    *copy = *plan;
    head = (head + 7) & ~(size_t)7;
    char *block = mem_alloc(head + copy_arrays(plan, copy, NULL));
    copy_arrays(plan, copy, block + head);
    return block;
}
