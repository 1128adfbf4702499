/* Which keys are kept: holds on the runs of nodes, planning the way to a node from the deepest one that is
 * still there, and giving up what was used longest ago. */
#include "policy/lm_inner.h"

#include <assert.h>
#include <stdlib.h>

void hold_release(wave *w, key_hold *h) {
    if (h->run >= 0) kv_run_release(w->p->kv, h->run);
    h->run = -1;
    h->fed = 0;
    h->sealed = false;
}

lm_node node_empty(void) {
    lm_node n = {0};
    for (int side = 0; side < PREFIXES; side++) n.keys[side].run = -1;
    return n;
}

void grove_release(wave *w, grove *g) {
    for (int64_t v = 0; v < g->nodes.count; v++)
        for (int side = 0; side < PREFIXES; side++) hold_release(w, &g->nodes.at[v].keys[side]);
}

/* The ids of a node in the order of the path; of the root, its prompt behind what all jobs share. */
static const int32_t *node_ids(const grove *g, int32_t node, int side, int64_t *n) {
    if (node == 0) {
        *n = g->prefix[side].count;
        return g->prefix[side].at;
    }
    search_node v = search_node_at(g->job->search, node);
    *n = v.n;
    return v.ids;
}

/* A lane for what is missing of one node, behind `way`. */
static int64_t plan_node(wave *w, grove *g, int32_t node, int side, lane_way *way) {
    key_hold *h = &g->nodes.at[node].keys[side];
    int64_t n;
    const int32_t *ids = node_ids(g, node, side, &n);
    int32_t from = h->run >= 0 ? h->fed : 0;
    if (h->run >= 0) *way = (lane_way){-1, h->run};
    if (from == n) return 0;
    lane l = {.kind = LANE_PATH,
              .side = side,
              .parent = way->lane,
              .base = way->run,
              .run = -1,
              .ids = ids + from,
              .n = n - from,
              .node = node,
              .from = from};
    int64_t pages;
    if (h->run >= 0 && !h->sealed) {
        l.run = h->run;
        kv_run_retain(w->p->kv, h->run);
        pages = kv_pages_needed(w->p->kv, h->run, l.n);
    } else {
        pages = pages_of(l.n);
    }
    *way = (lane_way){grove_add_lane(g, l), -1};
    return pages;
}

/* A fork reads behind the last token, so that one is fed once more where it is there already; in a run of the
 * node's own where others hang on the one there is, as after an earlier request. */
static void uncover_last(wave *w, grove *g, int32_t node, int side) {
    key_hold *h = &g->nodes.at[node].keys[side];
    int64_t n;
    node_ids(g, node, side, &n);
    if (h->run < 0 || h->fed < n) return;
    int64_t length = kv_run_length(w->p->kv, h->run);
    h->fed--;
    if (length == 1 || kv_run_children(w->p->kv, h->run) > 0)
        hold_release(w, h);
    else
        kv_run_truncate(w->p->kv, h->run, length - 1);
}

int64_t grove_plan_path(wave *w, grove *g, int32_t node, int side, bool fork, lane_way *way) {
    int32_t path[2] = {node, 0};
    int32_t *nodes = path, depth = 0;
    if (node > 0) {
        depth = search_node_at(g->job->search, node).depth;
        nodes = MEM_ARRAY(int32_t, depth + 1);
        search_path(g->job->search, node, nodes + 1);
        nodes[0] = 0;
    }
    if (fork) uncover_last(w, g, node, side);
    int32_t first = depth;
    while (first > 0 && g->nodes.at[nodes[first]].keys[side].run < 0) first--;
    *way = (lane_way){-1, g->alone[side] ? -1 : w->shared_run[side]};
    int64_t pages = 0;
    for (int32_t i = 0; i <= depth; i++) {
        key_hold *h = &g->nodes.at[nodes[i]].keys[side];
        h->pinned = true;
        h->used = w->tick;
        if (i >= first) pages += plan_node(w, g, nodes[i], side, way);
    }
    if (fork) {
        assert(way->lane >= 0);
        g->lanes.at[way->lane].fork = true;
    }
    if (nodes != path) mem_free(nodes);
    return pages;
}

void grove_unpin(grove *g) {
    for (int64_t v = 0; v < g->nodes.count; v++)
        for (int side = 0; side < PREFIXES; side++) g->nodes.at[v].keys[side].pinned = false;
}

/* Nodes that a commitment left behind can never be expanded again; those above the current root stay, as the
 * ground to compute from. */
void grove_leave_behind(wave *w, grove *g) {
    const search *s = g->job->search;
    int32_t top = search_top(s), count = search_node_count(s);
    if (top == g->top) return;
    g->top = top;
    uint8_t *under = mem_alloc((size_t)count);
    for (int32_t v = 1; v < count; v++) {
        search_node node = search_node_at(s, v);
        under[v] = v == top || (node.parent >= 0 && under[node.parent]);
    }
    for (int32_t v = top; v >= 0; v = search_node_at(s, v).parent) under[v] = 1;
    for (int32_t v = 0; v < count; v++)
        if (!under[v])
            for (int side = 0; side < PREFIXES; side++) hold_release(w, &g->nodes.at[v].keys[side]);
    mem_free(under);
}

/* ---- Giving up ---- */

typedef struct {
    grove *g;
    int32_t node;
    int side;
    int64_t used;
    int64_t order; /* of its kind, to make the order total */
} victim;

/* Oldest first; of one request's path the deepest first, as a run's pages come free with its last child. */
static int compare_victims(const void *a, const void *b) {
    const victim *x = a, *y = b;
    if (x->used != y->used) return x->used < y->used ? -1 : 1;
    if (x->order != y->order) return x->order < y->order ? -1 : 1;
    if (x->node != y->node) return x->node > y->node ? -1 : 1;
    return x->side - y->side;
}

void wave_give_up(wave *w, int64_t pages) {
    MEM_LIST(victim) list = {0};
    for (int64_t i = 0; i < w->active.count; i++) {
        grove *g = w->active.at[i];
        for (int32_t v = 0; v < g->nodes.count; v++)
            for (int side = 0; side < PREFIXES; side++) {
                const key_hold *h = &g->nodes.at[v].keys[side];
                if (h->run >= 0 && !h->pinned) MEM_LIST_PUSH(&list, ((victim){g, v, side, h->used, i}));
            }
    }
    if (list.count) qsort(list.at, (size_t)list.count, sizeof *list.at, compare_victims);
    /* A little more than asked, so that the next request need not sort again. */
    int64_t goal = kv_pages_free(w->p->kv) + pages + kv_pages_total(w->p->kv) / 32;
    for (int64_t i = 0; i < list.count && kv_pages_free(w->p->kv) < goal; i++)
        hold_release(w, &list.at[i].g->nodes.at[list.at[i].node].keys[list.at[i].side]);
    MEM_LIST_FREE(&list);
}
