#include "search/evidence.h"
#include "search/harvest.h"
#include "search/tree.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>

typedef MEM_LIST(harvest_pair) pair_list;

/* ---- doubt (docs/method.md 4.2) ---- */

double harvest_doubt_by_visits(double visits_chosen, double visits_rejected) {
    return visits_rejected / ((visits_chosen > 1 ? visits_chosen : 1) + visits_rejected);
}

static int sign_of(const search *s, int32_t node) {
    return search_outcome_sign((search_outcome)s->nodes.at[node].outcome, s->details.at[node].O);
}

/* What the node itself says, as the end of a chain. */
static evidence evidence_at(const search *s, int32_t node) {
    return evidence_of_sign(sign_of(s, node));
}

static double order_doubt(evidence w, evidence l) {
    return harvest_order_doubt(w.right, w.wrong, l.right, l.wrong);
}

/* Of the first `count` nodes, which were a tree once; freed by the caller with mem_free. */
static evidence *gather(const search *s, int32_t count) {
    evidence *all = MEM_ARRAY(evidence, count);
    int32_t *parents = MEM_ARRAY(int32_t, count);
    for (int32_t i = 0; i < count; i++) {
        parents[i] = s->nodes.at[i].parent;
        all[i] = evidence_at(s, i);
    }
    evidence_gather(parents, count, all);
    mem_free(parents);
    return all;
}

/* The chance that the order of two siblings is wrong, uncapped; `known` NULL: by visits. */
static double doubt(const evidence *known, int32_t chosen, int64_t N_w, int32_t rejected, int64_t N_l) {
    if (!known) return harvest_doubt_by_visits((double)N_w, (double)N_l);
    return order_doubt(known[chosen], known[rejected]);
}

/* ---- steps that may be in no pair ---- */

/* Of the chains that end at a node or below it: some were judged, some could not be. */
enum { JUDGED = 1, UNKNOWN = 2 };

static uint8_t knowledge_of(const search *s, int32_t node) {
    search_outcome outcome = (search_outcome)s->nodes.at[node].outcome;
    if (outcome == SEARCH_FINISHED_UNKNOWN) return UNKNOWN;
    return outcome == SEARCH_SCORED || sign_of(s, node) ? JUDGED : 0;
}

/* Marks the steps of which nothing but chains that could not be judged is known, where a sibling's chains
 * were judged: their order would follow from an outcome that nobody knows. NULL: there is no such step. */
static uint8_t *find_unjudged(const search *s, int32_t count) {
    uint8_t *marks = mem_alloc((size_t)count), seen = 0;
    for (int32_t i = count - 1; i >= 0; i--) {
        marks[i] |= knowledge_of(s, i);
        seen |= marks[i];
        if (i > 0) marks[s->nodes.at[i].parent] |= marks[i];
    }
    if (seen != (JUDGED | UNKNOWN)) {
        mem_free(marks);
        return NULL;
    }
    for (int32_t i = count - 1; i >= 0; i--) {
        int32_t parent = s->nodes.at[i].parent;
        marks[i] = parent >= 0 && marks[i] == UNKNOWN && (marks[parent] & JUDGED);
    }
    return marks;
}

/* What pairs are read by: the first `count` nodes, which were a tree once. */
typedef struct {
    const search *s;
    const harvest_options *o;
    evidence *known;   /* [count]; NULL: smoothing is by visits */
    uint8_t *unjudged; /* [count], as find_unjudged has it */
} basis;

static basis basis_of(const search *s, const harvest_options *o, int32_t count) {
    return (basis){.s = s,
                   .o = o,
                   .known = o->smoothing == HARVEST_BY_EVIDENCE ? gather(s, count) : NULL,
                   .unjudged = find_unjudged(s, count)};
}

static void basis_free(basis *b) {
    mem_free(b->known);
    mem_free(b->unjudged);
}

static bool may_pair(const basis *b, int32_t node, int64_t visits) {
    if (b->unjudged && b->unjudged[node]) return false;
    return b->o->pairs_from == HARVEST_FROM_ALL || visits > 0;
}

/* ---- one pair per commitment, from the children as they were then (4.1) ---- */

/* The largest (sign 1) or smallest (sign -1) Q among children that may be in a pair, as an index; -1 without
 * any. */
static int32_t extreme(const basis *b, const search_commitment *c, double sign) {
    int32_t best = -1;
    for (int32_t i = 0; i < c->child_count; i++)
        if (may_pair(b, c->children[i].node, c->children[i].N) &&
            (best < 0 || sign * c->children[i].Q > sign * c->children[best].Q))
            best = i;
    return best;
}

/* A random one of the children that may be in a pair, `but` excepted; -1 without any. */
static int32_t random_sibling(const basis *b, const search_commitment *c, int32_t but) {
    uint64_t others = 0;
    for (int32_t i = 0; i < c->child_count; i++)
        others += i != but && may_pair(b, c->children[i].node, c->children[i].N);
    if (!others) return -1;
    /* Candidates are sampled under rng_mix(key, node); one word more keeps this draw apart from theirs. */
    rng_key_t key = rng_mix(rng_mix(b->s->key, (uint64_t)c->state), UINT64_C(0x6c6f736572)); /* "loser" */
    uint64_t turn = rng_below(key, 0, others);
    for (int32_t i = 0; i < c->child_count; i++)
        if (i != but && may_pair(b, c->children[i].node, c->children[i].N) && turn-- == 0) return i;
    return -1;
}

static bool pair_of_children(const basis *b, const search_commitment *c, int32_t index, harvest_pair *out) {
    int32_t best = extreme(b, c, 1);
    if (best < 0) return false;
    int32_t worst =
        b->o->loser == HARVEST_LOSER_RANDOM_SIBLING ? random_sibling(b, c, best) : extreme(b, c, -1);
    if (worst < 0) return false;
    const search_child *w = &c->children[best], *l = &c->children[worst];
    if (!(w->Q - l->Q > b->o->min_q_gap)) return false;
    *out = (harvest_pair){.commitment = index,
                          .state = c->state,
                          .chosen = w->node,
                          .rejected = l->node,
                          .q_chosen = w->Q,
                          .q_rejected = l->Q,
                          .n_chosen = w->N,
                          .n_rejected = l->N,
                          .alpha = doubt(b->known, w->node, w->N, l->node, l->N)};
    return true;
}

static bool commitment_pair(const search *s, const harvest_options *o, int32_t index, harvest_pair *out) {
    search_commitment c = search_commitment_at(s, index);
    basis b = basis_of(s, o, c.nodes);
    bool found = pair_of_children(&b, &c, index, out);
    basis_free(&b);
    return found;
}

static void read_commitments(const search *s, const harvest_options *o, pair_list *pairs) {
    for (int32_t i = 0; i < search_commitment_count(s); i++) {
        harvest_pair pair;
        if (commitment_pair(s, o, i, &pair)) MEM_LIST_PUSH(pairs, pair);
    }
}

/* ---- every visited state of the finished tree (4.1) ---- */

static bool may_stand(const basis *b, int32_t node) {
    if (b->known) return b->known[node].right + b->known[node].wrong > 0;
    return may_pair(b, node, b->s->nodes.at[node].N);
}

/* The sibling that beats `loser` with the least doubt, or -1. */
static int32_t winner_over(const basis *b, int32_t loser, double *least) {
    const tree_node *nodes = b->s->nodes.at;
    int32_t best = -1;
    for (int32_t i = nodes[nodes[loser].parent].first_child; i >= 0; i = nodes[i].next_sibling) {
        if (!may_stand(b, i) || !(nodes[i].Q - nodes[loser].Q > b->o->min_q_gap)) continue;
        double alpha = doubt(b->known, i, nodes[i].N, loser, nodes[loser].N);
        if (best >= 0 && !(alpha < *least) && !(alpha == *least && nodes[i].Q > nodes[best].Q)) continue;
        best = i;
        *least = alpha;
    }
    return best;
}

static void read_state(const basis *b, int32_t state, int32_t commitment, pair_list *pairs) {
    const tree_node *nodes = b->s->nodes.at;
    for (int32_t l = nodes[state].first_child; l >= 0; l = nodes[l].next_sibling) {
        double alpha = 0;
        int32_t w = may_stand(b, l) ? winner_over(b, l, &alpha) : -1;
        if (w < 0) continue;
        harvest_pair pair = {.commitment = commitment,
                             .state = state,
                             .chosen = w,
                             .rejected = l,
                             .q_chosen = nodes[w].Q,
                             .q_rejected = nodes[l].Q,
                             .n_chosen = nodes[w].N,
                             .n_rejected = nodes[l].N,
                             .alpha = alpha};
        MEM_LIST_PUSH(pairs, pair);
    }
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Keeps the `most` pairs of least doubt, in their order; of equal ones the first. */
static void keep_surest(pair_list *pairs, int64_t most) {
    int64_t n = pairs->count, kept = 0, at_limit = 0;
    if (most == 0 || n <= most) return;
    double *sorted = MEM_ARRAY(double, n);
    for (int64_t i = 0; i < n; i++) sorted[i] = pairs->at[i].alpha;
    qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
    double limit = sorted[most - 1];
    while (at_limit < most && sorted[most - 1 - at_limit] == limit) at_limit++;
    mem_free(sorted);
    for (int64_t i = 0; i < n; i++) {
        double alpha = pairs->at[i].alpha;
        if (alpha > limit || (alpha == limit && at_limit-- <= 0)) continue;
        pairs->at[kept++] = pairs->at[i];
    }
    pairs->count = kept;
}

static void read_tree(const search *s, const harvest_options *o, pair_list *pairs) {
    int32_t count = search_node_count(s);
    basis b = basis_of(s, o, count);
    int32_t *commitment_of = MEM_ARRAY(int32_t, count); /* number + 1; 0: none */
    for (int32_t i = 0; i < search_commitment_count(s); i++)
        commitment_of[search_commitment_at(s, i).state] = i + 1;
    for (int32_t i = 0; i < count; i++)
        if (s->nodes.at[i].N > 0) read_state(&b, i, commitment_of[i] - 1, pairs);
    keep_surest(pairs, o->max_pairs);
    mem_free(commitment_of);
    basis_free(&b);
}

/* ---- all together ---- */

static int32_t last_only_descendant(const search *s, int32_t node) {
    while (s->nodes.at[node].children == 1) node = s->nodes.at[node].first_child;
    return node;
}

static void finish_pair(const search *s, const harvest_options *o, harvest_pair *pair) {
    if (pair->alpha > o->smoothing_cap) pair->alpha = o->smoothing_cap;
    pair->chosen_end = o->join_only_child ? last_only_descendant(s, pair->chosen) : pair->chosen;
    pair->rejected_end = o->join_only_child ? last_only_descendant(s, pair->rejected) : pair->rejected;
}

/* Whether the best-Q candidate of the last commitment is right. */
static bool last_best_is_right(const search *s, const harvest_options *o) {
    int32_t n = search_commitment_count(s);
    if (n == 0) return false;
    search_commitment last = search_commitment_at(s, n - 1);
    basis b = basis_of(s, o, last.nodes);
    int32_t best = extreme(&b, &last, 1);
    basis_free(&b);
    return best >= 0 && sign_of(s, last.children[best].node) > 0;
}

static int32_t *first_of_commitments(const search *s, const pair_list *pairs) {
    int32_t n = search_commitment_count(s), *first = MEM_ARRAY(int32_t, n + 1);
    for (int32_t i = 0; i < n; i++) first[i] = -1;
    for (int32_t i = (int32_t)pairs->count - 1; i >= 0; i--)
        if (pairs->at[i].commitment >= 0) first[pairs->at[i].commitment] = i;
    return first;
}

void harvest_step_pairs(const search *s, const harvest_options *o, harvest_pairs *out) {
    pair_list pairs = {0};
    if (!search_probe_all_right(s)) {
        if (o->pairs_at == HARVEST_AT_ALL)
            read_tree(s, o, &pairs);
        else
            read_commitments(s, o, &pairs);
    }
    for (int64_t i = 0; i < pairs.count; i++) finish_pair(s, o, &pairs.at[i]);
    int64_t count = o->max_pairs && pairs.count > o->max_pairs ? o->max_pairs : pairs.count;
    if (o->only_if_right && !last_best_is_right(s, o)) count = 0;
    *out = (harvest_pairs){.at = pairs.at,
                           .read = (int32_t)pairs.count,
                           .count = (int32_t)count,
                           .of_commitment = first_of_commitments(s, &pairs)};
}

void harvest_pairs_free(harvest_pairs *pairs) {
    mem_free(pairs->at);
    mem_free(pairs->of_commitment);
    *pairs = (harvest_pairs){0};
}

bool harvest_instance_pair(const search *s, const harvest_options *o, harvest_pair *out) {
    const tree_node_detail *details = s->details.at;
    int32_t best = -1, worst = -1;
    bool judged = false;
    for (int32_t n = search_next_finished(s, 0); n >= 0 && !judged; n = search_next_finished(s, n + 1))
        judged = knowledge_of(s, n) == JUDGED;
    for (int32_t n = search_next_finished(s, 0); n >= 0; n = search_next_finished(s, n + 1)) {
        if (judged && knowledge_of(s, n) == UNKNOWN) continue;
        if (best < 0 || details[n].R > details[best].R) best = n;
        if (worst < 0 || details[n].R < details[worst].R) worst = n;
    }
    if (best < 0 || !(details[best].R - details[worst].R > o->min_q_gap)) return false;
    int64_t N_w = s->nodes.at[best].N, N_l = s->nodes.at[worst].N;
    double alpha = o->smoothing == HARVEST_BY_EVIDENCE
                       ? order_doubt(evidence_at(s, best), evidence_at(s, worst))
                       : harvest_doubt_by_visits((double)N_w, (double)N_l);
    *out = (harvest_pair){.commitment = -1,
                          .chosen = best,
                          .rejected = worst,
                          .q_chosen = details[best].R,
                          .q_rejected = details[worst].R,
                          .n_chosen = N_w,
                          .n_rejected = N_l,
                          .alpha = alpha};
    finish_pair(s, o, out);
    return true;
}
