#include "loop/tree_pairs.h"

#include <math.h>

static store_pair row_of(const harvest_pair *p) {
    return (store_pair){.state = p->state,
                        .chosen = p->chosen,
                        .rejected = p->rejected,
                        .joined = p->joined,
                        .q_chosen = p->q_chosen,
                        .q_rejected = p->q_rejected,
                        .n_chosen = p->n_chosen,
                        .n_rejected = p->n_rejected,
                        .alpha = p->alpha};
}

/* Log-prob of the committed steps that join both steps of the pair. */
static double joined_logprob(const search *s, const harvest_pair *p) {
    double sum = 0;
    for (int32_t i = 1; i <= p->joined; i++) {
        search_commitment c = search_commitment_at(s, p->commitment + i);
        sum += search_node_at(s, c.children[c.picked].node).logprob;
    }
    return sum;
}

store_pair tree_pairs_step(const search *s, const harvest_pair *pair) {
    store_pair row = row_of(pair);
    row.policy_logp_chosen = search_node_at(s, pair->chosen).logprob + joined_logprob(s, pair);
    row.policy_logp_rejected = pair->joined ? NAN : search_node_at(s, pair->rejected).logprob;
    return row;
}

static double path_logprob(const search *s, int32_t node) {
    double sum = 0;
    for (int32_t a = node; a > 0; a = search_node_at(s, a).parent) sum += search_node_at(s, a).logprob;
    return sum;
}

store_pair tree_pairs_chain(const search *s, const harvest_pair *pair) {
    store_pair row = row_of(pair);
    row.policy_logp_chosen = path_logprob(s, pair->chosen);
    row.policy_logp_rejected = path_logprob(s, pair->rejected);
    return row;
}
