/* Planning with Gumbel noise (Danihelka, Guez, Schrittwieser, Silver, "Policy improvement by planning with
 * Gumbel", ICLR 2022): at the current root, the top candidates by noisy log-prior are halved in rounds over
 * the available simulations; below it, a visit goes to the child whose share of the improved policy most
 * exceeds its share of visits.
 *
 * Three things are as this search has them (docs/method.md 2.9): the logits are the log-priors (2.2) of the
 * candidates, which were sampled already; a state's own value before its first visit, the network's in the
 * paper, is 0, since rewards are changes of R (2.5); and at a root that was visited before it became the
 * root, halving counts the visits since then, while values and sigma use all. */
#include "search/rule.h"

#include <float.h>
#include <math.h>
#include <stddef.h>

typedef struct {
    int64_t max_considered;
    double c_visit, c_scale, gumbel_scale;
} gumbel_options;

enum {
    MOST_CHILDREN = 2052
}; /* more than a state can have: breadth, chains of the root probe, a gold step */

/* ---- values ---- */

static double logit(const tree_node *c) {
    return log(c->p > DBL_MIN ? c->p : DBL_MIN);
}

/* The softmax of log-priors plus `add` ([children], NULL: zeros) into out [children]. */
static void softmax(const tree_view *v, int32_t node, const double *add, double *out) {
    const tree_node *nodes = v->nodes;
    double most = -INFINITY, sum = 0;
    int32_t n = 0;
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling, n++) {
        out[n] = logit(&nodes[i]) + (add ? add[n] : 0);
        most = fmax(most, out[n]);
    }
    for (int32_t k = 0; k < n; k++) sum += out[k] = exp(out[k] - most);
    for (int32_t k = 0; k < n; k++) out[k] /= sum;
}

/* The value used for a child without visits: the mean of the visited children's Q weighted by prior, and the
 * state's own value before any visit (0), weighted by all visits against one (appendix D of the paper). */
static double mixed_value(const tree_view *v, int32_t node, const double *prior) {
    const tree_node *nodes = v->nodes;
    double visits = 0, sum = 0, weights = 0;
    int32_t k = 0;
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling, k++) {
        visits += nodes[i].N;
        if (nodes[i].N == 0) continue;
        sum += prior[k] * nodes[i].Q;
        weights += prior[k];
    }
    return weights > 0 ? visits * (sum / weights) / (1 + visits) : 0;
}

/* sigma of the completed Q, brought to 0 .. 1 among siblings: (c_visit + max N) c_scale q, into out
 * [children].
 */
static void sigma(const tree_view *v, const gumbel_options *o, int32_t node, double *out) {
    const tree_node *nodes = v->nodes;
    double low = INFINITY, high = -INFINITY, most = 0;
    softmax(v, node, NULL, out);
    double mixed = mixed_value(v, node, out);
    int32_t n = 0;
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling, n++) {
        out[n] = nodes[i].N > 0 ? nodes[i].Q : mixed;
        low = fmin(low, out[n]), high = fmax(high, out[n]), most = fmax(most, nodes[i].N);
    }
    double scale = (o->c_visit + most) * o->c_scale / fmax(high - low, 1e-8);
    for (int32_t k = 0; k < n; k++) out[k] = scale * (out[k] - low);
}

/* pi' = softmax(logits + sigma(completed Q)) */
static void improved_policy(const tree_view *v, const void *options, int32_t node, double *out) {
    double q[MOST_CHILDREN];
    sigma(v, options, node, q);
    softmax(v, node, q, out);
}

/* ---- the root ---- */

static double noise(const tree_view *v, const gumbel_options *o, int32_t node) {
    rng_key_t key = rng_mix(rng_mix(v->key, UINT64_C(0x67756d62656c)), (uint64_t)node); /* "gumbel" */
    double u = rng_uniform(key, 0) + 0x1p-54;                                           /* in (0, 1) */
    return o->gumbel_scale > 0 ? -o->gumbel_scale * log(-log(u)) : 0;
}

/* Visits of child number k since the root's simulations began. */
static int32_t visits_since(const tree_view *v, const tree_node *child, int32_t k) {
    return child->N - (k < v->before_count ? v->before[k] : 0);
}

/* Sequential halving of `considered` candidates over `simulations`: the number of visits that the candidate
 * has which is visited in simulation `index`. Each round visits all that are left equally often and then
 * keeps the better half, two at least. */
static int64_t visits_in_turn(int64_t considered, int64_t simulations, int64_t index) {
    if (considered <= 1) return index;
    int64_t rounds = 0, left = considered, visits = 0;
    while ((INT64_C(1) << rounds) < considered) rounds++;
    for (;;) {
        int64_t each = simulations / (rounds * left);
        if (each < 1) each = 1;
        if (index < each * left) return visits + index / left;
        index -= each * left;
        visits += each;
        left = left / 2 > 2 ? left / 2 : 2;
    }
}

/* The best child by noise + logit + sigma among those with `visits` visits since the simulations began; -1
 * without any. */
static int32_t best_of(const tree_view *v, const gumbel_options *o, int64_t visits) {
    const tree_node *nodes = v->nodes;
    double q[MOST_CHILDREN], most = -INFINITY;
    int32_t best = -1, k = 0;
    sigma(v, o, v->root, q);
    for (int32_t i = nodes[v->root].first_child; i >= 0; i = nodes[i].next_sibling, k++) {
        if (visits_since(v, &nodes[i], k) != visits) continue;
        double score = noise(v, o, i) + logit(&nodes[i]) + q[k];
        if (best < 0 || score > most) best = i, most = score;
    }
    return best;
}

static int32_t select_at_root(const tree_view *v, const gumbel_options *o) {
    const tree_node *nodes = v->nodes, *root = &nodes[v->root];
    int64_t index = 0;
    int32_t k = 0;
    for (int32_t i = root->first_child; i >= 0; i = nodes[i].next_sibling)
        index += visits_since(v, &nodes[i], k++);
    int64_t considered = root->children < o->max_considered ? root->children : o->max_considered;
    int32_t best = best_of(v, o, visits_in_turn(considered, v->simulations, index));
    return best >= 0 ? best : root->first_child;
}

/* ---- the rule ---- */

static int32_t select_child(const tree_view *v, const void *options, int32_t node) {
    if (node == v->root) return select_at_root(v, options);
    const tree_node *nodes = v->nodes;
    double policy[MOST_CHILDREN], visits = 0, most = -INFINITY;
    int32_t best = nodes[node].first_child, k = 0;
    improved_policy(v, options, node, policy);
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling) visits += nodes[i].N;
    for (int32_t i = nodes[node].first_child; i >= 0; i = nodes[i].next_sibling, k++) {
        double ahead = policy[k] - nodes[i].N / (1 + visits);
        if (ahead > most) most = ahead, best = i;
    }
    return best;
}

static void backup(tree_view *v, const void *options, int32_t leaf) {
    (void)options;
    rule_backup_mean(v, leaf, 0);
}

/* The best of those that halving left: of the children with most visits since the simulations began. */
static int32_t commit(const tree_view *v, const void *options) {
    const tree_node *nodes = v->nodes;
    int32_t most = 0, k = 0;
    for (int32_t i = nodes[v->root].first_child; i >= 0; i = nodes[i].next_sibling, k++)
        if (visits_since(v, &nodes[i], k) > most) most = visits_since(v, &nodes[i], k);
    return best_of(v, options, most);
}

/* clang-format off */
static const option options[] = {
    {.key = "max_considered", .type = OPTION_INT, .offset = offsetof(gumbel_options, max_considered), .flag = "--max-considered", .initial = "16", .low = 1, .high = 1024, .help = "candidates of the state that the search commits from among which simulations are shared out"},
    {.key = "c_visit", .type = OPTION_FLOAT, .offset = offsetof(gumbel_options, c_visit), .initial = "50", .low = 0, .high = 1e6, .help = "visits added to the most visited step's when values are weighed against priors"},
    {.key = "c_scale", .type = OPTION_FLOAT, .offset = offsetof(gumbel_options, c_scale), .initial = "0.1", .low = 0, .high = 1e6, .help = "weight of values against priors"},
    {.key = "gumbel_scale", .type = OPTION_FLOAT, .offset = offsetof(gumbel_options, gumbel_scale), .initial = "1", .low = 0, .high = 1e3, .help = "factor on the Gumbel noise; 0: no noise, the same choice every time"},
};
/* clang-format on */

const search_rule rule_gumbel = {
    .name = "gumbel",
    .about = "sequential halving with Gumbel noise at the root, the improved policy below it",
    .options = {options, sizeof options / sizeof *options},
    .simulations = rule_simulations,
    .select = select_child,
    .backup = backup,
    .commit = commit,
    .policy = improved_policy,
};
_Static_assert(sizeof(gumbel_options) <= sizeof(option_space), "the options fit into a recipe");
