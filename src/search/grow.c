/* Simulations of a rule that grows the tree from wherever it promises most (search_growth in search/rule.h):
 * candidates are asked for one at a time, and the simulation goes on with the first one that is accepted. */
#include "search/tree.h"

/* The simulation goes on at `node`, which is offered its candidates from now on. */
static void go_on(search *s, int32_t node) {
    s->at = node;
    s->offered = 0;
    s->best_offer = -1;
}

bool grow_begin(search *s) {
    tree_view v = tree_view_of(s);
    int32_t from = s->rule->growth->start(&v, &s->config.rule_options);
    if (from < 0) return false;
    go_on(s, from);
    s->stopped = false;
    return true;
}

bool grow_ends(const search *s) {
    return s->stopped || s->nodes.at[s->at].ended;
}

/* Whether C~ says anything: without a judge it is the same everywhere. */
static bool is_judged(const search *s) {
    return s->config.rewards.judge && !s->config.calibration.off;
}

static void take(search *s, int32_t child) {
    tree_view v = tree_view_of(s);
    s->stopped = is_judged(s) && s->rule->growth->stop(&v, &s->config.rule_options, child);
    go_on(s, child);
}

static bool is_accepted(const search *s, const tree_view *v, int32_t state, int32_t offer) {
    return !is_judged(s) || s->rule->growth->accept(v, &s->config.rule_options, state, offer);
}

void grow_offer(search *s) {
    tree_view v = tree_view_of(s);
    int32_t state = s->at, offer = s->landed.count ? s->landed.at[0] : -1;
    if (offer < 0 && s->best_offer < 0) {
        s->stopped = true; /* a dead end */
        return;
    }
    s->offered++;
    if (offer >= 0 && (s->best_offer < 0 || v.confidence[offer] > v.confidence[s->best_offer]))
        s->best_offer = offer;
    if (offer >= 0 && is_accepted(s, &v, state, offer))
        take(s, offer);
    else if (offer < 0 || s->offered >= tree_breadth(s, state))
        take(s, s->best_offer);
}
