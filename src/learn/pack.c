/* A radix tree over token ids; edges (runs) are split where a new path leaves them. */
#include "learn/pack.h"

#include <assert.h>

typedef struct {
    int64_t first, count; /* the run's tokens in `tokens` */
    int32_t parent, child, sibling;
    int32_t placed; /* first token's index in the laid-out tree */
} pack_run;

struct pack {
    MEM_LIST(int32_t) tokens;
    MEM_LIST(pack_run) runs;
    MEM_LIST(int32_t) stack;
    MEM_LIST(int32_t) order; /* scratch: run -> run of the laid-out tree */
    int32_t root;            /* first run without a parent, -1 */
    token_tree_builder tree;
    int64_t distinct;
};

pack *pack_new(void) {
    pack *p = MEM_NEW(pack);
    p->root = -1;
    return p;
}

void pack_clear(pack *p) {
    p->tokens.count = p->runs.count = 0;
    p->root = -1;
    p->distinct = 0;
    token_tree_clear(&p->tree);
}

void pack_free(pack *p) {
    if (!p) return;
    MEM_LIST_FREE(&p->tokens);
    MEM_LIST_FREE(&p->runs);
    MEM_LIST_FREE(&p->stack);
    MEM_LIST_FREE(&p->order);
    token_tree_free(&p->tree);
    mem_free(p);
}

/* Follows ids as far as the tree has them: the run reached (-1: none), how many of its tokens match, and how
 * many ids are matched in all. */
static int64_t follow(const pack *p, const int32_t *ids, int64_t n, int32_t *run, int64_t *within) {
    int64_t matched = 0;
    int32_t next = p->root;
    *run = -1;
    *within = 0;
    while (matched < n) {
        while (next >= 0 && p->tokens.at[p->runs.at[next].first] != ids[matched])
            next = p->runs.at[next].sibling;
        if (next < 0) return matched;
        const pack_run *r = &p->runs.at[next];
        int64_t i = 0;
        while (i < r->count && matched < n && p->tokens.at[r->first + i] == ids[matched]) i++, matched++;
        *run = next;
        *within = i;
        if (i < r->count) return matched;
        next = r->child;
    }
    return matched;
}

int64_t pack_cost(const pack *p, const int32_t *ids, int64_t n) {
    int32_t run;
    int64_t within;
    return n - follow(p, ids, n, &run, &within);
}

int64_t pack_tokens(const pack *p) {
    return p->distinct;
}

static int32_t *first_child(pack *p, int32_t run) {
    return run < 0 ? &p->root : &p->runs.at[run].child;
}

/* Children keep the order in which they came. */
static void append_child(pack *p, int32_t parent, int32_t run) {
    int32_t *link = first_child(p, parent);
    while (*link >= 0) link = &p->runs.at[*link].sibling;
    *link = run;
}

void pack_add(pack *p, const int32_t *ids, int64_t n) {
    int32_t run;
    int64_t within, matched = follow(p, ids, n, &run, &within);
    if (matched == n) return;
    if (run >= 0 &&
        within < p->runs.at[run].count) { /* the path leaves in the middle: the rest becomes a child */
        pack_run tail = p->runs.at[run];
        int32_t id = (int32_t)p->runs.count;
        tail.first += within;
        tail.count -= within;
        tail.parent = run;
        tail.sibling = -1;
        MEM_LIST_PUSH(&p->runs, tail);
        for (int32_t c = tail.child; c >= 0; c = p->runs.at[c].sibling) p->runs.at[c].parent = id;
        p->runs.at[run].count = within;
        p->runs.at[run].child = id;
    }
    pack_run leaf = {
        .first = p->tokens.count, .count = n - matched, .parent = run, .child = -1, .sibling = -1};
    for (int64_t i = matched; i < n; i++) MEM_LIST_PUSH(&p->tokens, ids[i]);
    p->distinct += leaf.count;
    int32_t id = (int32_t)p->runs.count;
    MEM_LIST_PUSH(&p->runs, leaf);
    append_child(p, run, id);
}

token_tree pack_tree(pack *p) {
    token_tree_clear(&p->tree);
    MEM_LIST_RESERVE(&p->order, p->runs.count);
    p->stack.count = 0;
    if (p->root >= 0) MEM_LIST_PUSH(&p->stack, p->root);
    while (p->stack.count) {
        int32_t id = p->stack.at[--p->stack.count];
        pack_run *r = &p->runs.at[id];
        r->placed = (int32_t)p->tree.tokens.count;
        p->order.at[id] = token_tree_add(&p->tree, r->parent < 0 ? -1 : p->order.at[r->parent],
                                         p->tokens.at + r->first, r->count);
        if (r->sibling >= 0) MEM_LIST_PUSH(&p->stack, r->sibling);
        if (r->child >= 0) MEM_LIST_PUSH(&p->stack, r->child);
    }
    return token_tree_view(&p->tree);
}

void pack_locate(const pack *p, const int32_t *ids, int64_t n, int32_t *at) {
    int32_t next = p->root;
    for (int64_t i = 0; i < n;) {
        while (next >= 0 && p->tokens.at[p->runs.at[next].first] != ids[i]) next = p->runs.at[next].sibling;
        assert(next >= 0);
        const pack_run *r = &p->runs.at[next];
        for (int64_t j = 0; j < r->count && i < n; j++, i++) {
            assert(p->tokens.at[r->first + j] == ids[i]);
            at[i] = r->placed + (int32_t)j;
        }
        next = r->child;
    }
}
