/* The run directory's record: run.db (SQLite, WAL), log.jsonl, and the lock that keeps a second process out.
 * What a run found is kept as plain rows: trees with their nodes, commitments, pairs, updates, evaluations.
 * The unit of commit is a wave of problems: all of a wave is there or none of it, whenever the process is
 * killed. Nothing in the tables that two runs are compared by depends on the clock; times go to `metrics` and
 * `events`.
 *
 * Writing outside a transaction commits each call on its own; between store_begin and store_commit all is
 * one. Not thread-safe: one thread uses a store. */
#ifndef ESPALIER_STORE_STORE_H
#define ESPALIER_STORE_STORE_H

#include "base/error.h"
#include "base/file_sum.h"
#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>

/* Versions only add; all up to this one are read. */
#define STORE_SCHEMA_VERSION 9

typedef struct store store;

typedef enum {
    STORE_CREATE,       /* a new run: makes the folder; an existing run.db is an error that names --resume */
    STORE_RESUME,       /* an existing run, to write on; a run.db without tables, left by a kill, gets them */
    STORE_RESUME_BEGUN, /* the same, of a run known to have begun: a run.db without tables is an error */
    STORE_READ,         /* an existing run, to read, also while another process writes it; takes no lock */
    STORE_BESIDE, /* another connection of the process that writes the run, for verdicts alone: its commits
                     are safe from a kill of the process, though not from a crash of the system */
} store_mode;

esp_status store_open(store **out, const char *folder, store_mode mode, esp_error *error);
void store_close(store *s); /* an open transaction is rolled back; NULL is fine */
const char *store_folder(const store *s);
/* Whether a process of this machine writes the run now: its number, else 0. A process that has just begun may
 * be missed. */
esp_status store_writer(const store *s, int64_t *process, esp_error *error);
/* Fails if the folder was moved, replaced or removed since it was opened to write: files would go elsewhere
 * than rows. Every commit checks it too. */
esp_status store_check_place(const store *s, esp_error *error);

/* ---- transactions ---- */
esp_status store_begin(store *s, esp_error *error);
esp_status store_commit(store *s, esp_error *error); /* durable on return; on failure all is rolled back */
void store_rollback(store *s);
/* All that is read from here until store_rollback is one state of the run, whoever writes meanwhile. */
esp_status store_begin_read(store *s, esp_error *error);

/* ---- meta: small facts by name (recipe hash, versions) ---- */
esp_status store_meta_set(store *s, const char *key, const char *value, esp_error *error);
/* *value is NULL where the key is absent; freed by mem_free. */
esp_status store_meta_get(store *s, const char *key, char **value, esp_error *error);

/* ---- the position: what comes next ---- */
typedef enum {
    STORE_PHASE_SFT,
    STORE_PHASE_SEARCH,
    STORE_PHASE_LEARN,
    STORE_PHASE_EVALUATE,
    STORE_PHASE_DONE
} store_phase;
typedef struct {
    store_phase phase;
    int64_t iteration;    /* from 1; 0 while nothing but SFT was done */
    int64_t wave;         /* next wave of this iteration, from 0 */
    int64_t update;       /* updates done in this phase, as held by the checkpoint */
    char checkpoint[128]; /* folder under checkpoints/ that this position starts from; "" for the model as
                             given */
} store_position;
const char *store_phase_name(store_phase phase);
/* A new run is at {STORE_PHASE_SFT, 0, 0, 0, ""}. */
esp_status store_position_get(store *s, store_position *out, esp_error *error);
/* Counted: the lock's file remembers how often, so that an older run.db that was put back is noticed.
 * Within the transaction of the work that leads there, so that work and position agree at any kill. */
esp_status store_position_set(store *s, const store_position *p, esp_error *error);

/* ---- problems: once each, by their index in the data set ---- */
typedef struct {
    int64_t problem;
    const char *name, *question, *answer; /* name and answer may be NULL */
} store_problem;
esp_status store_add_problem(store *s, const store_problem *p,
                             esp_error *error); /* the same again is ignored */

/* ---- search: a wave ---- */
/* Begins the transaction of one wave; it must not be there yet. */
esp_status store_wave_begin(store *s, int64_t iteration, int64_t wave, esp_error *error);
/* Counts what was added, sets the position that comes next, commits. */
esp_status store_wave_commit(store *s, const store_position *next, esp_error *error);

typedef struct {
    int64_t tree; /* given by store_add_tree */
    int64_t iteration, wave;
    int64_t ordinal; /* place in the iteration's order of problems, from 0 */
    int64_t problem;
    const int32_t *prompt_ids;
    int64_t prompt_count;
    int64_t final_node; /* last committed node */
    double outcome;     /* O of that node */
    int64_t simulations, tokens_sampled;
    int64_t tokens_judged; /* what the judge read: its prefix, steps, suffixes; steps alone in runs before
                              schema version 7 */
    int64_t tokens_judged_steps; /* of those, steps */
    int64_t tokens_computed;     /* where waves overlapped (run.window), without those computed again */
    int64_t finished, right;     /* finished chains in the tree, and how many of them are correct */
    int64_t unknown;             /* how many could not be judged; 0 in runs before schema version 5 */
} store_tree;
esp_status store_add_tree(store *s, store_tree *tree, esp_error *error);

/* The budget by which ways to learn and to answer are compared (docs/method.md 1.3), of a tree, of an
 * evaluation, of any number of them: tokens sampled and tokens that the judge read. In run.db the column
 * tokens_spent of `trees` and `evals`; in JSON and the report `tokens_spent`. */
static inline int64_t store_tokens_spent(int64_t sampled, int64_t judged) {
    return sampled + judged;
}

enum {
    STORE_NODE_FINISHED = 1,
    STORE_NODE_CUT = 2,
    STORE_NODE_COMMITTED = 4,
    STORE_NODE_GOLD = 8,
    STORE_NODE_JUDGED = 16,
    STORE_NODE_UNKNOWN = 32,    /* finished, and could not be graded */
    STORE_NODE_PROBED_SHIFT = 8 /* flags >> 8: chains of the root probe that came through */
};
typedef struct {
    int64_t index, parent, depth; /* root: index 0, parent -1 */
    const int32_t *ids;
    const float *logprobs; /* untempered, an id each; NULL where unknown */
    int64_t count;         /* ids of the step */
    int64_t visits;
    double logprob, q, v, r, prior, confidence, outcome;
    uint32_t flags;
    const char *text; /* the step's text; may be NULL */
} store_node;
esp_status store_add_nodes(store *s, int64_t tree, const store_node *nodes, int64_t n, esp_error *error);

typedef struct {
    int64_t step;             /* from 0 */
    int64_t state, picked;    /* nodes */
    int64_t chosen, rejected; /* nodes of the pair; -1 without one */
} store_commitment;
/* Whether rows could be a tree: numbered from 0, parents before children, sizes that a search can hold. */
bool store_nodes_are_sound(const store_node *nodes, int64_t count);
esp_status store_add_commitments(store *s, int64_t tree, const store_commitment *c, int64_t n,
                                 esp_error *error);

typedef struct {
    int64_t pair;      /* given by store_add_pair; increases in the order of adding */
    int64_t iteration; /* 0 for pairs from elsewhere */
    int64_t tree, problem;
    int64_t state, chosen, rejected; /* nodes of the tree; -1: none */
    int64_t joined; /* 0; in runs before schema version 7 with search.join_only_child: steps committed after
                       the state's that both texts go on with */
    /* A pair of a tree is added without ids: the prefix is the tree's prompt and the steps down to the state,
     * chosen and rejected are the steps from there to the node. store_read_pairs fills them in. A pair from
     * elsewhere has its own. */
    const int32_t *prefix_ids, *chosen_ids, *rejected_ids;
    int64_t prefix_count, chosen_count, rejected_count;
    int64_t prompt_count; /* read: how many ids of the prefix are the tree's prompt; 0: not known */
    double q_chosen, q_rejected;
    int64_t n_chosen, n_rejected;
    double alpha;
    double policy_logp_chosen, policy_logp_rejected; /* of the policy that sampled; NAN: unknown */
    double ref_logp_chosen, ref_logp_rejected;       /* of the reference; NAN: not scored yet */
    const char *policy;                              /* name of the policy that sampled; may be NULL */
} store_pair;
esp_status store_add_pair(store *s, store_pair *pair, esp_error *error);
esp_status store_set_reference(store *s, int64_t pair, double chosen, double rejected, esp_error *error);

/* ---- learning, evaluation ---- */
typedef struct {
    const char *name;
    double value; /* NAN: none */
} store_value;
typedef struct {
    const char *phase; /* "sft" or "learn" */
    int64_t iteration, update;
    int64_t rows; /* pairs, or rows of SFT */
    double loss, lr, grad_norm;
    int64_t tokens, tokens_computed;
    const store_value *metrics; /* of the loss, by name ("margin") */
    int64_t metric_count;
} store_update;
esp_status store_add_update(store *s, const store_update *u, esp_error *error); /* again: replaces */
/* NAN where the update has no metric of this name. */
double store_update_metric(const store_update *u, const char *name);

typedef struct {
    int64_t iteration;
    const char *method, *set; /* "greedy"; "test" */
    int64_t k, problems, right;
    double accuracy, low, high, pass_at_k, maj_at_k;
    int64_t tokens_sampled, tokens_computed;
    int64_t tokens_judged; /* what the judge read, as store_tree has it; without prefixes before schema
                              version 7, 0 in runs of version 1 */
    int64_t unknown;       /* results that could not be graded; 0 in runs before schema version 5 */
} store_eval;
typedef struct {
    int64_t problem, sample;
    bool right, finished;
    int64_t tokens;
    const char *answer, *text; /* either may be NULL */
    bool unknown;              /* finished, and could not be graded: not right either */
} store_eval_result;
/* Replaces the evaluation of the same iteration, method and set, with all its results, in one transaction. */
esp_status store_add_eval(store *s, const store_eval *e, const store_eval_result *results, int64_t n,
                          esp_error *error);

/* The share of comparisons that came out as they should, over problems. */
typedef struct {
    int64_t comparisons, problems; /* problems: those with comparisons; both 0 before schema version 8 */
    double share, low, high;       /* NAN without comparisons */
} store_comparison;

/* How well self-evaluation judged in one iteration (eval/calibration.h has what the figures are). */
typedef struct {
    int64_t iteration;
    const char *source; /* "train": the iteration's trees, the gold example shown where the recipe says so;
                           "calibrated": the same with C~ for C; "frozen": the same nodes, judged by theta_0;
                           "eval": search at inference, nothing gold shown */
    const char *kind;   /* nodes: "finished", "unfinished" */
    int64_t positives, negatives;
    double area, low, high;            /* AUC and its 95% interval; NAN where a class is empty */
    double calibration_error;          /* ECE over ten bins; NAN without nodes */
    const char *bins;                  /* JSON: ten of [nodes, positives, mean C or null] */
    store_comparison within, siblings; /* of nodes of one problem; of steps after the same state */
} store_judgement;
/* In one transaction; again: replaces. */
esp_status store_add_judgements(store *s, const store_judgement *j, int64_t n, esp_error *error);

/* How the searches of an iteration read the judge's confidence (eval/confidence_fit.h). */
typedef struct {
    int64_t iteration;
    bool judged;          /* false: it had no weight */
    double slope, offset; /* of the map of its log-odds; NAN: nothing was fitted */
    double start;         /* of a problem before its first step */
    int64_t nodes;        /* that it was fitted on, those of the iteration before */
} store_calibration;
esp_status store_add_calibration(store *s, const store_calibration *c,
                                 esp_error *error); /* again: replaces */

/* ---- what an external grader has said: part of no digest, since what follows from it is ---- */
typedef struct {
    uint8_t key[16];     /* of grader, problem and answer */
    const char *problem; /* its name, for people; may be NULL */
    int correct;         /* 1, 0; -1: it could not judge */
    double reward;       /* NAN: none */
    const char *reason;  /* may be NULL */
} store_verdict;
/* In one transaction; one that is there already stays. */
esp_status store_add_verdicts(store *s, const store_verdict *v, int64_t n, esp_error *error);

/* ---- lists of rows: in memory that the list owns ---- */
#define STORE_LIST(type)                                                                                     \
    struct {                                                                                                 \
        type *at;                                                                                            \
        int64_t count;                                                                                       \
        arena *memory;                                                                                       \
    }
#define STORE_LIST_FREE(list)                                                                                \
    (arena_free((list)->memory), (list)->memory = NULL, (list)->at = NULL, (list)->count = 0)

/* ---- files that the rows rely on, by their path below the run's folder ---- */
typedef struct {
    const char *path; /* "checkpoints/sft/model.safetensors" */
    file_sum sum;
} store_file;
typedef STORE_LIST(store_file) store_files;
esp_status store_add_file(store *s, const store_file *f, esp_error *error); /* again: replaces */
/* Forgets that file, or all files below that folder. */
esp_status store_forget_files(store *s, const char *path, esp_error *error);

/* ---- the same files on disk ---- */
/* Sums of all files of a folder and of the folders in it, whatever they are; their paths begin with `name`.
 */
esp_status store_sum_files(const char *folder, const char *name, store_files *out, esp_error *error);
/* Compares the file with its row: an error where it is missing, cut or changed. */
esp_status store_check_file(store *s, const store_file *f, esp_error *error);
/* All rows of that path, as for store_read_files. *known: false where there are none, as in runs before
 * schema version 8. */
esp_status store_check_files(store *s, const char *path, bool *known, esp_error *error);
/* The same for a model that is given by its path, where that is a folder in some run's checkpoints/. */
esp_status store_check_model(const char *path, bool *known, esp_error *error);

/* ---- times and talk: not compared between runs ---- */
esp_status store_metric(store *s, int64_t iteration, const char *key, double value, esp_error *error);
esp_status store_event(store *s, int64_t iteration, const char *kind, const char *text, esp_error *error);
/* Appends {"time": now, ...members} to log.jsonl; `members` is JSON text of an object ("{\"loss\": 1}"), or
 * NULL. */
esp_status store_log(store *s, const char *kind, const char *members, esp_error *error);

/* ---- reading: rows in their one order ---- */
typedef STORE_LIST(store_problem) store_problems;
typedef STORE_LIST(store_tree) store_trees;
typedef STORE_LIST(store_node) store_nodes;
typedef STORE_LIST(store_commitment) store_commitments;
typedef STORE_LIST(store_pair) store_pairs;
typedef STORE_LIST(store_update) store_updates;
typedef STORE_LIST(store_eval) store_evals;
typedef STORE_LIST(store_eval_result) store_eval_results;
typedef STORE_LIST(store_judgement) store_judgements;
typedef STORE_LIST(store_calibration) store_calibrations;
typedef struct {
    int64_t iteration;
    const char *text; /* may be NULL */
    double time;      /* seconds since 1970 */
} store_event_row;
typedef STORE_LIST(store_event_row) store_events;
typedef struct {
    int64_t tree, nodes, pairs;
} store_size;
typedef STORE_LIST(store_size) store_sizes;
typedef struct {
    int64_t tree, iteration, problem;
    int64_t right; /* finished chains with a positive O */
    int64_t wrong; /* finished or cut chains with a negative one */
} store_outcome;
typedef STORE_LIST(store_outcome) store_outcomes;
typedef struct {
    int64_t trees, nodes, pairs, tokens_sampled, tokens_judged, tokens_computed, updates;
    int64_t unknown; /* finished chains in trees that could not be judged */
} store_totals;
/* What the trees of one iteration took. */
typedef struct {
    int64_t iteration, trees, tokens_sampled, tokens_judged, tokens_computed;
} store_cost;
typedef STORE_LIST(store_cost) store_costs;
#define STORE_ALL (-1)
/* iteration: one, or STORE_ALL. Pairs come by iteration, then by the order of adding (tree order, then step).
 */
esp_status store_read_pairs(store *s, int64_t iteration, store_pairs *out, esp_error *error);
/* The same without the ids that follow from trees, which are not read then. */
esp_status store_read_pair_rows(store *s, int64_t iteration, store_pairs *out, esp_error *error);
esp_status store_read_trees(store *s, int64_t iteration, store_trees *out,
                            esp_error *error); /* by iteration, ordinal */
esp_status store_read_nodes(store *s, int64_t tree, store_nodes *out, esp_error *error);
esp_status store_read_commitments(store *s, int64_t tree, store_commitments *out, esp_error *error);
/* One tree's, without those ids. */
esp_status store_read_tree_pairs(store *s, const store_tree *tree, store_pairs *out, esp_error *error);
esp_status store_read_problems(store *s, store_problems *out, esp_error *error); /* by problem */
/* How the chains of each tree ended, of iterations first .. last, by iteration, ordinal. */
esp_status store_read_outcomes(store *s, int64_t first, int64_t last, store_outcomes *out, esp_error *error);
/* The problem of that number among those that store_read_problems has read; NULL: it is not there. */
const store_problem *store_problem_of(const store_problems *problems, int64_t problem);
esp_status store_read_updates(store *s, int64_t iteration, store_updates *out, esp_error *error);
esp_status store_read_evals(store *s, store_evals *out, esp_error *error);
esp_status store_read_eval_results(store *s, int64_t iteration, const char *method, const char *set,
                                   store_eval_results *out, esp_error *error);
/* How large each tree is, in the order of store_read_trees; and the whole run: counts, without reading the
 * rows. */
esp_status store_read_sizes(store *s, int64_t iteration, store_sizes *out, esp_error *error);
esp_status store_read_totals(store *s, store_totals *out, esp_error *error);
esp_status store_read_costs(store *s, store_costs *out, esp_error *error); /* by iteration */
/* By iteration, source, kind; none in runs of schema version 1. */
esp_status store_read_judgements(store *s, store_judgements *out, esp_error *error);
/* By iteration; none in runs before schema version 9. */
esp_status store_read_calibrations(store *s, store_calibrations *out, esp_error *error);
/* That file, or those below that folder, or with "" all, by path; none in runs before schema version 8. */
esp_status store_read_files(store *s, const char *path, store_files *out, esp_error *error);
/* One after the other, in no order; each is valid during its call. */
esp_status store_read_verdicts(store *s, void (*take)(void *user, const store_verdict *v), void *user,
                               esp_error *error);
/* The events of that kind, as they came. */
esp_status store_read_events(store *s, const char *kind, store_events *out, esp_error *error);
/* The last value of a metric; *found says whether there is one. */
esp_status store_metric_get(store *s, int64_t iteration, const char *key, double *value, bool *found,
                            esp_error *error);

/* One hash over all rows of the compared tables: equal for two runs that found and learned the same. */
esp_status store_digest(store *s, uint64_t *out, esp_error *error);
/* The same over every table but those of times and places: also judgements, metrics of updates, and whatever
 * later versions add. Only runs of the same program can be compared by it. 0 in runs before schema version 8.
 */
esp_status store_digest_tables(store *s, uint64_t *out, esp_error *error);

/* ---- whether the rows are those that were written (row_sums.c) ---- */
/* Appends the names of the tables whose rows are not. *kept: false in runs before schema version 8, of which
 * nothing is known. */
esp_status store_sums_differing(store *s, bool *kept, text_buffer *out, esp_error *error);
/* SQLite's own check of the file: `found` is told of each thing that it finds. */
esp_status store_integrity(store *s, void (*found)(void *context, const char *line), void *context,
                           esp_error *error);
/* An error that names those tables. A run that is opened to write on is checked already. */
esp_status store_check_rows(store *s, esp_error *error);

#endif
