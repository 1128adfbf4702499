/* Verified widening (docs/method.md 2.9b): the judge decides how many candidates a state gets, and where the
 * next chain begins. Candidates come one at a time; one is taken when the judge trusts it nearly as much as
 * the state before it, and after `breadth` of them the most trusted one. The next chain begins at the most
 * promising state of the whole tree, not at a committed root. The tree is done at its first correct chain.
 *
 * C~ is the calibrated confidence (search/confidence.h). Without self-evaluation every candidate is taken,
 * and the tree is one of single chains from its least visited states. */
#include "search/rule.h"
#include "search/search.h"

#include <stddef.h>

typedef struct {
    double accept;     /* rho */
    double stop_below; /* tau */
} widening_options;

/* ---- growth ---- */

/* C~ (1 - N / (N + 2)) */
static double promise(const tree_view *v, int32_t node) {
    double visits = v->nodes[node].N;
    return v->confidence[node] * (1 - visits / (visits + 2));
}

/* The most promising visited state of the tree (of equals the first), the problem's own at first; -1 where a
 * correct chain was found or nothing is left. */
static int32_t start(const tree_view *v, const void *options) {
    (void)options;
    int32_t best = -1;
    for (int32_t i = 0; i < v->count; i++) {
        const tree_node *n = &v->nodes[i];
        if (n->sign > 0) return -1;
        if (n->ended || (n->N == 0 && n->parent >= 0)) continue;
        if (best < 0 || promise(v, i) > promise(v, best)) best = i;
    }
    return best;
}

static bool accept(const tree_view *v, const void *options, int32_t state, int32_t child) {
    const widening_options *o = options;
    return v->nodes[child].sign > 0 || v->confidence[child] >= o->accept * v->confidence[state];
}

static bool stop(const tree_view *v, const void *options, int32_t child) {
    const widening_options *o = options;
    return v->confidence[child] < o->stop_below;
}

static const search_growth growth = {.start = start, .accept = accept, .stop = stop};

/* ---- the answer ---- */

/* How good a node is as the answer: 3 the end of a correct chain, 2 of another one that was finished, 1 a
 * visited state, 0 one that no chain goes through. */
static int answer_kind(const tree_node *n) {
    if (n->sign > 0) return 3;
    if (n->N == 0) return 0;
    return n->ended && n->outcome != SEARCH_CUT ? 2 : 1;
}

/* Of equal kind a finished chain that the judge trusts more, and a state that is deeper, is better; the first
 * of equals. */
static bool is_better(const tree_view *v, int32_t a, int32_t b) {
    const tree_node *x = &v->nodes[a], *y = &v->nodes[b];
    int kind = answer_kind(x);
    if (kind != answer_kind(y)) return kind > answer_kind(y);
    if (kind != 2 && x->depth != y->depth) return x->depth > y->depth;
    return v->confidence[a] > v->confidence[b];
}

/* The child of the current root on the way to `node`, or -1. */
static int32_t child_towards(const tree_view *v, int32_t node) {
    while (node >= 0 && v->nodes[node].parent != v->root) node = v->nodes[node].parent;
    return node;
}

/* Towards the best answer below the current root. */
static int32_t commit(const tree_view *v, const void *options) {
    (void)options;
    int32_t best = v->nodes[v->root].first_child;
    for (int32_t i = v->root + 1; i < v->count; i++)
        if (is_better(v, i, best) && child_towards(v, i) >= 0) best = i;
    return child_towards(v, best);
}

static void backup(tree_view *v, const void *options, int32_t leaf) {
    (void)options;
    rule_backup_mean(v, leaf, 0);
}

/* clang-format off */
static const option options[] = {
    {.key = "accept", .type = OPTION_FLOAT, .offset = offsetof(widening_options, accept), .initial = "0.8", .low = 0, .high = 100, .help = "a candidate is taken at once where the judge's confidence in it is at least this share of that in the state before it; after `breadth` candidates the best is taken"},
    {.key = "stop_below", .type = OPTION_FLOAT, .offset = offsetof(widening_options, stop_below), .initial = "0", .low = 0, .high = 1, .help = "a solution is not continued after a step in which the judge's confidence is below this; 0: off"},
};
/* clang-format on */

const search_rule rule_widening = {
    .name = "widening",
    .about =
        "candidates one at a time until the judge accepts one, from the most promising state of the tree",
    .options = {options, sizeof options / sizeof *options},
    .growth = &growth,
    .simulations = rule_simulations,
    .backup = backup,
    .commit = commit,
    .policy = rule_policy_of_visits,
};
_Static_assert(sizeof(widening_options) <= sizeof(option_space), "the options fit into a recipe");
