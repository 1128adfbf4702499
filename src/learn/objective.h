/* Objectives: what an update minimises, as pure functions from log-probs to a number (docs/method.md 5). An
 * objective never sees the model. Most take the log-probs of an example's paths in nats, each summed over the
 * path's tail, and give their value and the derivative by each sum, which is that by the log-prob of each
 * token of the tail. A policy gradient takes the log-probs of the tail's tokens and gives the derivative by
 * each. Everything is computed in double and is stable at any size; an input that is not finite makes the
 * value not finite, so that a trainer can refuse it by looking at the value alone.
 *
 * An objective is one file in learn/objectives/ and one row in the table of objective.c: its name is a value
 * of learn.loss, its options are recipe keys, its metrics are reported under their names. */
#ifndef ESPALIER_LEARN_OBJECTIVE_H
#define ESPALIER_LEARN_OBJECTIVE_H

#include "base/options.h"

enum { EXAMPLE_PATHS = 8, OBJECTIVE_METRICS = 8 }; /* the most that an objective may have */

/* A prefix that is given and a tail whose tokens are scored. */
typedef struct {
    const int32_t *prefix, *tail;
    int64_t prefix_count, tail_count;
    double reference;     /* log-prob of the tail under the reference policy; NAN: not known */
    const float *sampled; /* [tail_count] log-probs under the policy that sampled the tail; NULL: not known */
    double value; /* of the state that the tail leads to (docs/method.md 4.4); for LEARNS_FROM_STATES */
} learn_path;

/* What an objective reads of a path. */
typedef struct {
    double logp, reference; /* of the policy in training, of the reference: sums over the tail, in nats */
    int64_t tokens;         /* of the tail */
} path_score;

struct example;

typedef enum { MEAN_OVER_EXAMPLES, MEAN_OVER_TOKENS } objective_mean; /* tokens: of the first path's tail */

/* What of an iteration's trees an example is. */
typedef enum {
    LEARNS_FROM_PAIRS,  /* two steps after one prefix, or two whole chains */
    LEARNS_FROM_CHAINS, /* a correct chain */
    LEARNS_FROM_GROUPS, /* one of the chains that were sampled for a problem, with its advantage */
    LEARNS_FROM_STEPS,  /* a step of a tree, with its advantage */
    LEARNS_FROM_STATES, /* the steps after a state, with their values */
} example_source;

typedef struct objective {
    const char *name;  /* as learn.loss has it */
    const char *about; /* one line for help, with the source */
    example_source source;
    int paths; /* of an example; a pair's are chosen, rejected. LEARNS_FROM_STATES: the most that one has */
    bool needs_reference; /* of every path */
    option_table options; /* over a struct of options_size bytes; "beta" is the recipe key learn.beta */
    size_t options_size;
    /* NULL-terminated names; `value` writes one number for each. */
    const char *const *metrics;
    objective_mean mean; /* that learn.loss takes */

    /* One of the next two. The value, dvalue/dlogp of each path, and the metrics. */
    double (*value)(const void *options, const struct example *e, const path_score *scores, double *dlogp,
                    double *metrics);
    /* The value, dvalue/dlogp of each token, and the metrics, from the log-probs of the tail of the example's
     * one path, whose `sampled` is known: all of tail_count numbers. */
    double (*token_value)(const void *options, const struct example *e, const float *logp, double *dlogp,
                          double *metrics);

    /* LEARNS_FROM_GROUPS: the advantages of n chains of one problem from their rewards O, which are not all
     * equal. */
    void (*group_advantages)(const double *rewards, int64_t n, double *advantages);
    /* LEARNS_FROM_STEPS: the advantage of a step from the values of the states after and before it and the
     * number of finished chains through it; 0: the step is left out. */
    double (*step_advantage)(const void *options, double after, double before, int64_t chains);
} objective;

/* What the examples of one kind add to the loss: weight times the mean of the objective's values. */
typedef struct {
    const objective *of;
    const void *options; /* of options_size bytes; NULL where `of` has no rows of options */
    double weight;       /* >= 0; 0 leaves the term out of the loss, not out of the metrics */
    objective_mean mean;
} objective_term;

/* One thing to learn from. It adds scale * weight * value to the loss. */
typedef struct example {
    learn_path path[EXAMPLE_PATHS]; /* the first example_paths of them */
    int path_count;                 /* 0: term->of->paths */
    const objective_term *term;
    double scale;     /* 1 / the number that the term's mean divides by, of the whole batch on all machines */
    double alpha;     /* chance that the order of a pair is wrong (docs/method.md 4.2) */
    double advantage; /* of a chain or step over the others (docs/method.md 5.6) */
    int64_t group;    /* >= 0: neighbours that share prefixes have the same one, such as their search tree's
                         number, and stay neighbours; -1: rows in any order */
    bool same_row;    /* another term on the paths of the example before it: no row of its own */
} example;

static inline int example_paths(const example *e) {
    return e->path_count ? e->path_count : e->term->of->paths;
}

/* weight * value. A weight of exactly 0 leaves its term out, also where that is infinite. */
static inline double weighted(double weight, double value) {
    return weight == 0 ? 0 : weight * value;
}

/* The objectives that learn.loss can name, their names, and a line on each, by its value. NULL: past the
 * last.
 */
const objective *objective_at(int value);
const char *objective_name(int value);
const char *objective_about(int value);

/* Negative log-likelihood, by itself and beside other objectives. Without options it is the sum. */
typedef struct {
    bool per_token; /* divided by the tokens of the tail */
} nll_options;
extern const objective objective_nll;

/* Teaches a judge its verdicts (docs/method.md 3.4); no value of learn.loss. Without options. */
extern const objective objective_verdict;

/* DPO. */
typedef struct {
    double beta; /* > 0 */
} dpo_options;
extern const objective objective_dpo;

#endif
