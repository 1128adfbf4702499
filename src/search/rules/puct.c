/* PUCT (docs/method.md 2.1, 2.6, 2.7), with the habits of the method's public code (2.8) as options. */
#include "search/rules/puct.h"

#include <math.h>
#include <stddef.h>

static void begin(tree_view *v, const void *options) {
    const puct_options *o = options;
    if (o->root_counts_twice) v->nodes[v->root].N++;
}

static int32_t select_child(const tree_view *v, const void *options, int32_t parent) {
    const puct_options *o = options;
    const tree_node *nodes = v->nodes, *above = &nodes[parent];
    double root_of_N = sqrt((double)above->N), best = -INFINITY, c_puct = o->c_puct;
    int32_t chosen = above->first_child;
    for (int32_t i = above->first_child; i >= 0; i = nodes[i].next_sibling) {
        const tree_node *c = &nodes[i];
        double score = c->Q + c_puct * c->p * root_of_N / (1 + (double)c->N);
        if (score > best) best = score, chosen = i;
    }
    return chosen;
}

static void backup(tree_view *v, const void *options, int32_t leaf) {
    const puct_options *o = options;
    rule_backup_mean(v, leaf, o->unvisited_counts_one ? 1 : 0);
}

/* ---- commitment ---- */

/* Compared entry by entry; the larger wins, and of equals the first sibling. */
typedef struct {
    double by[3];
} rank;

static bool above(rank a, rank b) {
    for (int i = 0; i < 3; i++)
        if (a.by[i] != b.by[i]) return a.by[i] > b.by[i];
    return false;
}

/* Largest N less smallest N over a node's own children; 0 without children. */
static int32_t spread(const tree_view *v, const tree_node *node) {
    if (!node->children) return 0;
    const tree_node *nodes = v->nodes;
    int32_t least = nodes[node->first_child].N, most = least;
    for (int32_t i = nodes[node->first_child].next_sibling; i >= 0; i = nodes[i].next_sibling) {
        if (nodes[i].N < least) least = nodes[i].N;
        if (nodes[i].N > most) most = nodes[i].N;
    }
    return most - least;
}

static rank commit_rank(const tree_view *v, const puct_options *o, const tree_node *c) {
    switch (o->commit) {
    case PUCT_COMMIT_VISITS:
        return (rank){{c->N, c->Q}};
    case PUCT_COMMIT_VISITS_TIMES_SPREAD:
        return (rank){{(double)c->N * (1 + (double)spread(v, c)), c->Q, c->V}};
    case PUCT_COMMIT_Q:
        break;
    }
    return (rank){{c->N > 0 ? c->Q : -INFINITY, c->N}};
}

static int32_t commit(const tree_view *v, const void *options) {
    const tree_node *nodes = v->nodes;
    int32_t best = nodes[v->root].first_child;
    for (int32_t i = nodes[best].next_sibling; i >= 0; i = nodes[i].next_sibling)
        if (above(commit_rank(v, options, &nodes[i]), commit_rank(v, options, &nodes[best]))) best = i;
    return best;
}

/* clang-format off */
static const option options[] = {
    {.key = "c_puct", .type = OPTION_FLOAT, .offset = offsetof(puct_options, c_puct), .flag = "--c-puct", .initial = "1", .low = 0, .high = 1e6, .help = "weight of exploration: higher tries unlikely and rarely visited steps more"},
    {.key = "commit", .type = OPTION_ENUM, .offset = offsetof(puct_options, commit), .choices = "visits|visits_times_spread|q", .flag = "--commit", .initial = "visits", .help = "step that the search commits to: the one with most visits, with the largest product of visits and 1 + the spread of visits below it, or with the largest value"},
    {.key = "unvisited_counts_one", .type = OPTION_BOOL, .offset = offsetof(puct_options, unvisited_counts_one), .initial = "false", .help = "in the value of a state, count an unvisited step as visited once (habit of the paper's code)"},
    {.key = "root_counts_twice", .type = OPTION_BOOL, .offset = offsetof(puct_options, root_counts_twice), .initial = "false", .help = "count each simulation as two visits of the state that it starts from (habit of the paper's code)"},
};
/* clang-format on */

const search_rule rule_puct = {
    .name = "puct",
    .about = "value plus exploration by prior and visits, as in AlphaZero",
    .options = {options, sizeof options / sizeof *options},
    .simulations = rule_simulations,
    .begin = begin,
    .select = select_child,
    .backup = backup,
    .commit = commit,
    .policy = rule_policy_of_visits,
};
_Static_assert(sizeof(puct_options) <= sizeof(option_space), "the options fit into a recipe");
