/* The tables of run.db. Blobs of ids are int32, of log-probs float32, little-endian. Only `metrics` and
 * `events` hold times. A change here raises STORE_SCHEMA_VERSION and only adds: columns at a table's end with
 * a default, tables and views of their own. store_additions bring an older run up to date when it is written
 * to; a reader takes it as it is. */
#include "store/internal.h"

/* Version 2: what the judge cost in an evaluation, and how well it judged. bins: JSON, ten of
 * [nodes, positives, mean C or null]. */
#define EVALS_2 " tokens_judged INTEGER NOT NULL DEFAULT 0"
#define JUDGEMENTS                                                                                           \
    "CREATE TABLE judgements (iteration INTEGER, source TEXT, kind TEXT, positives INTEGER NOT NULL,"        \
    " negatives INTEGER NOT NULL, area REAL, low REAL, high REAL, calibration_error REAL,"                   \
    " bins TEXT NOT NULL, PRIMARY KEY (iteration, source, kind)) WITHOUT ROWID;"

/* Version 3: a pair's ids follow from its tree (store/pair_ids.h), and its three blobs are empty. Evaluations
 * by search keep their two shares in the columns of samples, which the digest covers; a view names them. */
#define PAIRS_3 " joined INTEGER NOT NULL DEFAULT 0"
#define SEARCH_EVALS                                                                                         \
    "CREATE VIEW search_evals AS SELECT iteration, method, problem_set, problems, accuracy,"                 \
    " pass_at_k AS any_correct, maj_at_k AS vote_correct FROM evals"                                         \
    " WHERE method IN ('search', 'search-unjudged');"

/* Version 4: the metrics of an update's loss, by name. Of those that version 1 knew, `updates` has columns
 * too. */
#define UPDATE_METRICS                                                                                       \
    "CREATE TABLE update_metrics (iteration INTEGER, phase TEXT, step INTEGER, name TEXT, value REAL,"       \
    " PRIMARY KEY (iteration, phase, step, name)) WITHOUT ROWID;"

/* Version 5: answers that could not be graded, and what an external grader has said. correct: NULL where it
 * could not judge. */
#define UNKNOWN_5 " unknown INTEGER NOT NULL DEFAULT 0"
#define VERDICTS                                                                                             \
    "CREATE TABLE verdicts (key BLOB PRIMARY KEY, problem TEXT, correct INTEGER, reward REAL, reason TEXT)"  \
    " WITHOUT ROWID;"

/* Version 6: evaluations by choices, whose share with length normalization is in the column of samples. */
#define CHOICE_EVALS                                                                                         \
    "CREATE VIEW choice_evals AS SELECT iteration, method, problem_set, problems, accuracy,"                 \
    " maj_at_k AS accuracy_normalized FROM evals WHERE method = 'choices';"

/* Version 7: one budget, and the judge within problems. tokens_judged of a tree is all that the judge read;
 * NULL in tokens_judged_steps: of steps alone, as versions before had it. Of a judgement, within_ and
 * sibling_ compare nodes of one problem. */
#define SPENT " ADD COLUMN tokens_spent INTEGER GENERATED ALWAYS AS (tokens_sampled + tokens_judged) VIRTUAL;"
#define WITHIN                                                                                               \
    "ALTER TABLE judgements ADD COLUMN within_comparisons INTEGER NOT NULL DEFAULT 0;"                       \
    "ALTER TABLE judgements ADD COLUMN within_problems INTEGER NOT NULL DEFAULT 0;"                          \
    "ALTER TABLE judgements ADD COLUMN within_share REAL;"                                                   \
    "ALTER TABLE judgements ADD COLUMN within_low REAL;"                                                     \
    "ALTER TABLE judgements ADD COLUMN within_high REAL;"                                                    \
    "ALTER TABLE judgements ADD COLUMN sibling_comparisons INTEGER NOT NULL DEFAULT 0;"                      \
    "ALTER TABLE judgements ADD COLUMN sibling_problems INTEGER NOT NULL DEFAULT 0;"                         \
    "ALTER TABLE judgements ADD COLUMN sibling_share REAL;"                                                  \
    "ALTER TABLE judgements ADD COLUMN sibling_low REAL;"                                                    \
    "ALTER TABLE judgements ADD COLUMN sibling_high REAL;"
#define VERSION_7                                                                                            \
    "ALTER TABLE trees ADD COLUMN tokens_judged_steps INTEGER;"                                              \
    "ALTER TABLE trees" SPENT "ALTER TABLE evals" SPENT WITHIN

/* Version 8: the files that the rows rely on, the sum of each table's rows (store/row_sums.c), and how often
 * the position was set. */
#define VERSION_8                                                                                            \
    "ALTER TABLE position ADD COLUMN moves INTEGER NOT NULL DEFAULT 0;"                                      \
    "CREATE TABLE files (path TEXT PRIMARY KEY, bytes INTEGER NOT NULL, sha256 TEXT NOT NULL) WITHOUT "      \
    "ROWID;" STORE_SUMS

/* Version 9: how the searches of an iteration read the judge's confidence. */
#define CALIBRATIONS                                                                                         \
    "CREATE TABLE calibrations (iteration INTEGER PRIMARY KEY, judged INTEGER NOT NULL, slope REAL,"         \
    " intercept REAL, start REAL NOT NULL, nodes INTEGER NOT NULL);"

const char *const store_additions[STORE_SCHEMA_VERSION] = {
    [1] = "ALTER TABLE evals ADD COLUMN" EVALS_2 ";" JUDGEMENTS,
    [2] = "ALTER TABLE pairs ADD COLUMN" PAIRS_3 ";" SEARCH_EVALS,
    [3] = UPDATE_METRICS,
    [4] = "ALTER TABLE trees ADD COLUMN" UNKNOWN_5 "; ALTER TABLE evals ADD COLUMN" UNKNOWN_5
          "; ALTER TABLE eval_results ADD COLUMN" UNKNOWN_5 ";" VERDICTS,
    [5] = CHOICE_EVALS,
    [6] = VERSION_7,
    [7] = VERSION_8,
    [8] = CALIBRATIONS,
};

/* A new run has the tables of version 6, and then what was added since. */
const char store_schema[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    /* One row: what comes next. */
    "CREATE TABLE position (one INTEGER PRIMARY KEY CHECK (one = 1), phase INTEGER NOT NULL,"
    " iteration INTEGER NOT NULL, wave INTEGER NOT NULL, step INTEGER NOT NULL, checkpoint TEXT NOT "
    "NULL);"
    "CREATE TABLE problems (problem INTEGER PRIMARY KEY, name TEXT, question TEXT NOT NULL, answer TEXT);"
    "CREATE TABLE waves (iteration INTEGER, wave INTEGER, trees INTEGER NOT NULL, nodes INTEGER NOT NULL,"
    " pairs INTEGER NOT NULL, PRIMARY KEY (iteration, wave)) WITHOUT ROWID;"
    "CREATE TABLE trees (tree INTEGER PRIMARY KEY, iteration INTEGER NOT NULL, wave INTEGER NOT NULL,"
    " ordinal INTEGER NOT NULL, problem INTEGER NOT NULL, prompt_ids BLOB NOT NULL, final_node INTEGER NOT "
    "NULL,"
    " outcome REAL, simulations INTEGER NOT NULL, tokens_sampled INTEGER NOT NULL, tokens_judged INTEGER NOT "
    "NULL,"
    " tokens_computed INTEGER NOT NULL, finished INTEGER NOT NULL, right INTEGER NOT NULL," UNKNOWN_5 ","
    " UNIQUE (iteration, ordinal));"
    "CREATE TABLE nodes (tree INTEGER, node INTEGER, parent INTEGER NOT NULL, depth INTEGER NOT NULL, ids "
    "BLOB,"
    " logprobs BLOB, visits INTEGER NOT NULL, logprob REAL, q REAL, v REAL, r REAL, prior REAL, confidence "
    "REAL,"
    " outcome REAL, flags INTEGER NOT NULL, text TEXT, PRIMARY KEY (tree, node)) WITHOUT ROWID;"
    "CREATE TABLE commitments (tree INTEGER, step INTEGER, state INTEGER NOT NULL, picked INTEGER NOT NULL,"
    " chosen INTEGER NOT NULL, rejected INTEGER NOT NULL, PRIMARY KEY (tree, step)) WITHOUT ROWID;"
    "CREATE TABLE pairs (pair INTEGER PRIMARY KEY, iteration INTEGER NOT NULL, tree INTEGER NOT NULL,"
    " problem INTEGER NOT NULL, state INTEGER NOT NULL, chosen INTEGER NOT NULL, rejected INTEGER NOT NULL,"
    " prefix_ids BLOB NOT NULL, chosen_ids BLOB NOT NULL, rejected_ids BLOB NOT NULL, q_chosen REAL, "
    "q_rejected REAL,"
    " n_chosen INTEGER NOT NULL, n_rejected INTEGER NOT NULL, alpha REAL, policy_logp_chosen REAL,"
    " policy_logp_rejected REAL, ref_logp_chosen REAL, ref_logp_rejected REAL, policy TEXT," PAIRS_3 ");"
    "CREATE INDEX pairs_by_iteration ON pairs (iteration, pair);"
    "CREATE TABLE updates (phase TEXT, iteration INTEGER, step INTEGER, rows INTEGER NOT NULL, loss REAL, lr "
    "REAL,"
    " grad_norm REAL, margin REAL, accuracy REAL, logp_chosen REAL, logp_rejected REAL, kl REAL,"
    " tokens INTEGER NOT NULL, tokens_computed INTEGER NOT NULL, PRIMARY KEY (iteration, phase, step)) "
    "WITHOUT ROWID;" UPDATE_METRICS
    "CREATE TABLE evals (iteration INTEGER, method TEXT, problem_set TEXT, k INTEGER NOT NULL,"
    " problems INTEGER NOT NULL, right INTEGER NOT NULL, accuracy REAL, low REAL, high REAL, pass_at_k REAL,"
    " maj_at_k REAL, tokens_sampled INTEGER NOT NULL, tokens_computed INTEGER NOT NULL," EVALS_2 "," UNKNOWN_5
    ","
    " PRIMARY KEY (iteration, method, problem_set)) WITHOUT ROWID;" JUDGEMENTS SEARCH_EVALS CHOICE_EVALS
    "CREATE TABLE eval_results (iteration INTEGER, method TEXT, problem_set TEXT, problem INTEGER, sample "
    "INTEGER,"
    " right INTEGER NOT NULL, finished INTEGER NOT NULL, tokens INTEGER NOT NULL, answer TEXT, text "
    "TEXT," UNKNOWN_5 ","
    " PRIMARY KEY (iteration, method, problem_set, problem, sample)) WITHOUT ROWID;" VERDICTS
    "CREATE TABLE metrics (id INTEGER PRIMARY KEY, iteration INTEGER NOT NULL, key TEXT NOT NULL, value REAL,"
    " time REAL NOT NULL);"
    "CREATE INDEX metrics_by_key ON metrics (key, iteration, id);"
    "CREATE TABLE events (id INTEGER PRIMARY KEY, iteration INTEGER NOT NULL, kind TEXT NOT NULL, text TEXT,"
    " time REAL NOT NULL);" VERSION_7 VERSION_8 CALIBRATIONS;
