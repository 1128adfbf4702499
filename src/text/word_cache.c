/* A cache of words and their ids: a table of slots that are filled once and never change, so that threads
 * share it without locks. A word whose slot is used by another word is encoded every time. */
#include "text/tokenizer_inner.h"

#include <string.h>
#include <xxhash.h>

enum { CACHE_SLOTS = 1 << 15, CACHE_WORD_BYTES = 48 };

typedef struct {
    uint32_t length, count;
    int32_t ids[]; /* [count], then the word's bytes */
} cache_entry;

struct word_cache {
    cache_entry *slots[CACHE_SLOTS]; /* read and set by the compiler's atomic operations only */
};

word_cache *word_cache_new(void) {
    return MEM_NEW(word_cache);
}

void word_cache_free(word_cache *c) {
    if (!c) return;
    for (int i = 0; i < CACHE_SLOTS; i++) mem_free(c->slots[i]);
    mem_free(c);
}

static void remember(cache_entry **slot, const char *word, size_t length, const int32_t *ids, int64_t count) {
    size_t ids_bytes = (size_t)count * sizeof *ids;
    cache_entry *e = mem_alloc(sizeof *e + ids_bytes + length), *none = NULL;
    e->length = (uint32_t)length;
    e->count = (uint32_t)count;
    if (count) memcpy(e->ids, ids, ids_bytes);
    memcpy(e->ids + count, word, length);
    if (!__atomic_compare_exchange_n(slot, &none, e, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        mem_free(e); /* another thread was first */
}

void word_cache_encode(word_cache *c, const vocabulary *v, bpe_scratch *s, const char *word, size_t length,
                       token_list *out) {
    if (length > CACHE_WORD_BYTES) {
        bpe_word(v, s, word, length, out);
        return;
    }
    cache_entry **slot = &c->slots[XXH3_64bits(word, length) % CACHE_SLOTS];
    const cache_entry *e = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    if (e && e->length == length && memcmp(e->ids + e->count, word, length) == 0) {
        for (uint32_t i = 0; i < e->count; i++) MEM_LIST_PUSH(out, e->ids[i]);
        return;
    }
    int64_t before = out->count;
    bpe_word(v, s, word, length, out);
    if (!e) remember(slot, word, length, out->count ? out->at + before : NULL, out->count - before);
}
