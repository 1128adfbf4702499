#include "text/bpe.h"

#include "base/utf8.h"

void bpe_scratch_free(bpe_scratch *s) {
    MEM_LIST_FREE(&s->symbols);
    MEM_LIST_FREE(&s->heap);
}

static void heap_push(bpe_scratch *s, bpe_candidate c) {
    MEM_LIST_PUSH(&s->heap, c);
    bpe_candidate *h = s->heap.at;
    int64_t i = s->heap.count - 1;
    for (int64_t up; i > 0 && h[up = (i - 1) / 2].key > c.key; i = up) h[i] = h[up];
    h[i] = c;
}

static bpe_candidate heap_pop(bpe_scratch *s) {
    bpe_candidate *h = s->heap.at, top = h[0], last = h[--s->heap.count];
    int64_t n = s->heap.count, i = 0;
    for (int64_t down; (down = 2 * i + 1) < n; i = down) {
        if (down + 1 < n && h[down + 1].key < h[down].key) down++;
        if (h[down].key >= last.key) break;
        h[i] = h[down];
    }
    if (n) h[i] = last;
    return top;
}

static void symbol_push(bpe_scratch *s, int32_t id) {
    int32_t at = (int32_t)s->symbols.count;
    bpe_symbol symbol = {id, at - 1, -1};
    if (at > 0) s->symbols.at[at - 1].after = at;
    MEM_LIST_PUSH(&s->symbols, symbol);
}

/* A character that is not a piece becomes its bytes' pieces, the unknown token, or nothing. */
static void symbol_push_unknown(const vocabulary *v, bpe_scratch *s, const char *c, size_t n, bool *fusing) {
    bool bytes = v->byte_fallback;
    for (size_t i = 0; bytes && i < n; i++) bytes = v->byte_piece[(unsigned char)c[i]] >= 0;
    if (bytes) {
        for (size_t i = 0; i < n; i++) symbol_push(s, v->byte_piece[(unsigned char)c[i]]);
        *fusing = false;
    } else if (v->unknown >= 0) {
        if (!(*fusing && v->fuse_unknown)) symbol_push(s, v->unknown);
        *fusing = true;
    }
}

/* Cuts the word into its smallest pieces: bytes, or characters. */
static void cut(const vocabulary *v, bpe_scratch *s, const char *word, size_t length) {
    bool fusing = false;
    for (size_t i = 0, n; i < length; i += n) {
        int32_t id;
        n = 1;
        if (v->byte_level) {
            id = v->byte_piece[(unsigned char)word[i]];
        } else {
            size_t character = utf8_length(word + i, length - i);
            if (character) n = character;
            id = vocabulary_find(v, word + i, n);
        }
        if (id >= 0) {
            symbol_push(s, id);
            fusing = false;
        } else {
            symbol_push_unknown(v, s, word + i, n, &fusing);
        }
    }
}

static void consider(const vocabulary *v, bpe_scratch *s, int32_t at) {
    bpe_symbol left = s->symbols.at[at];
    if (left.after < 0) return;
    int32_t right = s->symbols.at[left.after].id;
    const merge_slot *m = vocabulary_merge(v, left.id, right);
    if (m) heap_push(s, (bpe_candidate){(uint64_t)(uint32_t)m->rank << 32 | (uint32_t)at, left.id, right});
}

void bpe_word(const vocabulary *v, bpe_scratch *s, const char *word, size_t length, token_list *out) {
    if (v->whole_words) {
        int32_t id = vocabulary_find(v, word, length);
        if (id >= 0 && v->kinds[id] == PIECE_MODEL) {
            MEM_LIST_PUSH(out, id);
            return;
        }
    }
    s->symbols.count = s->heap.count = 0;
    cut(v, s, word, length);
    for (int32_t i = 0; i + 1 < s->symbols.count; i++) consider(v, s, i);
    while (s->heap.count) {
        bpe_candidate c = heap_pop(s);
        int32_t at = (int32_t)(uint32_t)c.key;
        bpe_symbol *left = &s->symbols.at[at];
        /* A candidate whose symbols have changed since is stale. Symbols only grow, so equal ids mean the
         * same pair. */
        if (left->id != c.left || left->after < 0 || s->symbols.at[left->after].id != c.right) continue;
        bpe_symbol *right = &s->symbols.at[left->after];
        left->id = vocabulary_merge(v, c.left, c.right)->made;
        left->after = right->after;
        right->id = -1;
        if (left->after >= 0) s->symbols.at[left->after].before = at;
        if (left->before >= 0) consider(v, s, left->before);
        consider(v, s, at);
    }
    for (int32_t i = s->symbols.count ? 0 : -1; i >= 0; i = s->symbols.at[i].after)
        MEM_LIST_PUSH(out, s->symbols.at[i].id);
}
