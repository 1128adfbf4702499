#include "loop/tree_pairs.h"

/* Of the steps from below `state` to `node`. */
static double path_logprob(const search *s, int32_t state, int32_t node) {
    double sum = 0;
    for (int32_t a = node; a > state; a = search_node_at(s, a).parent) sum += search_node_at(s, a).logprob;
    return sum;
}

store_pair tree_pairs_row(const search *s, const harvest_pair *p) {
    return (store_pair){.state = p->state,
                        .chosen = p->chosen_end,
                        .rejected = p->rejected_end,
                        .q_chosen = p->q_chosen,
                        .q_rejected = p->q_rejected,
                        .n_chosen = p->n_chosen,
                        .n_rejected = p->n_rejected,
                        .alpha = p->alpha,
                        .policy_logp_chosen = path_logprob(s, p->state, p->chosen_end),
                        .policy_logp_rejected = path_logprob(s, p->state, p->rejected_end)};
}
