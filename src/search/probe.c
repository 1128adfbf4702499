/* The root probe: whole chains sampled from the root before any simulation, advanced together, so that common
 * steps make them one tree: where m of them have reached the same state, m candidates are asked for, and
 * equal candidates become one child. The samples are those of independent chains. */
#include "search/tree.h"

static void come_to(search *s, int32_t node, int32_t chains) {
    tree_probe entry = {node, chains};
    MEM_LIST_PUSH(&s->probe, entry);
}

void probe_begin(search *s) {
    come_to(s, s->top, (int32_t)s->config.limits.root_probe);
    s->phase = PHASE_PROBE;
}

/* Chains that end at `node`: each visits all nodes of its path (docs/method.md 2.6). */
static void end_chains(search *s, int32_t node, int32_t chains) {
    if (search_outcome_sign((search_outcome)s->nodes.at[node].outcome, s->details.at[node].O) > 0)
        s->probe_right += chains;
    for (int32_t i = 0; i < chains; i++) {
        tree_backup(s, node);
        tree_tell(s, node);
    }
}

bool probe_next(search *s, int32_t *chains) {
    while (s->probe_at < s->probe.count) {
        tree_probe entry = s->probe.at[s->probe_at];
        s->at = entry.node;
        *chains = entry.chains;
        if (!s->nodes.at[entry.node].ended) return true;
        probe_stay(s);
    }
    return false;
}

void probe_stay(search *s) {
    tree_probe entry = s->probe.at[s->probe_at++];
    end_chains(s, entry.node, entry.chains);
}

void probe_move(search *s) {
    tree_probe entry = s->probe.at[s->probe_at++];
    int32_t left = entry.chains;
    for (int32_t c = s->nodes.at[entry.node].first_child; c >= 0; c = s->nodes.at[c].next_sibling) {
        int32_t here = 0;
        for (int64_t i = 0; i < s->landed.count; i++) here += s->landed.at[i] == c;
        if (here) come_to(s, c, here);
        s->details.at[c].probed += here;
        left -= here;
    }
    end_chains(s, entry.node, left);
}

bool search_probe_all_right(const search *s) {
    return s->config.limits.root_probe > 0 && s->probe_right == s->config.limits.root_probe;
}
