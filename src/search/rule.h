/* A search rule: how a tree search chooses what to try next, how it takes a result into its values, and what
 * it commits to. A rule is a const table of pure functions over a view of the tree, with an options struct of
 * its own. The search owns the tree, the requests and their order (search/search.h); nothing in a rule
 * depends on a model, a clock or the order of arrival.
 *
 * A new rule is one file in search/rules/ and one line in search/rule.c. */
#ifndef ESPALIER_SEARCH_RULE_H
#define ESPALIER_SEARCH_RULE_H

#include "base/random.h"
#include "search/config.h"

/* What simulations read and write, one cache line per node. Siblings are linked, and neighbours where they
 * were made together, so that selection and backup mostly walk straight through memory. Letters as in
 * docs/method.md 2. */
typedef struct {
    double Q, V, r, p;
    int32_t N, parent, first_child, next_sibling; /* -1: none */
    int32_t children, depth;
    uint8_t outcome; /* search_outcome */
    uint8_t ended;   /* finished or cut */
    uint8_t expanded;
    uint8_t gold;
    int8_t sign; /* search_outcome_sign of the node's own outcome */
} tree_node;

typedef struct {
    tree_node *nodes;
    int32_t count;            /* of the nodes */
    const double *confidence; /* [count] C~ of each (search/confidence.h) */
    int32_t root;             /* the current root: the state that is committed from next */
    int64_t simulations;      /* that start from it in all; 0 while `simulations` is asked */
    const int32_t *before; /* [before_count] visits of its first children, in their order, when the first */
    int32_t before_count;  /* of these simulations began; later children had none */
    double gamma;          /* search_rewards.gamma */
    rng_key_t key;         /* for random numbers of the rule's own */
} tree_view;

/* Of a rule that grows one tree from wherever it promises most, a candidate at a time, and commits when it is
 * done (docs/method.md 2.9b). A simulation goes on to its chain's end. */
typedef struct {
    /* The state that the next simulation begins at, which is not ended; -1: the tree is done. */
    int32_t (*start)(const tree_view *v, const void *options);
    /* Whether a simulation at `state` goes on with this child, its latest candidate. After as many as the
     * state's breadth it goes on with the one of largest C~. */
    bool (*accept)(const tree_view *v, const void *options, int32_t state, int32_t child);
    /* Whether a simulation ends at the child that it went on to. */
    bool (*stop)(const tree_view *v, const void *options, int32_t child);
} search_growth;

typedef struct {
    const char *name, *about;    /* as in recipes (`search.rule`); one line for help */
    option_table options;        /* of its own struct, of at most sizeof(option_space) bytes */
    const search_growth *growth; /* NULL: simulations start from the current root; else begin and select are
                                    not used, and all simulations belong to the first root */
    /* How many simulations start from the current root: the limits' (rule_simulations), or fewer where the
     * rule knows its choice sooner. After 0 the search commits to one of the children that are there, and
     * ends where there are none. Asked once per root, and not where the root probe left nothing to search. */
    int64_t (*simulations)(const tree_view *v, const void *options, const search_limits *limits);
    /* A simulation begins at the current root. May be NULL. */
    void (*begin)(tree_view *v, const void *options);
    /* The child of `node`, which has some, that the simulation goes on to. */
    int32_t (*select)(const tree_view *v, const void *options, int32_t node);
    /* A simulation, or a chain of the root probe, ended at `leaf`: updates Q, V and N up to the root. */
    void (*backup)(tree_view *v, const void *options, int32_t leaf);
    /* The child of the current root, whose simulations are done, to commit to. */
    int32_t (*commit)(const tree_view *v, const void *options);
    /* What the rule now holds the right distribution over the children of `node` to be: [children] in their
     * order, a sum of 1. */
    void (*policy)(const tree_view *v, const void *options, int32_t node, double *out);
} search_rule;

/* The rules in the order of the table; NULL past the last. */
const search_rule *search_rule_at(int index);
/* Of rule `index`, or NULL. */
const char *search_rule_name(int index);
const char *search_rule_about(int index);

/* docs/method.md 2.7, for rules that use all: K, at depth 0 times root_multiplier. */
int64_t rule_simulations(const tree_view *v, const void *options, const search_limits *limits);

/* docs/method.md 2.6, for rules that use it: from `leaf` to the root, Q of a state's children is r + gamma V,
 * its V the mean of Q weighted by visits (an unvisited child counts `least`), and N rises by one. */
void rule_backup_mean(tree_view *v, int32_t leaf, int32_t least);

/* The share of visits; before the first one, that of the priors. */
void rule_policy_of_visits(const tree_view *v, const void *options, int32_t node, double *out);

#endif
