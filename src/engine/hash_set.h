/* A set of 64-bit hashes: of the tokens that were computed, each mixed from the hash of what is before it. */
#ifndef ESPALIER_ENGINE_HASH_SET_H
#define ESPALIER_ENGINE_HASH_SET_H

#include "base/memory.h"

typedef struct {
    uint64_t *at; /* [slots], a power of two; 0 is an empty slot */
    int64_t slots, count;
} hash_set;

bool hash_set_add(hash_set *s, uint64_t hash); /* true: it was not in the set */
void hash_set_free(hash_set *s);

#endif
