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
int32_t search_step_count(const search *s) {
    return (int32_t)s->commits.count;
}

search_node search_node_at(const search *s, int32_t index) {
    const tree_node *n = &s->nodes.at[index];
    const tree_step *t = &s->steps.at[index];
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

search_step search_step_at(const search *s, int32_t index) {
    const tree_commit *c = &s->commits.at[index];
    return (search_step){.state = c->state,
                         .depth = c->depth,
                         .N = c->N,
                         .V = c->V,
                         .children = s->snapshots.at + c->children_at,
                         .child_count = c->child_count,
                         .picked = c->picked,
                         .has_pair = c->pair_at >= 0,
                         .pair = c->pair_at >= 0 ? s->pairs.at[c->pair_at] : (search_pair){0}};
}

int32_t search_pair_count(const search *s) {
    if (s->config.only_if_right && !s->last_best_right) return 0;
    int32_t count = (int32_t)s->pairs.count;
    return s->config.max_pairs && count > s->config.max_pairs ? s->config.max_pairs : count;
}

search_pair search_pair_at(const search *s, int32_t index) {
    return s->pairs.at[index];
}

search_stats search_stats_of(const search *s) {
    search_stats stats = s->stats;
    stats.bytes =
        sizeof *s + (size_t)s->nodes.capacity * sizeof *s->nodes.at +
        (size_t)s->steps.capacity * sizeof *s->steps.at + (size_t)s->ids.capacity * sizeof *s->ids.at +
        (size_t)s->logprobs.capacity * sizeof *s->logprobs.at +
        (size_t)s->commits.capacity * sizeof *s->commits.at +
        (size_t)s->snapshots.capacity * sizeof *s->snapshots.at +
        (size_t)s->pairs.capacity * sizeof *s->pairs.at + (size_t)s->probe.capacity * sizeof *s->probe.at +
        (size_t)s->landed.capacity * sizeof *s->landed.at;
    return stats;
}

bool search_outcome_is_finished(search_outcome outcome) {
    return outcome != SEARCH_OPEN && outcome != SEARCH_CUT;
}
bool search_outcome_is_ended(search_outcome outcome) {
    return outcome != SEARCH_OPEN;
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
        if (s->steps.at[at].ids_at >= 0) total += s->steps.at[at].n;
    if (!out) return total;
    int64_t end = total;
    for (int32_t at = node; at >= 0; at = s->nodes.at[at].parent) {
        const tree_step *t = &s->steps.at[at];
        if (t->ids_at < 0) continue;
        end -= t->n;
        for (int32_t i = 0; i < t->n; i++) out[end + i] = s->ids.at[t->ids_at + i];
    }
    return total;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

uint64_t search_text_key(const char *text, size_t length) {
    /* FNV-1a with 64 bits (Fowler, Noll, Vo), over the collapsed text, which is never written down. */
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    bool gap = false, begun = false;
    for (size_t i = 0; i < length; i++) {
        if (is_space(text[i])) {
            gap = begun;
            continue;
        }
        if (gap) hash = (hash ^ (uint64_t)' ') * UINT64_C(0x100000001b3);
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
        gap = false;
        begun = true;
    }
    return hash;
}
