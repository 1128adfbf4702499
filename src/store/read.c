/* Reading rows, each kind in its one order, into memory that the list owns. */
#include "store/internal.h"

#include "base/limits.h"
#include "store/pair_ids.h"

#include <math.h>
#include <string.h>

/* A row that is being read. A run may come from a stranger: what no run writes (text that is missing, a
 * number out of its range) makes the row a damaged one, and no caller sees it. */
typedef struct {
    sqlite3_stmt *statement;
    arena *memory;
    int column; /* the next one */
    bool damaged;
} row;

static int64_t take_in(row *r, int64_t low, int64_t high) {
    int at = r->column++;
    int64_t value = sqlite3_column_int64(r->statement, at);
    if (sqlite3_column_type(r->statement, at) == SQLITE_INTEGER && value >= low && value <= high)
        return value;
    r->damaged = true;
    return low;
}

/* A number that counts or numbers something: from 0. */
static int64_t take_count(row *r) {
    return take_in(r, 0, LIMIT_ROW_NUMBER);
}

static int64_t take_iteration(row *r) {
    return take_in(r, 0, LIMIT_ITERATIONS);
}

/* A node; -1: none. */
static int64_t take_node_number(row *r) {
    return take_in(r, -1, INT32_MAX);
}

/* Any whole number; a sum of SQL is a real one. */
static int64_t take_int(row *r) {
    return sqlite3_column_int64(r->statement, r->column++);
}

static double take_double(row *r) {
    int at = r->column++;
    return sqlite3_column_type(r->statement, at) == SQLITE_NULL ? (double)NAN
                                                                : sqlite3_column_double(r->statement, at);
}

/* NULL where there is none. */
static const char *take_text(row *r) {
    const char *text = (const char *)sqlite3_column_text(r->statement, r->column++);
    return text ? arena_strdup(r->memory, text) : NULL;
}

static const char *take_words(row *r) {
    const char *text = take_text(r);
    r->damaged = r->damaged || !text;
    return text ? text : "";
}

/* A blob of 4-byte numbers; NULL where it is empty. */
static const void *take_numbers(row *r, int64_t *count) {
    const void *bytes = sqlite3_column_blob(r->statement, r->column);
    int64_t n = sqlite3_column_bytes(r->statement, r->column++) / 4;
    if (count) *count = n;
    return n ? arena_copy(r->memory, bytes, (size_t)n * 4) : NULL;
}

/* Runs of older schema versions lack the last columns of some tables. */
static bool has_more(const row *r) {
    return r->column < sqlite3_column_count(r->statement);
}

static void take_problem(row *r, store_problem *p) {
    p->problem = take_count(r);
    p->name = take_text(r);
    p->question = take_words(r);
    p->answer = take_text(r);
}

static void take_tree(row *r, store_tree *t) {
    t->tree = take_count(r);
    t->iteration = take_iteration(r);
    t->wave = take_count(r);
    t->ordinal = take_count(r);
    t->problem = take_count(r);
    t->prompt_ids = take_numbers(r, &t->prompt_count);
    t->final_node = take_node_number(r);
    t->outcome = take_double(r);
    t->simulations = take_count(r);
    t->tokens_sampled = take_count(r);
    t->tokens_judged = take_count(r);
    t->tokens_computed = take_count(r);
    t->finished = take_count(r);
    t->right = take_count(r);
    if (has_more(r)) t->unknown = take_count(r);
    t->tokens_judged_steps = t->tokens_judged;
    if (has_more(r) && sqlite3_column_type(r->statement, r->column) != SQLITE_NULL)
        t->tokens_judged_steps = take_count(r);
}

static void take_node(row *r, store_node *n) {
    int64_t logprobs;
    n->index = take_node_number(r);
    n->parent = take_node_number(r);
    n->depth = take_in(r, 0, INT32_MAX);
    n->ids = take_numbers(r, &n->count);
    n->logprobs = take_numbers(r, &logprobs);
    if (n->logprobs && logprobs != n->count) r->damaged = true;
    n->visits = take_count(r);
    n->logprob = take_double(r);
    n->q = take_double(r);
    n->v = take_double(r);
    n->r = take_double(r);
    n->prior = take_double(r);
    n->confidence = take_double(r);
    n->outcome = take_double(r);
    n->flags = (uint32_t)take_in(r, 0, UINT32_MAX);
    n->text = take_text(r);
}

static void take_commitment(row *r, store_commitment *c) {
    c->step = take_count(r);
    c->state = take_node_number(r);
    c->picked = take_node_number(r);
    c->chosen = take_node_number(r);
    c->rejected = take_node_number(r);
}

static void take_pair(row *r, store_pair *p) {
    p->pair = take_count(r);
    p->iteration = take_iteration(r);
    p->tree = take_in(r, -1, LIMIT_ROW_NUMBER);
    p->problem = take_in(r, -1, LIMIT_ROW_NUMBER);
    p->state = take_node_number(r);
    p->chosen = take_node_number(r);
    p->rejected = take_node_number(r);
    p->prefix_ids = take_numbers(r, &p->prefix_count);
    p->chosen_ids = take_numbers(r, &p->chosen_count);
    p->rejected_ids = take_numbers(r, &p->rejected_count);
    p->q_chosen = take_double(r);
    p->q_rejected = take_double(r);
    p->n_chosen = take_count(r);
    p->n_rejected = take_count(r);
    p->alpha = take_double(r);
    p->policy_logp_chosen = take_double(r);
    p->policy_logp_rejected = take_double(r);
    p->ref_logp_chosen = take_double(r);
    p->ref_logp_rejected = take_double(r);
    p->policy = take_text(r);
    if (has_more(r)) p->joined = take_in(r, INT32_MIN, INT32_MAX);
}

static void take_size(row *r, store_size *z) {
    z->tree = take_int(r);
    z->nodes = take_int(r);
    z->pairs = take_int(r);
}

static void take_outcome(row *r, store_outcome *o) {
    o->tree = take_int(r);
    o->iteration = take_int(r);
    o->problem = take_int(r);
    o->right = take_int(r);
    o->wrong = take_int(r);
}

static void take_cost(row *r, store_cost *c) {
    c->iteration = take_int(r);
    c->trees = take_int(r);
    c->tokens_sampled = take_int(r);
    c->tokens_judged = take_int(r);
    c->tokens_computed = take_int(r);
}

/* The metrics are those that have columns, and what the other table has where there is one. */
static void take_update(row *r, store_update *u) {
    static const char *const names[] = {"margin", "accuracy", "logp_chosen", "logp_rejected", "kl"};
    enum { COLUMNS = sizeof names / sizeof *names };
    u->phase = take_words(r);
    u->iteration = take_iteration(r);
    u->update = take_count(r);
    u->rows = take_count(r);
    u->loss = take_double(r);
    u->lr = take_double(r);
    u->grad_norm = take_double(r);
    store_value *metrics = ARENA_ARRAY(r->memory, store_value, COLUMNS);
    for (int i = 0; i < COLUMNS; i++) {
        double value = take_double(r);
        if (!isnan(value)) metrics[u->metric_count++] = (store_value){names[i], value};
    }
    u->metrics = metrics;
    u->tokens = take_count(r);
    u->tokens_computed = take_count(r);
}

/* One metric of an update. */
typedef struct {
    const char *phase;
    int64_t iteration, update;
    store_value value;
} update_metric;
typedef STORE_LIST(update_metric) update_metrics;

static void take_update_metric(row *r, update_metric *m) {
    m->iteration = take_iteration(r);
    m->phase = take_words(r);
    m->update = take_count(r);
    m->value.name = take_words(r);
    m->value.value = take_double(r);
}

static void take_eval(row *r, store_eval *e) {
    e->iteration = take_iteration(r);
    e->method = take_words(r);
    e->set = take_words(r);
    e->k = take_count(r);
    e->problems = take_count(r);
    e->right = take_count(r);
    e->accuracy = take_double(r);
    e->low = take_double(r);
    e->high = take_double(r);
    e->pass_at_k = take_double(r);
    e->maj_at_k = take_double(r);
    e->tokens_sampled = take_count(r);
    e->tokens_computed = take_count(r);
    if (has_more(r)) e->tokens_judged = take_count(r);
    if (has_more(r)) e->unknown = take_count(r);
}

static void take_comparison(row *r, store_comparison *c) {
    if (!has_more(r)) {
        c->share = c->low = c->high = NAN;
        return;
    }
    c->comparisons = take_count(r);
    c->problems = take_count(r);
    c->share = take_double(r);
    c->low = take_double(r);
    c->high = take_double(r);
}

static void take_judgement(row *r, store_judgement *j) {
    j->iteration = take_iteration(r);
    j->source = take_words(r);
    j->kind = take_words(r);
    j->positives = take_count(r);
    j->negatives = take_count(r);
    j->area = take_double(r);
    j->low = take_double(r);
    j->high = take_double(r);
    j->calibration_error = take_double(r);
    j->bins = take_words(r);
    take_comparison(r, &j->within);
    take_comparison(r, &j->siblings);
}

static void take_calibration(row *r, store_calibration *c) {
    c->iteration = take_iteration(r);
    c->judged = take_count(r) != 0;
    c->slope = take_double(r);
    c->offset = take_double(r);
    c->start = take_double(r);
    c->nodes = take_count(r);
}

static void take_eval_result(row *r, store_eval_result *e) {
    r->column = 3; /* after those that were asked for */
    e->problem = take_count(r);
    e->sample = take_count(r);
    e->right = take_count(r) != 0;
    e->finished = take_count(r) != 0;
    e->tokens = take_count(r);
    e->answer = take_text(r);
    e->text = take_text(r);
    if (has_more(r)) e->unknown = take_count(r) != 0;
}

/* type: "store_node". */
static esp_status damaged_row(store *s, sqlite3_stmt *statement, const char *type, esp_error *error) {
    sqlite3_reset(statement);
    return error_fail(error, "restore run.db from a copy",
                      "%s: a %s has a value that no run writes: text that is missing, or a number out of its "
                      "range",
                      s->file, type + (strncmp(type, "store_", 6) == 0 ? 6 : 0));
}

/* The rows of `query` (a bound statement) into *out, a STORE_LIST of `type`, by take_TYPE. */
#define READ_ALL(type, take, out, query)                                                                     \
    do {                                                                                                     \
        *(out) = (__typeof__(*(out))){0};                                                                    \
        row r_ = {0};                                                                                        \
        sqlite3_stmt *statement;                                                                             \
        ESP_TRY(query);                                                                                      \
        r_.statement = statement;                                                                            \
        r_.memory = arena_new();                                                                             \
        MEM_LIST(type) list_ = {0};                                                                          \
        bool more_ = true;                                                                                   \
        esp_status status_;                                                                                  \
        while ((status_ = store_next(s, "read", statement, &more_, error)) == ESP_OK && more_) {             \
            type one_ = {0};                                                                                 \
            r_.column = 0;                                                                                   \
            take(&r_, &one_);                                                                                \
            if (r_.damaged) break;                                                                           \
            MEM_LIST_PUSH(&list_, one_);                                                                     \
        }                                                                                                    \
        if (r_.damaged) status_ = damaged_row(s, statement, #type, error);                                   \
        if (status_ == ESP_OK) {                                                                             \
            size_t bytes_ = (size_t)list_.count * sizeof(type);                                              \
            out->at = list_.count ? arena_copy(r_.memory, list_.at, bytes_) : NULL;                          \
            out->count = list_.count;                                                                        \
            out->memory = r_.memory;                                                                         \
        } else {                                                                                             \
            arena_free(r_.memory);                                                                           \
        }                                                                                                    \
        MEM_LIST_FREE(&list_);                                                                               \
        return status_;                                                                                      \
    } while (0)
#define QUERY(...) store_query(s, "read", &statement, error, __VA_ARGS__)

esp_status store_read_problems(store *s, store_problems *out, esp_error *error) {
    READ_ALL(store_problem, take_problem, out, QUERY("SELECT * FROM problems ORDER BY problem", ""));
}

const store_problem *store_problem_of(const store_problems *problems, int64_t problem) {
    int64_t low = 0, high = problems->count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (problems->at[middle].problem < problem)
            low = middle + 1;
        else
            high = middle;
    }
    return low < problems->count && problems->at[low].problem == problem ? &problems->at[low] : NULL;
}

esp_status store_read_trees(store *s, int64_t iteration, store_trees *out, esp_error *error) {
    READ_ALL(store_tree, take_tree, out,
             QUERY("SELECT * FROM trees WHERE ?1 < 0 OR iteration = ?1 ORDER BY iteration, ordinal", "i",
                   iteration));
}

esp_status store_read_outcomes(store *s, int64_t first, int64_t last, store_outcomes *out, esp_error *error) {
    READ_ALL(store_outcome, take_outcome, out,
             QUERY("SELECT t.tree, t.iteration, t.problem, total(n.outcome > 0 AND n.flags & ?3),"
                   " total(n.outcome < 0) FROM trees t LEFT JOIN nodes n ON n.tree = t.tree AND n.flags & ?4"
                   " WHERE t.iteration BETWEEN ?1 AND ?2 GROUP BY t.tree ORDER BY t.iteration, t.ordinal",
                   "iiii", first, last, (int64_t)STORE_NODE_FINISHED,
                   (int64_t)(STORE_NODE_FINISHED | STORE_NODE_CUT)));
}

esp_status store_read_nodes(store *s, int64_t tree, store_nodes *out, esp_error *error) {
    READ_ALL(store_node, take_node, out,
             QUERY("SELECT node, parent, depth, ids, logprobs, visits, logprob, q, v, r, prior, confidence, "
                   "outcome, flags, text "
                   "FROM nodes WHERE tree = ? ORDER BY node",
                   "i", tree));
}

esp_status store_read_commitments(store *s, int64_t tree, store_commitments *out, esp_error *error) {
    READ_ALL(
        store_commitment, take_commitment, out,
        QUERY("SELECT step, state, picked, chosen, rejected FROM commitments WHERE tree = ? ORDER BY step",
              "i", tree));
}

esp_status store_read_pair_rows(store *s, int64_t iteration, store_pairs *out, esp_error *error) {
    if (iteration >= 0)
        READ_ALL(store_pair, take_pair, out,
                 QUERY("SELECT * FROM pairs WHERE iteration = ? ORDER BY pair", "i", iteration));
    READ_ALL(store_pair, take_pair, out, QUERY("SELECT * FROM pairs ORDER BY iteration, pair", ""));
}

esp_status store_read_tree_pairs(store *s, const store_tree *tree, store_pairs *out, esp_error *error) {
    READ_ALL(store_pair, take_pair, out,
             QUERY("SELECT * FROM pairs WHERE iteration = ? AND tree = ? ORDER BY pair", "ii",
                   tree->iteration, tree->tree));
}

static const int32_t *copy_ids(arena *memory, const pair_id_list *ids) {
    return arena_copy(memory, ids->at, (size_t)ids->count * 4);
}

esp_status store_read_pairs(store *s, int64_t iteration, store_pairs *out, esp_error *error) {
    ESP_TRY(store_read_pair_rows(s, iteration, out, error));
    pair_ids ids = {0};
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < out->count && status == ESP_OK; i++) {
        store_pair *p = &out->at[i];
        if (!pair_ids_follow(p)) continue;
        status = pair_ids_of(&ids, s, p, error);
        if (status != ESP_OK) break;
        p->prefix_ids = copy_ids(out->memory, &ids.prefix), p->prefix_count = ids.prefix.count;
        p->prompt_count = ids.prompt_count;
        p->chosen_ids = copy_ids(out->memory, &ids.chosen), p->chosen_count = ids.chosen.count;
        p->rejected_ids = copy_ids(out->memory, &ids.rejected), p->rejected_count = ids.rejected.count;
    }
    pair_ids_free(&ids);
    if (status != ESP_OK) STORE_LIST_FREE(out);
    return status;
}

esp_status store_read_sizes(store *s, int64_t iteration, store_sizes *out, esp_error *error) {
    READ_ALL(
        store_size, take_size, out,
        QUERY("SELECT t.tree, (SELECT count(*) FROM nodes n WHERE n.tree = t.tree), coalesce(p.pairs, 0) "
              "FROM trees t LEFT JOIN (SELECT tree, count(*) AS pairs FROM pairs GROUP BY tree) p "
              "ON p.tree = t.tree WHERE ?1 < 0 OR t.iteration = ?1 ORDER BY t.iteration, t.ordinal",
              "i", iteration));
}

esp_status store_read_costs(store *s, store_costs *out, esp_error *error) {
    READ_ALL(store_cost, take_cost, out,
             QUERY("SELECT iteration, count(*), total(tokens_sampled), total(tokens_judged),"
                   " total(tokens_computed) FROM trees GROUP BY iteration ORDER BY iteration",
                   ""));
}

/* Runs of older schema versions lack some columns and tables. */
static esp_status has_unknown(store *s, bool *out, esp_error *error) {
    sqlite3_stmt *statement;
    ESP_TRY(QUERY("SELECT 1 FROM pragma_table_info('trees') WHERE name = 'unknown'", ""));
    ESP_TRY(store_next(s, "read", statement, out, error));
    if (*out) sqlite3_reset(statement);
    return ESP_OK;
}

esp_status store_has_table(store *s, const char *name, bool *out, esp_error *error) {
    sqlite3_stmt *statement;
    ESP_TRY(QUERY("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?", "t", name));
    ESP_TRY(store_next(s, "read", statement, out, error));
    if (*out) sqlite3_reset(statement);
    return ESP_OK;
}

static esp_status read_updates(store *s, int64_t iteration, store_updates *out, esp_error *error) {
    READ_ALL(
        store_update, take_update, out,
        QUERY("SELECT * FROM updates WHERE ?1 < 0 OR iteration = ?1 ORDER BY iteration, phase DESC, step",
              "i", iteration));
}

static esp_status read_update_metrics(store *s, int64_t iteration, update_metrics *out, esp_error *error) {
    bool has;
    *out = (update_metrics){0};
    ESP_TRY(store_has_table(s, "update_metrics", &has, error));
    if (!has) return ESP_OK;
    READ_ALL(update_metric, take_update_metric, out,
             QUERY("SELECT * FROM update_metrics WHERE ?1 < 0 OR iteration = ?1"
                   " ORDER BY iteration, phase DESC, step, name",
                   "i", iteration));
}

/* The metrics of one update from a list in the updates' order: those from *next on, which moves past them. */
static void add_metrics(store_update *u, const update_metrics *all, int64_t *next, arena *memory) {
    int64_t first = *next, end = first;
    for (; end < all->count; end++) {
        const update_metric *m = &all->at[end];
        if (m->iteration != u->iteration || m->update != u->update || strcmp(m->phase, u->phase) != 0) break;
    }
    *next = end;
    if (end == first) return;
    store_value *metrics = ARENA_ARRAY(memory, store_value, end - first);
    u->metric_count = end - first;
    for (int64_t i = first; i < end; i++)
        metrics[i - first] =
            (store_value){arena_strdup(memory, all->at[i].value.name), all->at[i].value.value};
    u->metrics = metrics;
}

esp_status store_read_updates(store *s, int64_t iteration, store_updates *out, esp_error *error) {
    update_metrics metrics;
    ESP_TRY(read_updates(s, iteration, out, error));
    esp_status status = read_update_metrics(s, iteration, &metrics, error);
    if (status != ESP_OK) {
        STORE_LIST_FREE(out);
        return status;
    }
    for (int64_t i = 0, next = 0; i < out->count; i++) add_metrics(&out->at[i], &metrics, &next, out->memory);
    if (metrics.memory) STORE_LIST_FREE(&metrics);
    return ESP_OK;
}

esp_status store_read_evals(store *s, store_evals *out, esp_error *error) {
    READ_ALL(store_eval, take_eval, out,
             QUERY("SELECT * FROM evals ORDER BY iteration, method, problem_set", ""));
}

esp_status store_read_eval_results(store *s, int64_t iteration, const char *method, const char *set,
                                   store_eval_results *out, esp_error *error) {
    READ_ALL(store_eval_result, take_eval_result, out,
             QUERY("SELECT * FROM eval_results WHERE iteration = ? AND method = ? AND problem_set = ?"
                   " ORDER BY problem, sample",
                   "itt", iteration, method, set));
}

esp_status store_read_judgements(store *s, store_judgements *out, esp_error *error) {
    bool has;
    *out = (store_judgements){0};
    ESP_TRY(store_has_table(s, "judgements", &has, error));
    if (!has) return ESP_OK;
    READ_ALL(store_judgement, take_judgement, out,
             QUERY("SELECT * FROM judgements ORDER BY iteration, source, kind", ""));
}

esp_status store_read_calibrations(store *s, store_calibrations *out, esp_error *error) {
    bool has;
    *out = (store_calibrations){0};
    ESP_TRY(store_has_table(s, "calibrations", &has, error));
    if (!has) return ESP_OK;
    READ_ALL(store_calibration, take_calibration, out,
             QUERY("SELECT * FROM calibrations ORDER BY iteration", ""));
}

static void take_verdict(sqlite3_stmt *statement, store_verdict *v) {
    *v = (store_verdict){.correct = -1, .reward = NAN};
    size_t n = (size_t)sqlite3_column_bytes(statement, 0);
    if (n == sizeof v->key) memcpy(v->key, sqlite3_column_blob(statement, 0), n);
    v->problem = (const char *)sqlite3_column_text(statement, 1);
    if (sqlite3_column_type(statement, 2) != SQLITE_NULL) v->correct = sqlite3_column_int(statement, 2) != 0;
    if (sqlite3_column_type(statement, 3) != SQLITE_NULL) v->reward = sqlite3_column_double(statement, 3);
    v->reason = (const char *)sqlite3_column_text(statement, 4);
}

esp_status store_read_verdicts(store *s, void (*take)(void *user, const store_verdict *v), void *user,
                               esp_error *error) {
    bool more;
    ESP_TRY(store_has_table(s, "verdicts", &more, error));
    if (!more) return ESP_OK;
    sqlite3_stmt *statement;
    ESP_TRY(QUERY("SELECT key, problem, correct, reward, reason FROM verdicts", ""));
    for (;;) {
        ESP_TRY(store_next(s, "read", statement, &more, error));
        if (!more) return ESP_OK;
        store_verdict v;
        take_verdict(statement, &v);
        take(user, &v);
    }
}

/* ---- single values ---- */

static esp_status read_unknown(store *s, int64_t *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool there, more;
    *out = 0;
    ESP_TRY(has_unknown(s, &there, error));
    if (!there) return ESP_OK;
    ESP_TRY(QUERY("SELECT total(unknown) FROM trees", ""));
    ESP_TRY(store_next(s, "read", statement, &more, error));
    *out = take_int(&(row){.statement = statement});
    sqlite3_reset(statement);
    return ESP_OK;
}

esp_status store_read_totals(store *s, store_totals *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    *out = (store_totals){0};
    ESP_TRY(
        QUERY("SELECT w.*, t.*, u.* FROM"
              " (SELECT total(trees), total(nodes), total(pairs) FROM waves) w,"
              " (SELECT total(tokens_sampled), total(tokens_judged), total(tokens_computed) FROM trees) t,"
              " (SELECT count(*) FROM updates) u",
              ""));
    ESP_TRY(store_next(s, "read", statement, &more, error));
    row r = {.statement = statement};
    if (more) {
        int64_t *fields[] = {&out->trees,         &out->nodes,           &out->pairs,  &out->tokens_sampled,
                             &out->tokens_judged, &out->tokens_computed, &out->updates};
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) *fields[i] = take_int(&r);
    }
    sqlite3_reset(statement);
    return read_unknown(s, &out->unknown, error);
}

esp_status store_meta_get(store *s, const char *key, char **value, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    *value = NULL;
    ESP_TRY(QUERY("SELECT value FROM meta WHERE key = ?", "t", key));
    ESP_TRY(store_next(s, "read", statement, &more, error));
    if (more) *value = mem_strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_reset(statement);
    return ESP_OK;
}

esp_status store_position_get(store *s, store_position *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    *out = (store_position){.phase = STORE_PHASE_SFT};
    ESP_TRY(QUERY("SELECT phase, iteration, wave, step, checkpoint FROM position", ""));
    ESP_TRY(store_next(s, "read", statement, &more, error));
    if (!more) return ESP_OK;
    row r = {.statement = statement};
    store_position at = {.phase = (store_phase)take_in(&r, STORE_PHASE_SFT, STORE_PHASE_DONE)};
    at.iteration = take_iteration(&r);
    at.wave = take_count(&r);
    at.update = take_count(&r);
    /* A name of a folder, below checkpoints/ and nowhere else. */
    const char *checkpoint = (const char *)sqlite3_column_text(statement, r.column);
    bool named = checkpoint && strlen(checkpoint) < sizeof at.checkpoint && !strchr(checkpoint, '/') &&
                 strcmp(checkpoint, "..") != 0;
    if (named) strcpy(at.checkpoint, checkpoint);
    sqlite3_reset(statement);
    if (!named || r.damaged)
        return error_fail(error, "the file is damaged; restore it from a copy", "%s: no such position",
                          s->file);
    *out = at;
    return ESP_OK;
}

esp_status store_metric_get(store *s, int64_t iteration, const char *key, double *value, bool *found,
                            esp_error *error) {
    sqlite3_stmt *statement;
    ESP_TRY(QUERY("SELECT value FROM metrics WHERE key = ? AND iteration = ? ORDER BY id DESC LIMIT 1", "ti",
                  key, iteration));
    ESP_TRY(store_next(s, "read", statement, found, error));
    if (!*found) return ESP_OK;
    *value = take_double(&(row){.statement = statement});
    sqlite3_reset(statement);
    return ESP_OK;
}
