/* What of a group's places is in the KV cache, and what of it is evicted. */
#ifndef ESPALIER_ENGINE_CACHE_H
#define ESPALIER_ENGINE_CACHE_H

#include "engine/engine.h"

/* The ids of one place below one prompt. */
typedef struct {
    int32_t run;       /* that holds their end; -1: none is cached */
    int32_t cached;    /* how many of them are in the run or above it */
    bool has_children; /* other runs continue this one: what follows needs a run of its own */
    bool pinned;       /* an open request uses it */
    int64_t used;      /* the tick of its last use */
} cache_entry;

typedef struct {
    cache_entry of[ENGINE_PREFIXES];
} cache_place;
typedef MEM_LIST(cache_place) cache_places;

/* Pages that n tokens take in a run of their own. */
static inline int64_t pages_of(int64_t n) {
    return (n + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
}

/* The entry of a place, empty where the place is new. */
cache_entry *cache_entry_at(cache_places *places, int32_t place, int prefix);
void cache_entry_drop(kv_cache *kv, cache_entry *entry);
/* kv: of each prompt */
void cache_places_drop(kv_cache *const kv[ENGINE_PREFIXES], cache_places *places);
void cache_places_unpin(cache_places *places);

/* What of a place of n ids a request can build on. read_last: the last id is fed again, because something is
 * read after it. */
typedef struct {
    int32_t run;    /* -1: nothing */
    int32_t cached; /* ids in it or above */
    bool truncates; /* the run's last token must go first */
} cache_part;
cache_part cache_part_of(const kv_cache *kv, const cache_entry *entry, int64_t n, bool read_last);
/* Makes it so: truncates the run, or drops the entry where other runs continue it. */
void cache_prepare(kv_cache *kv, cache_entry *entry, int64_t n, bool read_last);
/* Pages that n more tokens take in the part's run, after the truncation. */
int64_t cache_part_pages(const kv_cache *kv, const cache_part *part, int64_t n);

/* Evicts unpinned entries of the groups that are in `from`, least recently used first, until `pages` of its
 * pages are free, and a few more so that the next request need not sort again. kv: of each prompt. */
void cache_evict(kv_cache *const kv[ENGINE_PREFIXES], kv_cache *from, cache_places *const *groups,
                 int64_t count, int64_t pages);

#endif
