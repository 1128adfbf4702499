/* Commitments (docs/method.md 2.7). */
#include "search/tree.h"

bool commit_child(search *s) {
    const tree_node *state = &s->nodes.at[s->top];
    if (!state->children) return false;
    tree_view v = tree_view_of(s);
    int32_t picked = s->rule->commit(&v, &s->config.rule_options);
    tree_commit made = {.state = s->top,
                        .depth = state->depth,
                        .child_count = state->children,
                        .children_at = s->snapshots.count,
                        .N = state->N,
                        .V = state->V,
                        .nodes = (int32_t)s->nodes.count};
    for (int32_t i = state->first_child; i >= 0; i = s->nodes.at[i].next_sibling) {
        const tree_node *c = &s->nodes.at[i];
        search_child child = {i, c->N, c->Q, c->V, s->details.at[i].R, c->p};
        if (i == picked) made.picked = (int32_t)(s->snapshots.count - made.children_at);
        MEM_LIST_PUSH(&s->snapshots, child);
    }
    MEM_LIST_PUSH(&s->commits, made);
    s->top = picked;
    return true;
}
