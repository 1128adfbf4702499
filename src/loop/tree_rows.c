#include "loop/tree_rows.h"

#include <string.h>

rng_key_t tree_rows_key(int64_t seed, int64_t iteration, int64_t problem, int64_t turn) {
    rng_key_t key = rng_mix(rng_mix(rng_key((uint64_t)seed), (uint64_t)iteration), (uint64_t)problem);
    return turn ? rng_mix(key, (uint64_t)turn) : key;
}

/* ---- a tree to rows ---- */

static uint32_t flags_of(const search *s, const search_node *n) {
    uint32_t flags = 0;
    if (search_outcome_is_finished(n->outcome)) flags |= STORE_NODE_FINISHED;
    if (n->outcome == SEARCH_FINISHED_UNKNOWN) flags |= STORE_NODE_UNKNOWN;
    if (n->outcome == SEARCH_CUT) flags |= STORE_NODE_CUT;
    if (n->gold) flags |= STORE_NODE_GOLD;
    if (search_config_of(s)->rewards.judge && n->parent >= 0) flags |= STORE_NODE_JUDGED;
    return flags | (uint32_t)n->probed << STORE_NODE_PROBED_SHIFT;
}

void tree_rows_nodes(const search *s, store_node *out) {
    for (int32_t i = 0; i < search_node_count(s); i++) {
        search_node n = search_node_at(s, i);
        out[i] = (store_node){.index = i,
                              .parent = n.parent,
                              .depth = n.depth,
                              .ids = n.ids,
                              .logprobs = n.logprobs,
                              .count = n.n,
                              .visits = n.N,
                              .logprob = n.logprob,
                              .q = n.Q,
                              .v = n.V,
                              .r = n.R,
                              .prior = n.p,
                              .confidence = n.C,
                              .outcome = n.O,
                              .flags = flags_of(s, &n)};
    }
    for (int32_t a = search_top(s); a >= 0; a = search_node_at(s, a).parent)
        out[a].flags |= STORE_NODE_COMMITTED;
}

store_commitment tree_rows_commitment(const search *s, int32_t index, const harvest_pair *pair) {
    search_commitment c = search_commitment_at(s, index);
    return (store_commitment){.step = index,
                              .state = c.state,
                              .picked = c.children[c.picked].node,
                              .chosen = pair ? pair->chosen : -1,
                              .rejected = pair ? pair->rejected : -1};
}

void tree_rows_tree(const search *s, store_tree *out) {
    out->final_node = search_top(s);
    out->outcome = search_node_at(s, search_top(s)).O;
    out->simulations = search_stats_of(s).simulations;
    out->finished = out->right = out->unknown = 0;
    for (int32_t i = 0; i < search_node_count(s); i++) {
        search_node n = search_node_at(s, i);
        bool finished = search_outcome_is_finished(n.outcome);
        out->finished += finished;
        out->right += finished && search_outcome_sign(n.outcome, n.O) > 0;
        out->unknown += n.outcome == SEARCH_FINISHED_UNKNOWN;
    }
}

/* ---- rows to replies ---- */

static int64_t probed(const store_node *n) {
    return n->flags >> STORE_NODE_PROBED_SHIFT;
}

static bool is_gold(const store_node *n, const search_request *asked) {
    return asked->wants_gold && (n->flags & STORE_NODE_GOLD);
}

/* Nodes of one reply follow each other. The chains of the root probe and later candidates of the same node
 * come in different replies. */
static int64_t nodes_of_reply(const search_request *asked, const store_node *nodes, int64_t count,
                              int64_t first) {
    int64_t n = 0, most = asked->in_turn ? asked->count : count;
    while (n < most && first + n < count && nodes[first + n].parent == asked->node &&
           (is_gold(&nodes[first + n], asked) || !probed(&nodes[first + n]) == !probed(&nodes[first])))
        n++;
    return n;
}

/* How many candidates became this node: each chain of the root probe that went on to it, and the gold one. */
static int64_t candidates_of(const store_node *n, const search_request *asked) {
    return probed(n) ? probed(n) + is_gold(n, asked) : 1;
}

static search_candidate candidate_of(const store_node *n, bool gold) {
    search_outcome outcome = n->flags & STORE_NODE_UNKNOWN    ? SEARCH_FINISHED_UNKNOWN
                             : n->flags & STORE_NODE_FINISHED ? SEARCH_SCORED
                             : n->flags & STORE_NODE_CUT      ? SEARCH_CUT
                                                              : SEARCH_OPEN;
    return (search_candidate){.n = (int32_t)n->count,
                              .logprob = n->logprob,
                              .text_key = (uint64_t)n->index,
                              .outcome = outcome,
                              .reward = n->outcome,
                              .gold = gold};
}

int32_t tree_rows_candidates(const search_request *asked, const store_node *nodes, int64_t count,
                             int32_t first, search_candidate *out) {
    int64_t n = nodes_of_reply(asked, nodes, count, first), most = (int64_t)asked->count + asked->wants_gold;
    int32_t filled = 0;
    for (int64_t i = first; i < first + n; i++) {
        int64_t copies = candidates_of(&nodes[i], asked);
        if (copies > most - filled) return -1;
        for (int64_t j = 1; j <= copies; j++)
            out[filled++] = candidate_of(&nodes[i], j == copies && is_gold(&nodes[i], asked));
    }
    return filled;
}

void tree_rows_confidences(const search_request *asked, const store_node *nodes, double *out) {
    for (int32_t i = 0; i < asked->count; i++) out[i] = nodes[asked->node + i].confidence;
}
