/* The root probe: whole chains sampled from the root before any simulation, advanced together, so that they
 * are one tree by their common steps: where m of them stand at a state, m candidates are asked for, and equal
 * ones go on as one child. Sampling is that of independent chains. */
#include "search/tree.h"

static void stand_at(search *s, int32_t node, int32_t chains) {
    tree_standing entry = {node, chains};
    MEM_LIST_PUSH(&s->probe, entry);
}

void probe_begin(search *s) {
    stand_at(s, s->top, s->config.root_probe);
    s->phase = PHASE_PROBE;
}

/* Chains that end at `node`: each is a visit of all nodes on its way (2.6). */
static void end_chains(search *s, int32_t node, int32_t chains) {
    if (search_evidence_of(s, node) > 0) s->probe_right += chains;
    for (int32_t i = 0; i < chains; i++) {
        tree_backup(s, node);
        tree_tell(s, node);
    }
}

bool probe_next(search *s, int32_t *chains) {
    while (s->probe_at < s->probe.count) {
        tree_standing entry = s->probe.at[s->probe_at];
        s->at = entry.node;
        *chains = entry.chains;
        if (!s->nodes.at[entry.node].ended) return true;
        probe_stay(s);
    }
    return false;
}

void probe_stay(search *s) {
    tree_standing entry = s->probe.at[s->probe_at++];
    end_chains(s, entry.node, entry.chains);
}

void probe_move(search *s) {
    tree_standing entry = s->probe.at[s->probe_at++];
    int32_t left = entry.chains;
    for (int32_t c = s->nodes.at[entry.node].first_child; c >= 0; c = s->nodes.at[c].next_sibling) {
        int32_t here = 0;
        for (int64_t i = 0; i < s->landed.count; i++) here += s->landed.at[i] == c;
        if (here) stand_at(s, c, here);
        s->steps.at[c].probed += here;
        left -= here;
    }
    end_chains(s, entry.node, left);
}

bool probe_all_right(const search *s) {
    return s->config.root_probe > 0 && s->probe_right == s->config.root_probe;
}
