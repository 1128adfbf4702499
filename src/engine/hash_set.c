/* Open addressing with linear probing, at most half full. */
#include "engine/hash_set.h"

enum { FIRST_SLOTS = 1 << 10 };

static bool insert(uint64_t *at, int64_t slots, uint64_t hash) {
    uint64_t mask = (uint64_t)slots - 1, i = hash & mask;
    while (at[i] && at[i] != hash) i = (i + 1) & mask;
    bool added = at[i] == 0;
    at[i] = hash;
    return added;
}

static void grow(hash_set *s) {
    int64_t slots = s->slots ? 2 * s->slots : FIRST_SLOTS;
    uint64_t *at = mem_alloc(sizeof *at * (size_t)slots);
    for (int64_t i = 0; i < s->slots; i++)
        if (s->at[i]) insert(at, slots, s->at[i]);
    mem_free(s->at);
    s->at = at;
    s->slots = slots;
}

bool hash_set_add(hash_set *s, uint64_t hash) {
    if (2 * s->count >= s->slots) grow(s);
    bool added = insert(s->at, s->slots, hash ? hash : 1); /* 0 is an empty slot */
    s->count += added;
    return added;
}

void hash_set_free(hash_set *s) {
    mem_free(s->at);
    *s = (hash_set){0};
}
