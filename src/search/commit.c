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
    const tree_node *children = &s->nodes.at[node->first_child];
    int32_t least = children[0].N, most = least;
    for (int32_t i = 1; i < node->children; i++) {
        if (children[i].N < least) least = children[i].N;
        if (children[i].N > most) most = children[i].N;
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

static int32_t pick(const search *s, const tree_node *children, int32_t count) {
    int32_t best = 0;
    for (int32_t i = 1; i < count; i++)
        if (above(commit_rank(s, &children[i]), commit_rank(s, &children[best]))) best = i;
    return best;
}

/* (4.1) May this child stand in a pair? */
static bool may_pair(const search *s, const tree_node *c) {
    return s->config.pairs_from == SEARCH_PAIRS_ALL || c->N > 0;
}

/* (4.1) The largest (sign 1) or smallest (sign -1) Q among children that may stand in a pair; -1 without any.
 */
static int32_t extreme(const search *s, const tree_node *children, int32_t count, double sign) {
    int32_t best = -1;
    for (int32_t i = 0; i < count; i++)
        if (may_pair(s, &children[i]) && (best < 0 || sign * children[i].Q > sign * children[best].Q))
            best = i;
    return best;
}

/* (code) A random one of the children that may stand in a pair, `but` excepted; -1 without any. */
static int32_t random_sibling(const search *s, const tree_node *children, int32_t count, int32_t but) {
    uint64_t others = 0;
    for (int32_t i = 0; i < count; i++) others += i != but && may_pair(s, &children[i]);
    if (!others) return -1;
    /* Candidates are sampled under rng_mix(key, node); one word more keeps this draw apart from theirs. */
    rng_key_t key = rng_mix(rng_mix(s->key, (uint64_t)s->top), UINT64_C(0x6c6f736572)); /* "loser" */
    uint64_t turn = rng_below(key, 0, others);
    for (int32_t i = 0; i < count; i++)
        if (i != but && may_pair(s, &children[i]) && turn-- == 0) return i;
    return -1;
}

/* (4.2) */
static double smoothing(const search_config *c, int32_t n_chosen, int32_t n_rejected) {
    double alpha = (double)n_rejected / ((n_chosen > 1 ? (double)n_chosen : 1.0) + (double)n_rejected);
    return alpha < c->smoothing_cap ? alpha : c->smoothing_cap;
}

/* (4.1) Reads the pair of the commitment that is being made, if there is one. */
static bool read_pair(search *s, search_pair *out) {
    const tree_node *state = &s->nodes.at[s->top], *children = &s->nodes.at[state->first_child];
    int32_t count = state->children, best = extreme(s, children, count, 1);
    s->last_best_right = false;
    if (best < 0) return false;
    s->last_best_right =
        children[best].outcome == SEARCH_RIGHT ||
        (children[best].outcome == SEARCH_SCORED && s->steps.at[state->first_child + best].O > 0);
    int32_t worst = s->config.loser == SEARCH_LOSER_RANDOM_SIBLING ? random_sibling(s, children, count, best)
                                                                   : extreme(s, children, count, -1);
    if (worst < 0) return false;
    const tree_node *w = &children[best], *l = &children[worst];
    if (!(w->Q - l->Q > s->config.min_q_gap)) return false;
    *out = (search_pair){.step = (int32_t)s->commits.count,
                         .state = s->top,
                         .chosen = state->first_child + best,
                         .rejected = state->first_child + worst,
                         .q_chosen = w->Q,
                         .q_rejected = l->Q,
                         .n_chosen = w->N,
                         .n_rejected = l->N,
                         .alpha = smoothing(&s->config, w->N, l->N)};
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
    const tree_node *children = &s->nodes.at[state->first_child];
    tree_commit made = {.state = s->top,
                        .depth = state->depth,
                        .child_count = state->children,
                        .picked = pick(s, children, state->children),
                        .children_at = s->snapshots.count,
                        .N = state->N,
                        .V = state->V,
                        .pair_at = -1};
    for (int32_t i = 0; i < state->children; i++) {
        const tree_node *c = &children[i];
        search_child child = {state->first_child + i, c->N, c->Q, c->V, c->R, c->p};
        MEM_LIST_PUSH(&s->snapshots, child);
    }
    search_pair pair;
    if (read_pair(s, &pair)) {
        made.pair_at = s->pairs.count;
        MEM_LIST_PUSH(&s->pairs, pair);
    }
    join_only_child(s);
    MEM_LIST_PUSH(&s->commits, made);
    s->top = state->first_child + made.picked;
    return true;
}
