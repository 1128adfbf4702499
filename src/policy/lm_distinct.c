/* How many different tokens a tree is made of: a token is different from another where it, or what stands
 * before it in its prompt, differs. A set of 64-bit keys, each mixed from the key before it and the id. */
#include "policy/lm_inner.h"

enum { FIRST_SLOTS = 1 << 10 };

/* True: it was not in the set. slots is a power of two above count. */
static bool insert(uint64_t *at, int64_t slots, uint64_t key) {
    uint64_t mask = (uint64_t)slots - 1, i = key & mask;
    while (at[i] && at[i] != key) i = (i + 1) & mask;
    bool added = at[i] == 0;
    at[i] = key;
    return added;
}

static void grow(key_set *s) {
    int64_t slots = s->slots ? 2 * s->slots : FIRST_SLOTS;
    uint64_t *at = mem_alloc(sizeof *at * (size_t)slots);
    for (int64_t i = 0; i < s->slots; i++)
        if (s->at[i]) insert(at, slots, s->at[i]);
    mem_free(s->at);
    s->at = at;
    s->slots = slots;
}

static bool key_set_add(key_set *s, uint64_t key) {
    if (2 * s->count >= s->slots) grow(s);
    bool added = insert(s->at, s->slots, key ? key : 1); /* 0 is an empty slot */
    s->count += added;
    return added;
}

void key_set_free(key_set *s) {
    mem_free(s->at);
    *s = (key_set){0};
}

rng_key_t grove_count(grove *g, rng_key_t behind, const int32_t *ids, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        behind = rng_mix(behind, (uint64_t)ids[i]);
        g->counts.distinct += key_set_add(&g->computed, behind.state);
    }
    return behind;
}

rng_key_t grove_count_path(grove *g, int side, int32_t node) {
    int64_t before = g->counts.distinct;
    rng_key_t behind = grove_count(g, rng_key((uint64_t)side), g->prefix[side].at, g->prefix[side].count);
    g->counts.prompts += g->counts.distinct - before;
    if (node == 0) return behind;
    int64_t n = search_path_ids(g->job->search, node, NULL);
    int32_t *ids = MEM_ARRAY(int32_t, n);
    search_path_ids(g->job->search, node, ids);
    behind = grove_count(g, behind, ids, n);
    mem_free(ids);
    return behind;
}

bool grove_take(const lm_policy *p, grove *g, candidate *c, const kv_read *reads) {
    /* What was read stands behind the candidate's last id. */
    if (c->ids.count) c->behind = grove_count(g, c->behind, &c->ids.at[c->ids.count - 1], 1);
    return candidate_take(p->words, c, reads);
}

void counts_close(token_counts *c) {
    c->recomputed = c->computed - c->suffixes - c->distinct;
}
