#include "engine/group.h"

#include "engine/state.h"

#include <assert.h>

void *group_user(const sequence_group *g) {
    return g->user;
}

void group_set_prompt(sequence_group *g, int prefix, const int32_t *ids, int64_t n) {
    g->prompt[prefix].count = 0;
    MEM_LIST_APPEND(&g->prompt[prefix], ids, n);
}

void group_request(sequence_group *g, const engine_request *request) {
    assert((request->sequence_count > 0) != (request->tail_count > 0));
    assert(request->width >= request->sequence_count);
    g->request = *request;
}

void group_pause(engine *e, sequence_group *g, int64_t calls) {
    assert(calls > 0);
    g->paused = e->calls + calls;
}

void group_end(sequence_group *g) {
    g->over = true;
}

int32_t group_begun(const sequence_group *g) {
    return g->begun;
}

const engine_counts *group_counts(const sequence_group *g) {
    return &g->counts;
}

int64_t lot_pages(const group_lot *lot, kv_cache *const kv[ENGINE_PREFIXES], const kv_cache *in) {
    int64_t pages = 0;
    for (int p = 0; p < ENGINE_PREFIXES; p++)
        if (kv[p] == in) pages += pages_of(lot->shared[p].ids.count);
    return pages;
}

int32_t group_add_feed(sequence_group *g, feed f) {
    MEM_LIST_PUSH(&g->feeds, f);
    g->feeds_left++;
    return (int32_t)g->feeds.count - 1;
}

void group_close_feeds(kv_cache *const kv[ENGINE_PREFIXES], sequence_group *g) {
    for (int64_t i = 0; i < g->feeds.count; i++)
        if (g->feeds.at[i].run >= 0) kv_run_release(kv[g->feeds.at[i].prefix], g->feeds.at[i].run);
    g->feeds.count = 0;
    g->feeds_left = 0;
    g->sequences.count = g->tail_feeds.count = 0;
}

void group_clear(kv_cache *const kv[ENGINE_PREFIXES], sequence_group *g) {
    group_close_feeds(kv, g);
    cache_places_drop(kv, &g->places);
    MEM_LIST_FREE(&g->feeds);
    MEM_LIST_FREE(&g->sequences);
    MEM_LIST_FREE(&g->tail_feeds);
    MEM_LIST_FREE(&g->places);
    hash_set_free(&g->seen);
    for (int p = 0; p < ENGINE_PREFIXES; p++) MEM_LIST_FREE(&g->prompt[p]);
}

engine_piece group_piece(const sequence_group *g, int32_t i) {
    if (i > 0) return g->request.path[i - 1];
    const id_list *prompt = &g->prompt[g->request.prefix];
    return (engine_piece){.place = 0, .ids = prompt->at, .n = prompt->count};
}

/* ---- Different tokens ---- */

rng_key_t group_count(sequence_group *g, rng_key_t prefix, const int32_t *ids, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        prefix = rng_mix(prefix, (uint64_t)ids[i]);
        g->counts.distinct += hash_set_add(&g->seen, prefix.state);
    }
    return prefix;
}

static rng_key_t count_path(sequence_group *g) {
    const engine_request *r = &g->request;
    int64_t before = g->counts.distinct;
    engine_piece prompt = group_piece(g, 0);
    rng_key_t hash = group_count(g, rng_key((uint64_t)r->prefix), prompt.ids, prompt.n);
    g->counts.prompts += g->counts.distinct - before;
    for (int32_t i = 0; i < r->pieces; i++) hash = group_count(g, hash, r->path[i].ids, r->path[i].n);
    return hash;
}

/* How many ids of a tail one of the tails before it begins with too. */
static int64_t agreed_before(const engine_request *r, int32_t tail) {
    int64_t most = 0;
    const engine_tail *own = &r->tails[tail];
    for (int32_t i = 0; i < tail; i++) {
        const engine_tail *other = &r->tails[i];
        int64_t same = 0;
        while (same < other->n && same < own->n && other->ids[same] == own->ids[same]) same++;
        if (same > most) most = same;
    }
    return most;
}

void group_count_request(sequence_group *g) {
    const engine_request *r = &g->request;
    rng_key_t path = count_path(g);
    for (int64_t i = 0; i < g->sequences.count; i++) {
        const engine_sequence *s = &r->sequences[i];
        g->sequences.at[i].prefix_hash = path;
        if (s->known) group_count(g, path, s->known, s->known_count - 1);
    }
    for (int32_t i = 0; i < r->tail_count; i++) {
        group_count(g, path, r->tails[i].ids, r->tails[i].n);
        g->counts.tails += r->tails[i].n - agreed_before(r, i);
    }
}
