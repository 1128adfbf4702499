/* Read access: for the run store, the pictures, the learner and votes at evaluation. */
#include "search/tree.h"

const search_config *search_config_of(const search *s) {
    return &s->config;
}
int32_t search_node_count(const search *s) {
    return (int32_t)s->nodes.count;
}
int32_t search_top(const search *s) {
    return s->top;
}
bool search_is_done(const search *s) {
    return s->phase == PHASE_DONE;
}
int32_t search_commitment_count(const search *s) {
    return (int32_t)s->commits.count;
}

search_node search_node_at(const search *s, int32_t index) {
    const tree_node *n = &s->nodes.at[index];
    const tree_node_detail *t = &s->details.at[index];
    return (search_node){.parent = n->parent,
                         .depth = n->depth,
                         .first_child = n->first_child,
                         .next_sibling = n->next_sibling,
                         .children = n->children,
                         .candidate = t->candidate,
                         .probed = t->probed,
                         .n = t->n,
                         .ids = t->ids_at < 0 ? NULL : s->ids.at + t->ids_at,
                         .logprobs = t->logprobs_at < 0 ? NULL : s->logprobs.at + t->logprobs_at,
                         .logprob = t->logprob,
                         .text_key = t->text_key,
                         .N = n->N,
                         .Q = n->Q,
                         .V = n->V,
                         .R = t->R,
                         .r = n->r,
                         .p = n->p,
                         .C = t->C,
                         .O = t->O,
                         .outcome = (search_outcome)n->outcome,
                         .expanded = n->expanded || t->asked > 0,
                         .gold = n->gold != 0};
}

search_commitment search_commitment_at(const search *s, int32_t index) {
    const tree_commit *c = &s->commits.at[index];
    return (search_commitment){.state = c->state,
                               .depth = c->depth,
                               .N = c->N,
                               .V = c->V,
                               .children = s->snapshots.at + c->children_at,
                               .child_count = c->child_count,
                               .picked = c->picked,
                               .nodes = c->nodes};
}

void search_policy_at(const search *s, int32_t node, double *out) {
    tree_view v = tree_view_of(s);
    s->rule->policy(&v, &s->config.rule_options, node, out);
}

search_stats search_stats_of(const search *s) {
    search_stats stats = s->stats;
    stats.bytes =
        sizeof *s + (size_t)s->nodes.capacity * sizeof *s->nodes.at +
        (size_t)s->details.capacity * sizeof *s->details.at +
        (size_t)s->confidence.capacity * sizeof *s->confidence.at +
        (size_t)s->ids.capacity * sizeof *s->ids.at + (size_t)s->logprobs.capacity * sizeof *s->logprobs.at +
        (size_t)s->commits.capacity * sizeof *s->commits.at +
        (size_t)s->snapshots.capacity * sizeof *s->snapshots.at +
        (size_t)s->before.capacity * sizeof *s->before.at + (size_t)s->probe.capacity * sizeof *s->probe.at +
        (size_t)s->landed.capacity * sizeof *s->landed.at;
    return stats;
}

bool search_outcome_is_finished(search_outcome outcome) {
    return outcome != SEARCH_OPEN && outcome != SEARCH_CUT;
}
bool search_outcome_is_ended(search_outcome outcome) {
    return outcome != SEARCH_OPEN;
}

int search_outcome_sign(search_outcome outcome, double O) {
    switch (outcome) {
    case SEARCH_RIGHT:
        return 1;
    case SEARCH_WRONG:
        return -1;
    case SEARCH_SCORED:
        return (O > 0) - (O < 0);
    case SEARCH_CUT:
        return O < 0 ? -1 : 0;
    case SEARCH_OPEN:
    case SEARCH_FINISHED_UNKNOWN:
        break;
    }
    return 0;
}

int32_t search_next_finished(const search *s, int32_t from) {
    for (int32_t i = from < 0 ? 0 : from; i < s->nodes.count; i++)
        if (s->nodes.at[i].N > 0 && search_outcome_is_finished((search_outcome)s->nodes.at[i].outcome))
            return i;
    return -1;
}

int32_t search_path(const search *s, int32_t node, int32_t *out) {
    int32_t depth = s->nodes.at[node].depth;
    for (int32_t at = node, i = depth; i > 0; at = s->nodes.at[at].parent) out[--i] = at;
    return depth;
}

int64_t search_path_ids(const search *s, int32_t node, int32_t *out) {
    int64_t total = 0;
    for (int32_t at = node; at >= 0; at = s->nodes.at[at].parent)
        if (s->details.at[at].ids_at >= 0) total += s->details.at[at].n;
    if (!out) return total;
    int64_t end = total;
    for (int32_t at = node; at >= 0; at = s->nodes.at[at].parent) {
        const tree_node_detail *t = &s->details.at[at];
        if (t->ids_at < 0) continue;
        end -= t->n;
        for (int32_t i = 0; i < t->n; i++) out[end + i] = s->ids.at[t->ids_at + i];
    }
    return total;
}
