/* What is read off a finished tree to learn from: preferences between steps, and between whole chains. Pure
 * functions of the tree and of options that the search itself does not know. Sections are docs/method.md's.
 */
#ifndef ESPALIER_SEARCH_HARVEST_H
#define ESPALIER_SEARCH_HARVEST_H

#include "search/search.h"

/* 4.1: which children may be in a pair */
typedef enum { HARVEST_FROM_VISITED, HARVEST_FROM_ALL } harvest_from;
/* 4.1: one pair per commitment, as the tree was then; or in the finished tree at every visited state */
typedef enum { HARVEST_AT_COMMITMENTS, HARVEST_AT_ALL } harvest_at;
/* 4.2: alpha from visits, or from the finished chains below the two steps */
typedef enum { HARVEST_BY_VISITS, HARVEST_BY_EVIDENCE } harvest_smoothing;
/* 4.1: the child with the smallest Q, or a random sibling of the best (the paper's code) */
typedef enum { HARVEST_LOSER_SMALLEST_Q, HARVEST_LOSER_RANDOM_SIBLING } harvest_loser;

typedef struct {
    harvest_from pairs_from;
    harvest_at pairs_at; /* all: does not go with a random loser */
    harvest_smoothing smoothing;
    harvest_loser loser;
    double min_q_gap;     /* a pair needs Q_w - Q_l > this */
    double smoothing_cap; /* 4.2: largest alpha */
    int64_t max_pairs;    /* per problem; 0: no limit. The first commitments', or with pairs_at all those of
                             least doubt */
    bool only_if_right; /* no pairs unless the last commitment's best-Q candidate is right (the paper's code)
                         */
    bool join_only_child; /* each step of a pair goes on with its own only descendants (code) */
} harvest_options;

option_table harvest_option_table(void);
/* Ranges, and what does not go together; an error names the keys. */
esp_status harvest_options_check(const harvest_options *o, esp_error *error);

/* A preference: after `state`, `chosen` rather than `rejected`. With pairs_at all, at every visited state of
 * the finished tree each child for which a sibling has a Q that is larger by more than min_q_gap is rejected
 * once, against the one of these siblings whose order is least in doubt (smallest uncapped alpha; ties:
 * larger Q, lower node). Children may be in pairs as pairs_from says, or with smoothing by evidence where a
 * finished chain ends there or below. In the order of (state, rejected).
 *
 * Where chains below some children were judged, a child of which nothing is known but chains that could not
 * be judged (SEARCH_FINISHED_UNKNOWN) is in no pair. */
typedef struct {
    int32_t commitment; /* number of the commitment of `state`; -1: none was made there */
    int32_t state;      /* node of the common prefix */
    int32_t chosen, rejected;
    double q_chosen, q_rejected;
    int64_t n_chosen, n_rejected;
    double alpha;
    /* Where the two texts end: at chosen and rejected, or with join_only_child, from each of them down, at
     * the first node that does not have exactly one child in the finished tree. */
    int32_t chosen_end, rejected_end;
} harvest_pair;

typedef struct {
    harvest_pair *at;       /* [read] */
    int32_t read;           /* all that were read off the tree */
    int32_t count;          /* the first `count` are to learn from: max_pairs and only_if_right applied */
    int32_t *of_commitment; /* [commitments] the (first) pair of a commitment's state, -1: none */
} harvest_pairs;

/* The pairs of steps (4.1) of a search that is done. Freed by harvest_pairs_free. */
void harvest_step_pairs(const search *s, const harvest_options *o, harvest_pairs *out);
void harvest_pairs_free(harvest_pairs *pairs);

/* The pair of whole chains (6, instance level): the visited finished chain of largest reward R against that
 * of smallest, ties to the lower node; q_chosen and q_rejected are R, state is the root. False where they
 * differ by no more than min_q_gap. Where some of the chains were judged, only those that were. */
bool harvest_instance_pair(const search *s, const harvest_options *o, harvest_pair *out);

/* 4.2, by visits: N_l / (max(1, N_w) + N_l), uncapped. */
double harvest_doubt_by_visits(double visits_chosen, double visits_rejected);
/* 4.2, by evidence: the posterior probability that the rejected step is the better one. Each step's chance to
 * end right is Beta(1 + right, 1 + wrong) from the finished chains below it, uniform before, independent:
 * exact, P(theta_l > theta_w). Counts are at least 0. Without evidence on either side: 1/2. */
double harvest_order_doubt(int64_t right_chosen, int64_t wrong_chosen, int64_t right_rejected,
                           int64_t wrong_rejected);

#endif
