#include "search/rule.h"

/* The table: rule_NAME, one per file in search/rules/. */
#define RULE_LIST(row) row(puct) row(gumbel) row(widening)

#define DECLARE(name) extern const search_rule rule_##name;
#define POINT(name)   &rule_##name,
RULE_LIST(DECLARE)
static const search_rule *const rules[] = {RULE_LIST(POINT)};
enum { RULES = sizeof rules / sizeof *rules };

const search_rule *search_rule_at(int index) {
    return index >= 0 && index < RULES ? rules[index] : NULL;
}

const char *search_rule_name(int index) {
    const search_rule *rule = search_rule_at(index);
    return rule ? rule->name : NULL;
}

const char *search_rule_about(int index) {
    const search_rule *rule = search_rule_at(index);
    return rule ? rule->about : NULL;
}

int64_t rule_simulations(const tree_view *v, const void *options, const search_limits *limits) {
    (void)options;
    return limits->simulations * (v->nodes[v->root].depth == 0 ? limits->root_multiplier : 1);
}

void rule_policy_of_visits(const tree_view *v, const void *options, int32_t node, double *out) {
    (void)options;
    const tree_node *nodes = v->nodes;
    double visits = 0, priors = 0;
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling)
        visits += nodes[i].N, priors += nodes[i].p;
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling)
        *out++ = visits > 0 ? nodes[i].N / visits : nodes[i].p / priors;
}

/* Q of the children of `node` and then its V, which stays as it is where no child has a weight. */
static void update_value(tree_view *v, tree_node *node, int32_t least) {
    double sum = 0, weights = 0;
    for (int32_t i = node->first_child; i >= 0;) {
        tree_node *c = &v->nodes[i];
        i = c->next_sibling;
        double weight = c->N > least ? c->N : least;
        c->Q = c->r + v->gamma * c->V;
        sum += weight * c->Q;
        weights += weight;
    }
    if (weights > 0) node->V = sum / weights;
}

void rule_backup_mean(tree_view *v, int32_t leaf, int32_t least) {
    for (int32_t at = leaf;; at = v->nodes[at].parent) {
        tree_node *node = &v->nodes[at];
        if (node->children) update_value(v, node, least);
        node->N++;
        if (at == v->root) return;
    }
}
