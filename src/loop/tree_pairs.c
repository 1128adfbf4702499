#include "loop/tree_pairs.h"

#include "learn/pairs.h"

#include <math.h>

/* Log-prob of the committed steps that join both steps of the pair. */
static double joined_logprob(const search *s, const search_pair *p) {
    double sum = 0;
    for (int32_t i = 1; i <= p->joined; i++) {
        search_step c = search_step_at(s, p->step + i);
        sum += search_node_at(s, c.children[c.picked].node).logprob;
    }
    return sum;
}

store_pair tree_pairs_step(const search *s, int32_t index) {
    search_pair p = search_pair_at(s, index);
    search_node chosen = search_node_at(s, p.chosen), rejected = search_node_at(s, p.rejected);
    return (store_pair){.state = p.state,
                        .chosen = p.chosen,
                        .rejected = p.rejected,
                        .joined = p.joined,
                        .q_chosen = p.q_chosen,
                        .q_rejected = p.q_rejected,
                        .n_chosen = p.n_chosen,
                        .n_rejected = p.n_rejected,
                        .alpha = p.alpha,
                        .policy_logp_chosen = chosen.logprob + joined_logprob(s, &p),
                        .policy_logp_rejected = p.joined ? NAN : rejected.logprob};
}

static double path_logprob(const search *s, int32_t node) {
    double sum = 0;
    for (int32_t a = node; a > 0; a = search_node_at(s, a).parent) sum += search_node_at(s, a).logprob;
    return sum;
}

/* Label smoothing between two whole chains (docs/method.md 4.2). */
static double instance_smoothing(const search *s, int32_t chosen, int32_t rejected) {
    const search_config *c = search_config_of(s);
    if (c->smoothing == SEARCH_SMOOTHING_VISITS)
        return pairs_smoothing((double)search_node_at(s, chosen).N, (double)search_node_at(s, rejected).N,
                               c->smoothing_cap);
    int w = search_evidence_of(s, chosen), l = search_evidence_of(s, rejected);
    return fmin(search_order_doubt(w > 0, w<0, l> 0, l < 0), c->smoothing_cap);
}

bool tree_pairs_instance(const search *s, store_pair *out) {
    int32_t best = -1, worst = -1;
    for (int32_t n = search_next_finished(s, 0); n >= 0; n = search_next_finished(s, n + 1)) {
        if (best < 0 || search_node_at(s, n).R > search_node_at(s, best).R) best = n;
        if (worst < 0 || search_node_at(s, n).R < search_node_at(s, worst).R) worst = n;
    }
    if (best < 0) return false;
    search_node w = search_node_at(s, best), l = search_node_at(s, worst);
    if (!(w.R - l.R > search_config_of(s)->min_q_gap)) return false;
    *out = (store_pair){.state = 0,
                        .chosen = best,
                        .rejected = worst,
                        .q_chosen = w.R,
                        .q_rejected = l.R,
                        .n_chosen = w.N,
                        .n_rejected = l.N,
                        .alpha = instance_smoothing(s, best, worst),
                        .policy_logp_chosen = path_logprob(s, best),
                        .policy_logp_rejected = path_logprob(s, worst)};
    return true;
}
