#include "engine/cache.h"

#include <assert.h>
#include <stdlib.h>

cache_entry *cache_entry_at(cache_places *places, int32_t place, int prefix) {
    static const cache_place empty = {{{.run = -1}, {.run = -1}}};
    while (places->count <= place) MEM_LIST_PUSH(places, empty);
    return &places->at[place].of[prefix];
}

void cache_entry_drop(kv_cache *kv, cache_entry *entry) {
    if (entry->run >= 0) kv_run_release(kv, entry->run);
    entry->run = -1;
    entry->cached = 0;
    entry->has_children = false;
}

void cache_places_drop(kv_cache *const kv[ENGINE_PREFIXES], cache_places *places) {
    for (int64_t i = 0; i < places->count; i++)
        for (int p = 0; p < ENGINE_PREFIXES; p++) cache_entry_drop(kv[p], &places->at[i].of[p]);
}

void cache_places_unpin(cache_places *places) {
    for (int64_t i = 0; i < places->count; i++)
        for (int p = 0; p < ENGINE_PREFIXES; p++) places->at[i].of[p].pinned = false;
}

/* ---- Building on what is there ---- */

/* The run's last token cannot be taken off where other runs continue it, as after an earlier request, or
 * where it is the only one. */
static bool can_truncate(const kv_cache *kv, int32_t run) {
    return kv_run_length(kv, run) > 1 && kv_run_children(kv, run) == 0;
}

cache_part cache_part_of(const kv_cache *kv, const cache_entry *entry, int64_t n, bool read_last) {
    cache_part part = {.run = entry->run, .cached = entry->run >= 0 ? entry->cached : 0};
    if (!read_last || part.run < 0 || part.cached < n) return part;
    if (!can_truncate(kv, entry->run)) return (cache_part){.run = -1};
    part.cached--;
    part.truncates = true;
    return part;
}

void cache_prepare(kv_cache *kv, cache_entry *entry, int64_t n, bool read_last) {
    if (!read_last || entry->run < 0 || entry->cached < n) return;
    if (!can_truncate(kv, entry->run)) {
        cache_entry_drop(kv, entry);
        return;
    }
    kv_run_truncate(kv, entry->run, kv_run_length(kv, entry->run) - 1);
    entry->cached--;
}

int64_t cache_part_pages(const kv_cache *kv, const cache_part *part, int64_t n) {
    if (!part->truncates) return kv_pages_needed(kv, part->run, n);
    int64_t length = kv_run_length(kv, part->run) - 1;
    return pages_of(length + n) - pages_of(length);
}

/* ---- Evicting ---- */

typedef struct {
    cache_entry *entry;
    int32_t place;
    int prefix;
    int64_t group;
} victim;

/* Least recently used first; of one request's path the deepest first, as a run's pages come free with its
 * last child. The order is total. */
static int compare_victims(const void *a, const void *b) {
    const victim *x = a, *y = b;
    if (x->entry->used != y->entry->used) return x->entry->used < y->entry->used ? -1 : 1;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    if (x->place != y->place) return x->place > y->place ? -1 : 1;
    return x->prefix - y->prefix;
}

void cache_evict(kv_cache *const kv[ENGINE_PREFIXES], kv_cache *from, cache_places *const *groups,
                 int64_t count, int64_t pages) {
    MEM_LIST(victim) list = {0};
    for (int64_t g = 0; g < count; g++)
        for (int32_t place = 0; place < groups[g]->count; place++)
            for (int p = 0; p < ENGINE_PREFIXES; p++) {
                cache_entry *entry = &groups[g]->at[place].of[p];
                bool can_go = kv[p] == from && entry->run >= 0 && !entry->pinned;
                if (can_go) MEM_LIST_PUSH(&list, ((victim){entry, place, p, g}));
            }
    if (list.count) qsort(list.at, (size_t)list.count, sizeof *list.at, compare_victims);
    int64_t goal = pages + kv_pages_total(from) / 32;
    for (int64_t i = 0; i < list.count && kv_pages_free(from) < goal; i++)
        cache_entry_drop(from, list.at[i].entry);
    MEM_LIST_FREE(&list);
}
