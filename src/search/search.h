/* The tree search of docs/method.md 2 as a pure state machine: `search_next` returns what it needs next
 * (candidates below a node, judgements of new nodes), `search_feed` takes the reply. There is no I/O, model,
 * clock, thread or text in here: the same configuration, key and replies give the same bits, alone or among
 * hundreds of searches side by side. Which step is tried next and which is committed to is decided by the
 * rule that the configuration names (search/rule.h); what is learned from a finished tree is in
 * search/harvest.h.
 *
 *     search_new(&s, &config, key, error);
 *     for (;;) {
 *         search_next(s, &request);
 *         if (request.kind == SEARCH_DONE) break;
 *         ... ask a policy or a judge ...
 *         search_feed(s, &reply, error);
 *     }
 *     search_commitment_at, search_node_at ...: what was found
 *
 * Nodes are numbered from 0 (the problem itself) in the order in which they were made: a parent has a lower
 * number than its children, and the candidates of one reply have consecutive numbers. Letters are those of
 * docs/method.md 2: N visits, Q action value, V state value, R = O + C reward of a state, r step reward, p
 * prior. Section numbers in parentheses are docs/method.md's too. */
#ifndef ESPALIER_SEARCH_SEARCH_H
#define ESPALIER_SEARCH_SEARCH_H

#include "base/random.h"
#include "search/config.h"

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
    bool in_turn;            /* CANDIDATES: a later request may ask for more below the same node */
    bool wants_gold;         /* CANDIDATES: the reply may hold one more candidate, flagged gold */
} search_request;

/* One proposed step. The search copies what it keeps. */
typedef struct {
    const int32_t *ids;    /* [n] sampled token ids, or NULL when only their number is known */
    const float *logprobs; /* [n] log-prob of each id, or NULL */
    int32_t n;             /* |a|, at least 1 */
    double logprob;        /* log-prob of the step, natural log */
    uint64_t text_key; /* of the step's text (step_text_key): equal keys among siblings are one step (2.3) */
    search_outcome outcome; /* OPEN becomes CUT at max_steps, and in a reply that ran to the chain's end */
    double reward;          /* O of a SCORED outcome */
    bool gold;              /* the gold rationale's next step; only where the request said wants_gold */
    bool gold_text;         /* of a chain of outcome RIGHT: its text is the gold rationale: O is 1, not
                               right_other_reward */
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
 * Fails when the configuration is out of range, naming the key. */
esp_status search_new(search **out, const search_config *config, rng_key_t key, esp_error *error);
void search_free(search *s);

/* Runs until the search needs something or is done. Asking again before feeding gives the same request. */
void search_next(search *s, search_request *out);

/* Takes the reply to the request that search_next gave last. A reply that does not fit (count, a log-prob or
 * confidence that is not finite, an empty step) is an error that names the node, and leaves the search as it
 * was. */
esp_status search_feed(search *s, const search_reply *reply, esp_error *error);

/* What one simulation did (2.6): from the current root down to `leaf`, making the nodes first_new ..
 * first_new + new_count - 1 on its way. */
typedef struct {
    int32_t root, leaf;
    int32_t first_new, new_count; /* first_new is the number of nodes so far where there is none */
} search_simulation;
/* Calls `seen` for each simulation as it ends, in order, and before them for each chain of the root probe,
 * which visits the nodes of its path as a simulation does; for pictures and replays. NULL: nobody. */
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

/* A commitment (2.7). */
typedef struct {
    int32_t state; /* node */
    int32_t depth;
    int64_t N; /* of the state, at that time */
    double V;
    const search_child *children; /* [child_count], valid while the search lives and is not fed */
    int32_t child_count;
    int32_t picked; /* index among children */
    int32_t nodes;  /* of the tree, at that time */
} search_commitment;

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
int32_t search_commitment_count(const search *s);
search_commitment search_commitment_at(const search *s, int32_t index);
/* What the rule holds the right distribution over the children of `node` to be, into out [children]. */
void search_policy_at(const search *s, int32_t node, double *out);
/* The root probe's chains are all right: there was nothing to search for, and nothing is learned. */
bool search_probe_all_right(const search *s);
search_stats search_stats_of(const search *s);

/* What a node's outcome says of the steps that led to it: 1 right, -1 wrong, 0 nothing. A cut chain counts as
 * wrong where its O is negative, that is with a negative cut_reward, and else says nothing; a scored one
 * counts by the sign of O. */
int search_outcome_sign(search_outcome outcome, double O);

bool search_outcome_is_finished(search_outcome outcome); /* RIGHT, WRONG, FINISHED_UNKNOWN, SCORED */
bool search_outcome_is_ended(search_outcome outcome);    /* finished, or CUT */
/* The first visited finished node with a number of at least `from`, or -1. For votes weighted by C (7). */
int32_t search_next_finished(const search *s, int32_t from);
/* The nodes from the first step to `node` (the root is not among them) into out [depth of node]. Returns the
 * depth. */
int32_t search_path(const search *s, int32_t node, int32_t *out);
/* Token ids of all steps from the root to `node`, in order, into out (may be NULL to count). Returns their
 * number. */
int64_t search_path_ids(const search *s, int32_t node, int32_t *out);

#endif
