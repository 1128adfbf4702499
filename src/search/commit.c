/* Commitments and the pairs read off them (METHOD.md 2.7, 4.1, 4.2). */
#include "search/tree.h"

#include <math.h>

/* A rank compared entry by entry; the larger wins, and of equals the one that stands first. */
typedef struct {
    double by[3];
} rank;

static bool above(rank a, rank b) {
    for (int i = 0; i < 3; i++)
        if (a.by[i] != b.by[i]) return a.by[i] > b.by[i];
    return false;
}

/* Largest N less smallest N over a node's own children; 0 without children. */
static int32_t spread(const search *s, const tree_node *node) {
    if (!node->children) return 0;
    const tree_node *nodes = s->nodes.at;
    int32_t least = nodes[node->first_child].N, most = least;
    for (int32_t i = nodes[node->first_child].next_sibling; i >= 0; i = nodes[i].next_sibling) {
        if (nodes[i].N < least) least = nodes[i].N;
        if (nodes[i].N > most) most = nodes[i].N;
    }
    return most - least;
}

/* (2.7) */
static rank commit_rank(const search *s, const tree_node *c) {
    switch (s->config.commit) {
    case SEARCH_COMMIT_VISITS:
        return (rank){{c->N, c->Q}};
    case SEARCH_COMMIT_VISITS_TIMES_SPREAD:
        return (rank){{(double)c->N * (1 + (double)spread(s, c)), c->Q, c->V}};
    case SEARCH_COMMIT_Q:
        break;
    }
    return (rank){{c->N > 0 ? c->Q : -INFINITY, c->N}};
}

/* The child to commit to. */
static int32_t pick(const search *s, int32_t first) {
    const tree_node *nodes = s->nodes.at;
    int32_t best = first;
    for (int32_t i = nodes[first].next_sibling; i >= 0; i = nodes[i].next_sibling)
        if (above(commit_rank(s, &nodes[i]), commit_rank(s, &nodes[best]))) best = i;
    return best;
}

bool commit_may_pair(const search *s, const tree_node *c) {
    return s->config.pairs_from == SEARCH_PAIRS_ALL || c->N > 0;
}

/* (4.1) The largest (sign 1) or smallest (sign -1) Q among siblings that may stand in a pair; -1 without any.
 */
static int32_t extreme(const search *s, int32_t first, double sign) {
    const tree_node *nodes = s->nodes.at;
    int32_t best = -1;
    for (int32_t i = first; i >= 0; i = nodes[i].next_sibling)
        if (commit_may_pair(s, &nodes[i]) && (best < 0 || sign * nodes[i].Q > sign * nodes[best].Q)) best = i;
    return best;
}

/* (code) A random one of the siblings that may stand in a pair, `but` excepted; -1 without any. */
static int32_t random_sibling(const search *s, int32_t first, int32_t but) {
    const tree_node *nodes = s->nodes.at;
    uint64_t others = 0;
    for (int32_t i = first; i >= 0; i = nodes[i].next_sibling)
        others += i != but && commit_may_pair(s, &nodes[i]);
    if (!others) return -1;
    /* Candidates are sampled under rng_mix(key, node); one word more keeps this draw apart from theirs. */
    rng_key_t key = rng_mix(rng_mix(s->key, (uint64_t)s->top), UINT64_C(0x6c6f736572)); /* "loser" */
    uint64_t turn = rng_below(key, 0, others);
    for (int32_t i = first; i >= 0; i = nodes[i].next_sibling)
        if (i != but && commit_may_pair(s, &nodes[i]) && turn-- == 0) return i;
    return -1;
}

/* (4.2) */
static double smoothing(const search *s, int32_t chosen, int32_t rejected) {
    tree_evidence *evidence =
        s->config.smoothing == SEARCH_SMOOTHING_EVIDENCE ? tree_gather_evidence(s) : NULL;
    double alpha = tree_doubt(s, evidence, chosen, rejected);
    mem_free(evidence);
    return alpha < s->config.smoothing_cap ? alpha : s->config.smoothing_cap;
}

/* (4.1) Reads the pair of the commitment that is being made, if there is one. */
static bool read_pair(search *s, search_pair *out) {
    int32_t first = s->nodes.at[s->top].first_child, best = extreme(s, first, 1);
    s->last_best_right = false;
    if (best < 0) return false;
    const tree_node *w = &s->nodes.at[best];
    s->last_best_right =
        w->outcome == SEARCH_RIGHT || (w->outcome == SEARCH_SCORED && s->steps.at[best].O > 0);
    if (s->config.pairs_at == SEARCH_PAIRS_AT_ALL || probe_all_right(s)) return false;
    int32_t worst = s->config.loser == SEARCH_LOSER_RANDOM_SIBLING ? random_sibling(s, first, best)
                                                                   : extreme(s, first, -1);
    if (worst < 0) return false;
    const tree_node *l = &s->nodes.at[worst];
    if (!(w->Q - l->Q > s->config.min_q_gap)) return false;
    *out = (search_pair){.step = (int32_t)s->commits.count,
                         .state = s->top,
                         .chosen = best,
                         .rejected = worst,
                         .q_chosen = w->Q,
                         .q_rejected = l->Q,
                         .n_chosen = w->N,
                         .n_rejected = l->N,
                         .alpha = smoothing(s, best, worst)};
    return true;
}

/* (code) An only child belongs to both steps of the pair before it, when that pair's chosen step leads here.
 */
static void join_only_child(search *s) {
    if (!s->config.join_only_child || s->nodes.at[s->top].children != 1 || !s->pairs.count) return;
    search_pair *pair = &s->pairs.at[s->pairs.count - 1];
    if (pair->step + pair->joined + 1 != s->commits.count) return;
    const tree_commit *made = &s->commits.at[pair->step];
    if (s->snapshots.at[made->children_at + made->picked].node == pair->chosen) pair->joined++;
}

bool commit_step(search *s) {
    const tree_node *state = &s->nodes.at[s->top];
    if (!state->children) return false;
    int32_t picked = pick(s, state->first_child);
    tree_commit made = {.state = s->top,
                        .depth = state->depth,
                        .child_count = state->children,
                        .children_at = s->snapshots.count,
                        .N = state->N,
                        .V = state->V,
                        .pair_at = -1};
    for (int32_t i = state->first_child; i >= 0; i = s->nodes.at[i].next_sibling) {
        const tree_node *c = &s->nodes.at[i];
        search_child child = {i, c->N, c->Q, c->V, s->steps.at[i].R, c->p};
        if (i == picked) made.picked = (int32_t)(s->snapshots.count - made.children_at);
        MEM_LIST_PUSH(&s->snapshots, child);
    }
    search_pair pair;
    if (read_pair(s, &pair)) {
        made.pair_at = s->pairs.count;
        MEM_LIST_PUSH(&s->pairs, pair);
    }
    join_only_child(s);
    MEM_LIST_PUSH(&s->commits, made);
    s->top = picked;
    return true;
}
