/* The search's own state: the tree in arrays, and commitments. Private to src/search, and to its tests. */
#ifndef ESPALIER_SEARCH_TREE_H
#define ESPALIER_SEARCH_TREE_H

#include "search/rule.h"
#include "search/search.h"

/* The rest of a node, which simulations do not touch. */
typedef struct {
    double logprob, C, O, R;
    uint64_t text_key;
    int64_t ids_at, logprobs_at; /* offsets in the arenas, -1 without */
    int32_t n, candidate;
    int32_t asked;  /* candidates ever asked for below this node, gold ones not counted */
    int32_t probed; /* chains of the root probe that came here; 0 at the root */
} tree_node_detail;

typedef struct {
    int32_t state, depth, child_count, picked;
    int64_t children_at; /* offset in `snapshots` */
    int64_t N;
    double V;
    int32_t nodes; /* of the tree at that time */
} tree_commit;

/* This many chains of the root probe have reached this node. */
typedef struct {
    int32_t node, chains;
} tree_probe;

typedef enum {
    PHASE_PROBE,      /* the chains from the root go on from s->probe.at[s->probe_at] */
    PHASE_SIMULATION, /* between two simulations */
    PHASE_DESCEND,    /* inside one, at node `at` */
    PHASE_GROW,       /* the same, of a rule with growth */
    PHASE_CANDIDATES, /* `at` waits for its candidates */
    PHASE_JUDGE,      /* the children of `at` wait for their confidence */
    PHASE_DONE,
} search_phase;

struct search {
    search_config config;
    const search_rule *rule;
    rng_key_t key;
    MEM_LIST(tree_node) nodes;
    MEM_LIST(tree_node_detail) details; /* parallel to nodes */
    MEM_LIST(double) confidence;        /* the same: C~ */
    MEM_LIST(int32_t) ids;
    MEM_LIST(float) logprobs;
    MEM_LIST(tree_commit) commits;
    MEM_LIST(search_child) snapshots;
    MEM_LIST(int32_t) before; /* visits of the root's children when its simulations began */
    MEM_LIST(tree_probe) probe;
    MEM_LIST(int32_t) landed; /* the child of each candidate of the last reply, gold ones left out */
    int64_t probe_at;
    int32_t probe_right;       /* chains of the probe that ended right */
    search_phase phase, after; /* after: the one that continues when the open request is answered */
    search_request request;    /* the open one, in PHASE_CANDIDATES and PHASE_JUDGE */
    int32_t top, at;
    int64_t simulations, simulations_left; /* from `top` */
    int64_t judged;                        /* tokens of the nodes that were judged */
    /* of the simulation of a rule with growth, at `at` */
    int32_t offered;      /* candidates so far */
    int32_t best_offer;   /* the child among them of largest C~; -1: none */
    bool stopped;         /* it ends here */
    int32_t nodes_before; /* nodes when the current simulation began, or the last chain of the probe ended */
    void (*seen)(void *user, const search_simulation *simulation);
    void *seen_user;
    search_stats stats;
};

/* tree.c */
void tree_add_root(search *s);
/* (2.3) From this state on, candidates run to the end of the chain. */
bool tree_runs_to_end(const search *s, int32_t node);
/* (2.3) How many candidates a state gets in all: b_1, b_2, or one that runs to the end. */
int32_t tree_breadth(const search *s, int32_t node);
/* (2.3) Checks a whole reply; nothing is changed. */
esp_status tree_check_candidates(const search *s, const search_reply *reply, esp_error *error);
/* (2.3) Adds the candidates as children of s->at, duplicates dropped. Returns how many were added: they are
 * the last nodes. s->landed says which child each became. */
int32_t tree_expand(search *s, const search_reply *reply);
/* (2.4, 2.5) Gives `count` nodes from `first`, children of one state, their C (NULL: 0), R, r and first Q. */
void tree_score(search *s, int32_t first, int32_t count, const double *confidences);
/* What the rule sees; valid until a node is added. */
tree_view tree_view_of(const search *s);
/* (2.6) A simulation, or a chain of the probe, ended at `leaf`. */
void tree_backup(search *s, int32_t leaf);

/* probe.c: root_probe */
void probe_begin(search *s);
/* Stores the node that the next chains have reached in s->at, and their number. False: all have ended. */
bool probe_next(search *s, int32_t *chains);
/* They end at that node. */
void probe_stay(search *s);
/* s->at was expanded for them: they go to the children they landed on; those without a candidate end. */
void probe_move(search *s);

/* grow.c: a simulation of a rule with growth. False where there is none: the tree is done. */
bool grow_begin(search *s);
/* Whether it ends at s->at; else that waits for one candidate. */
bool grow_ends(const search *s);
/* The candidate has come, and is s->landed, which may be empty. */
void grow_offer(search *s);

/* search.c: reports to search_watch that a simulation, or a chain of the probe, ended at `leaf`. */
void tree_tell(search *s, int32_t leaf);

/* commit.c: (2.7) Commits from s->top, whose simulations are done, and moves it on. False at a dead end. */
bool commit_child(search *s);

#endif
