/* The tree search of METHOD.md sections 2 and 4 as a pure state machine: `search_next` says what it wants
 * (candidates below a node, judgements of new nodes), `search_feed` takes what came. No I/O, model, clock,
 * thread or text in here: the same configuration, key and replies give the same bits, alone or among hundreds
 * of searches side by side.
 *
 *     search_new(&s, &config, key, error);
 *     for (;;) {
 *         search_next(s, &request);
 *         if (request.kind == SEARCH_DONE) break;
 *         ... ask a policy or a judge ...
 *         search_feed(s, &reply, error);
 *     }
 *     search_step_at, search_pair_at, search_node_at ...: what was found
 *
 * Nodes are numbered from 0 (the problem itself) in the order of their making; siblings stand side by side
 * and a parent before its children. Letters are METHOD.md's: N visits, Q action value, V state value, R = O +
 * C reward of a state, r step reward, p prior. */
#ifndef ESPALIER_SEARCH_SEARCH_H
#define ESPALIER_SEARCH_SEARCH_H

#include "base/error.h"
#include "base/random.h"

#include <stdint.h>

/* (2.2) */
typedef enum { SEARCH_PRIOR_LENGTH_NORMALISED, SEARCH_PRIOR_PROBABILITY_OVER_LENGTH } search_prior_kind;
/* (2.7) */
typedef enum { SEARCH_COMMIT_VISITS, SEARCH_COMMIT_VISITS_TIMES_SPREAD, SEARCH_COMMIT_Q } search_commit_kind;
/* (4.1): which children may stand in a pair */
typedef enum { SEARCH_PAIRS_VISITED, SEARCH_PAIRS_ALL } search_pairs_kind;
/* (4.1): read at every commitment, or in the finished tree at every visited state with children */
typedef enum { SEARCH_PAIRS_AT_COMMITMENTS, SEARCH_PAIRS_AT_ALL } search_pairs_at_kind;
/* (4.2): alpha from visits, or from the finished chains below the two steps */
typedef enum { SEARCH_SMOOTHING_VISITS, SEARCH_SMOOTHING_EVIDENCE } search_smoothing_kind;
/* (4.1): the child with the smallest Q, or (code) a random sibling of the best */
typedef enum { SEARCH_LOSER_SMALLEST_Q, SEARCH_LOSER_RANDOM_SIBLING } search_loser_kind;

typedef struct {
    int32_t simulations;     /* (2.7) K, at least 1 */
    int32_t root_multiplier; /* (2.7) at depth 0, K times this; at least 1 */
    int32_t breadth_root;    /* (2.3) b_1, 1 to 1024 */
    int32_t breadth;         /* (2.3) b_2, 1 to 1024 */
    int32_t
        root_probe;  /* whole chains sampled from the root before the first simulation, which then go on from
                        the tree they make; where all are right: no simulations and no pairs. 0 is off */
    int32_t horizon; /* (2.6) steps below the current root, at least 1 */
    int32_t max_steps;       /* (2.0) a chain this deep and unfinished is cut; at least 1 */
    int32_t rest_from_depth; /* (2.3) from this depth one candidate (at depth 0 breadth_root ones) runs to the
                                chain's end; -1 is off */
    int32_t max_nodes;       /* the tree never holds more nodes than this, the root counted; 0 is no limit */
    double cut_reward;       /* (2.4) O of a cut chain */
    double right_reward;     /* (2.4) O of a finished chain that is right, */
    double right_other_reward; /*       of one that is right and not the gold text (code: 5/4), */
    double wrong_reward;       /*       and of one that is wrong */
    double
        short_bonus[2]; /* factor on a positive O at depth 1 and at depth 2 (code, multiple choice: 0, 1/2) */
    double c_puct;      /* (2.1) */
    double gamma;       /* (2.6) */
    double lambda;      /* (2.2) */
    search_prior_kind prior;        /* (2.2) */
    search_commit_kind commit;      /* (2.7) */
    bool judge;                     /* (3.1) ask for a confidence of every new node; off: C = 0 */
    bool depth_discount_confidence; /* (code) C over max(parent depth - 3, 1) */
    bool unvisited_counts_one;      /* (2.8) */
    bool root_counts_twice;         /* (2.8) */
    bool gold_injection; /* (2.8) the gold rationale's next step joins the candidates on the gold path */
    search_pairs_kind pairs_from;    /* (4.1) */
    search_pairs_at_kind pairs_at;   /* (4.1) all: goes with neither a random loser nor join_only_child */
    search_smoothing_kind smoothing; /* (4.2) */
    search_loser_kind loser;         /* (4.1) */
    double min_q_gap;                /* (4.1) a pair needs Q_w - Q_l > this; at least 0 */
    double smoothing_cap;            /* (4.2) largest alpha */
    int32_t max_pairs;  /* pairs a problem; 0 is no limit (code: 8). The first commitments', or with pairs_at
                           all  those of least doubt */
    bool only_if_right; /* (code) no pairs unless the last step's best-Q candidate is right */
    bool join_only_child; /* (code) a committed only child is joined to both steps of the pair before it */
} search_config;

/* What became of a chain with this step (2.0, 2.4). */
typedef enum {
    SEARCH_OPEN,             /* goes on */
    SEARCH_RIGHT,            /* finished, the answer is right */
    SEARCH_WRONG,            /* finished, the answer is wrong */
    SEARCH_FINISHED_UNKNOWN, /* finished, nobody says whether it is right: O = 0 (3.2) */
    SEARCH_SCORED,           /* finished, O is the candidate's `reward` */
    SEARCH_CUT,              /* stopped unfinished: the chain's token limit, or max_steps */
} search_outcome;

typedef enum { SEARCH_CANDIDATES, SEARCH_JUDGE, SEARCH_DONE } search_request_kind;

typedef struct {
    search_request_kind kind;
    /* CANDIDATES: the state to go on from. JUDGE: the first of `count` new nodes, all children of one state.
     */
    int32_t node;
    int32_t count;           /* CANDIDATES: how many to sample at most. JUDGE: how many nodes to judge */
    int32_t first_candidate; /* CANDIDATES: number of the first one among all ever sampled below this node */
    rng_key_t key;           /* CANDIDATES: mix the candidate's number into this key for its random numbers */
    bool to_end;             /* CANDIDATES: each runs to the end of the chain (rest_from_depth) */
    bool wants_gold;         /* CANDIDATES: the reply may hold one more candidate, flagged gold */
} search_request;

/* One proposed step. The search copies what it keeps. */
typedef struct {
    const int32_t *ids;    /* [n] sampled token ids, or NULL when only their number is known */
    const float *logprobs; /* [n] log-prob of each id, or NULL */
    int32_t n;             /* |a|, at least 1 */
    double logprob;        /* log-prob of the step, natural log */
    uint64_t text_key; /* search_text_key of the step's text: equal keys among siblings are one step (2.3) */
    search_outcome outcome; /* OPEN becomes CUT at max_steps, and in a reply that ran to the chain's end */
    double reward;          /* O of a SCORED outcome */
    bool gold;              /* the gold rationale's next step; only where the request said wants_gold */
    bool gold_text; /* a RIGHT chain whose text is the gold rationale (right_reward, not the other one) */
} search_candidate;

typedef struct {
    const search_candidate
        *candidates; /* to CANDIDATES: as many as came, in the order of their numbers; 0 is a dead end */
    int32_t candidate_count;
    const double *confidences; /* to JUDGE: C (3.1) of nodes node .. node + count - 1 */
    int32_t confidence_count;
} search_reply;

typedef struct search search;

/* A fresh search at the problem's root. key is the problem's (seed, iteration, problem mixed by the caller).
 * Fails when the configuration is out of range, naming the field. */
esp_status search_new(search **out, const search_config *config, rng_key_t key, esp_error *error);
void search_free(search *s);
esp_status search_config_check(const search_config *config, esp_error *error);

/* Runs until the search needs something or is done. Asking again before feeding gives the same request. */
void search_next(search *s, search_request *out);

/* Takes the reply to the request that search_next gave last. A reply that does not fit (count, a log-prob or
 * confidence that is not finite, an empty step) is an error that names the node, and leaves the search as it
 * was. */
esp_status search_feed(search *s, const search_reply *reply, esp_error *error);

/* Of a step's text, white space collapsed to single spaces and dropped at both ends; for duplicate dropping
 * (2.3). */
uint64_t search_text_key(const char *text, size_t length);

/* What one simulation did (2.6): from the current root down to `leaf`, making the nodes first_new ..
 * first_new + new_count - 1 on its way. */
typedef struct {
    int32_t root, leaf;
    int32_t first_new, new_count; /* first_new is the number of nodes so far where there is none */
} search_simulation;
/* Tells of each simulation as it ends, in order, and before them of each chain of the root probe, which is a
 * visit of its way like theirs; for pictures and replays. NULL: nobody. */
void search_watch(search *s, void (*seen)(void *user, const search_simulation *simulation), void *user);

/* ---- reading ---- */

typedef struct {
    int32_t parent;       /* -1 at the root */
    int32_t depth;        /* steps from the root */
    int32_t first_child;  /* -1 without; the others by next_sibling */
    int32_t next_sibling; /* -1 at the last; first_child + 1 and so on, but with root_probe */
    int32_t children;
    int32_t candidate;     /* its number in the reply it came with */
    int32_t probed;        /* chains of the root probe that came through; 0 at the root */
    int32_t n;             /* |a|, 0 at the root */
    const int32_t *ids;    /* [n], or NULL; valid until the next feed */
    const float *logprobs; /* [n], or NULL; valid until the next feed */
    double logprob;
    uint64_t text_key;
    int64_t N;
    double Q, V, R, r, p, C, O;
    search_outcome outcome;
    bool expanded; /* candidates were asked for, perhaps none came */
    bool gold;     /* on the gold path (the root is, with gold_injection) */
} search_node;

/* A child of the current root as it was when a step was committed. */
typedef struct {
    int32_t node;
    int64_t N;
    double Q, V, R, p;
} search_child;

/* (4.1, 4.2) A preference: after `state`, `chosen` rather than `rejected`. With pairs_at all, in the finished
 * tree: at every visited state, each child for which a sibling has a Q that is larger by more than min_q_gap
 * is rejected once, against the one of these siblings whose order is least in doubt (smallest uncapped alpha;
 * ties: larger Q, lower node). Children may stand in pairs as pairs_from says, or with smoothing by evidence
 * where a finished chain ends there or below. In the order of (state, rejected). */
typedef struct {
    int32_t step;             /* number of the commitment of `state`; -1: none was made there */
    int32_t state;            /* node of the common prefix */
    int32_t chosen, rejected; /* nodes */
    double q_chosen, q_rejected;
    int64_t n_chosen, n_rejected;
    double alpha;
    int32_t
        joined; /* join_only_child: the picks of that many commitments after `step` belong to both steps */
} search_pair;

/* A commitment (2.7). */
typedef struct {
    int32_t state; /* node */
    int32_t depth;
    int64_t N; /* of the state, at that time */
    double V;
    const search_child *children; /* [child_count], valid while the search lives and is not fed */
    int32_t child_count;
    int32_t picked; /* index among children */
    bool has_pair;
    search_pair pair;
} search_step;

typedef struct {
    int64_t simulations; /* chains of the root probe are none */
    int64_t visits;      /* nodes on the paths of all simulations, and of the root probe's chains */
    int64_t requests;    /* expansions asked for */
    int64_t candidates;  /* candidates that came, dropped duplicates and gold ones included */
    int64_t duplicates;  /* dropped */
    int64_t tokens;      /* in all candidates that came, except gold ones that were not sampled */
    size_t bytes;        /* memory held now */
} search_stats;

const search_config *search_config_of(const search *s);
int32_t search_node_count(const search *s);
search_node search_node_at(const search *s, int32_t node);
int32_t
search_top(const search *s); /* the current root; when done, the end of the committed path: the answer */
bool search_is_done(const search *s);
int32_t search_step_count(const search *s);
search_step search_step_at(const search *s, int32_t index);
/* The pairs to learn from, max_pairs and only_if_right applied; final once the search is done. */
int32_t search_pair_count(const search *s);
search_pair search_pair_at(const search *s, int32_t index);
search_stats search_stats_of(const search *s);

/* (4.2), smoothing by evidence: the posterior chance that the rejected step is the better one. Each step's
 * chance to end right is Beta(1 + right, 1 + wrong) from the finished chains below it, uniform before,
 * independent: exact, P(theta_l > theta_w). Counts are at least 0. No evidence on either side: 1/2. */
double search_order_doubt(int64_t right_chosen, int64_t wrong_chosen, int64_t right_rejected,
                          int64_t wrong_rejected);
/* What a finished chain says to that: 1 right, -1 wrong (a cut chain with a negative cut_reward is wrong), 0
 * nothing. */
int search_evidence_of(const search *s, int32_t node);

bool search_outcome_is_finished(search_outcome outcome); /* RIGHT, WRONG, FINISHED_UNKNOWN, SCORED */
bool search_outcome_is_ended(search_outcome outcome);    /* finished, or CUT */
/* The first visited finished node with a number of at least `from`, or -1. For votes weighted by C (section
 * 7). */
int32_t search_next_finished(const search *s, int32_t from);
/* The nodes from the first step to `node` (the root is not among them) into out [depth of node]. Returns the
 * depth. */
int32_t search_path(const search *s, int32_t node, int32_t *out);
/* Token ids of all steps from the root to `node`, in order, into out (may be NULL to count). Returns their
 * number. */
int64_t search_path_ids(const search *s, int32_t node, int32_t *out);

/* ---- names and presets ---- */

const char *search_prior_name(search_prior_kind kind);
const char *search_commit_name(search_commit_kind kind);
const char *search_pairs_name(search_pairs_kind kind);
const char *search_pairs_at_name(search_pairs_at_kind kind);
const char *search_smoothing_name(search_smoothing_kind kind);
const char *search_loser_name(search_loser_kind kind);
const char *search_outcome_name(search_outcome outcome);
/* By name; false where there is none such. */
bool search_prior_named(const char *name, search_prior_kind *out);
bool search_commit_named(const char *name, search_commit_kind *out);
bool search_pairs_named(const char *name, search_pairs_kind *out);
bool search_pairs_at_named(const char *name, search_pairs_at_kind *out);
bool search_smoothing_named(const char *name, search_smoothing_kind *out);
bool search_loser_named(const char *name, search_loser_kind *out);
bool search_outcome_named(const char *name, search_outcome *out);

typedef enum { SEARCH_STEP_LINE, SEARCH_STEP_FILL } search_step_mode; /* (2.0) */

/* METHOD.md section 6: the search's numbers, and those of sampling that belong with them. */
typedef struct {
    const char *name;
    const char *about;
    search_config config;
    double temperature;         /* (2.3) T */
    search_step_mode step_mode; /* (2.0) */
    int32_t max_step_tokens;    /* (2.0) */
    int32_t gold_length_over;   /* (code) a step has at most gold length / this tokens as well; 0 is off */
} search_preset;

/* NULL where no preset has that name. */
const search_preset *search_preset_named(const char *name);
/* The presets in order; NULL past the last. */
const search_preset *search_preset_at(int32_t index);

#endif
