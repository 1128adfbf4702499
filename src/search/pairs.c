/* Pairs of a whole tree, and how far an order is in doubt (METHOD.md 4.1, 4.2). */
#include "search/tree.h"

#include <math.h>
#include <stdlib.h>

/* ---- (4.2) doubt ---- */

/* log(exp(a) + exp(b)) */
static double log_add(double a, double b) {
    double high = a > b ? a : b, low = a > b ? b : a;
    return low == -INFINITY ? high : high + log1p(exp(low - high));
}

/* With X ~ Beta(a, b) of the chosen step and Y ~ Beta(c, d) of the rejected one, whole parameters:
 *   P(Y > X) = sum over i < c of B(a + i, b + d) / ((d + i) B(1 + i, d) B(a, b)),
 * the chance that of so many draws in a row the first i, and no more, of Y's fall to the other side (E.
 * Miller, "Formulas for Bayesian A/B Testing", 2015). The first term is the product of (b + j) / (a + b + j),
 * j < d; each further one is the one before times (a + i) (d + i) / ((a + b + d + i) (1 + i)). In logarithms,
 * so that no count is too large. */
double search_order_doubt(int64_t right_chosen, int64_t wrong_chosen, int64_t right_rejected,
                          int64_t wrong_rejected) {
    double a = 1 + (double)right_chosen, b = 1 + (double)wrong_chosen, d = 1 + (double)wrong_rejected,
           term = 0, sum = -INFINITY;
    for (int64_t n = 0; n <= wrong_rejected; n++) {
        double j = (double)n;
        term += log((b + j) / (a + b + j));
    }
    for (int64_t n = 0; n <= right_rejected; n++) {
        double i = (double)n;
        sum = log_add(sum, term);
        term += log((a + i) / (a + b + d + i)) + log((d + i) / (1 + i));
    }
    double doubt = exp(sum);
    return doubt < 1 ? doubt : 1;
}

int search_evidence_of(const search *s, int32_t node) {
    double O = s->steps.at[node].O;
    switch ((search_outcome)s->nodes.at[node].outcome) {
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

tree_evidence *tree_gather_evidence(const search *s) {
    tree_evidence *all = MEM_ARRAY(tree_evidence, s->nodes.count);
    for (int32_t i = (int32_t)s->nodes.count - 1; i >= 0; i--) { /* parents stand before their children */
        int says = search_evidence_of(s, i);
        int32_t parent = s->nodes.at[i].parent;
        all[i].right += says > 0;
        all[i].wrong += says < 0;
        if (parent < 0) continue;
        all[parent].right += all[i].right;
        all[parent].wrong += all[i].wrong;
    }
    return all;
}

double tree_doubt(const search *s, const tree_evidence *evidence, int32_t chosen, int32_t rejected) {
    if (evidence) {
        tree_evidence w = evidence[chosen], l = evidence[rejected];
        return search_order_doubt(w.right, w.wrong, l.right, l.wrong);
    }
    double w = s->nodes.at[chosen].N, l = s->nodes.at[rejected].N;
    return l / ((w > 1 ? w : 1) + l);
}

/* ---- (4.1) every visited state of a finished tree ---- */

static bool has_evidence(const search *s, const tree_evidence *evidence, int32_t node) {
    if (evidence) return evidence[node].right + evidence[node].wrong > 0;
    return commit_may_pair(s, &s->nodes.at[node]);
}

/* The sibling that beats `loser` with the least doubt, or -1. */
static int32_t winner_over(const search *s, const tree_evidence *evidence, int32_t loser, double *doubt) {
    const tree_node *nodes = s->nodes.at;
    int32_t best = -1;
    for (int32_t i = nodes[nodes[loser].parent].first_child; i >= 0; i = nodes[i].next_sibling) {
        if (!has_evidence(s, evidence, i) || !(nodes[i].Q - nodes[loser].Q > s->config.min_q_gap)) continue;
        double alpha = tree_doubt(s, evidence, i, loser);
        if (best >= 0 && !(alpha < *doubt) && !(alpha == *doubt && nodes[i].Q > nodes[best].Q)) continue;
        best = i;
        *doubt = alpha;
    }
    return best;
}

/* alpha is uncapped here. */
static void read_state(search *s, const tree_evidence *evidence, int32_t state, int32_t step) {
    const tree_node *nodes = s->nodes.at;
    for (int32_t l = nodes[state].first_child; l >= 0; l = nodes[l].next_sibling) {
        double doubt = 0;
        int32_t w = has_evidence(s, evidence, l) ? winner_over(s, evidence, l, &doubt) : -1;
        if (w < 0) continue;
        search_pair pair = {.step = step,
                            .state = state,
                            .chosen = w,
                            .rejected = l,
                            .q_chosen = nodes[w].Q,
                            .q_rejected = nodes[l].Q,
                            .n_chosen = nodes[w].N,
                            .n_rejected = nodes[l].N,
                            .alpha = doubt};
        MEM_LIST_PUSH(&s->pairs, pair);
    }
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The max_pairs of least doubt, in their order; of equal ones the first. */
static void keep_best(search *s) {
    int64_t n = s->pairs.count, most = s->config.max_pairs, kept = 0, at_limit;
    if (most == 0 || n <= most) return;
    double *sorted = MEM_ARRAY(double, n);
    for (int64_t i = 0; i < n; i++) sorted[i] = s->pairs.at[i].alpha;
    qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
    double limit = sorted[most - 1];
    for (at_limit = 0; at_limit < most && sorted[most - 1 - at_limit] == limit;) at_limit++;
    mem_free(sorted);
    for (int64_t i = 0; i < n; i++) {
        double alpha = s->pairs.at[i].alpha;
        if (alpha > limit || (alpha == limit && at_limit-- <= 0)) continue;
        s->pairs.at[kept++] = s->pairs.at[i];
    }
    s->pairs.count = kept;
}

void tree_read_all_pairs(search *s) {
    tree_evidence *evidence =
        s->config.smoothing == SEARCH_SMOOTHING_EVIDENCE ? tree_gather_evidence(s) : NULL;
    int32_t *step_of = MEM_ARRAY(int32_t, s->nodes.count); /* number of the commitment + 1; 0: none */
    for (int64_t i = 0; i < s->commits.count; i++) step_of[s->commits.at[i].state] = (int32_t)i + 1;
    for (int32_t i = 0; i < s->nodes.count; i++)
        if (s->nodes.at[i].N > 0) read_state(s, evidence, i, step_of[i] - 1);
    keep_best(s);
    for (int64_t i = 0; i < s->pairs.count; i++) {
        search_pair *pair = &s->pairs.at[i];
        if (pair->alpha > s->config.smoothing_cap) pair->alpha = s->config.smoothing_cap;
        if (pair->step >= 0 && s->commits.at[pair->step].pair_at < 0) s->commits.at[pair->step].pair_at = i;
    }
    mem_free(step_of);
    mem_free(evidence);
}
