/* Reading what learning and evaluations wrote, and single values. */
#include "store/row.h"

#include <math.h>
#include <string.h>

/* The metrics are those that have columns, and what the other table has where there is one. */
static void take_update(row *r, store_update *u) {
    static const char *const names[] = {"margin", "accuracy", "logp_chosen", "logp_rejected", "kl"};
    enum { COLUMNS = sizeof names / sizeof *names };
    u->phase = row_words(r);
    u->iteration = row_iteration(r);
    u->update = row_count(r);
    u->rows = row_count(r);
    u->loss = row_double(r);
    u->lr = row_double(r);
    u->grad_norm = row_double(r);
    store_value *metrics = ARENA_ARRAY(r->memory, store_value, COLUMNS);
    for (int i = 0; i < COLUMNS; i++) {
        double value = row_double(r);
        if (!isnan(value)) metrics[u->metric_count++] = (store_value){names[i], value};
    }
    u->metrics = metrics;
    u->tokens = row_count(r);
    u->tokens_computed = row_count(r);
}

/* One metric of an update. */
typedef struct {
    const char *phase;
    int64_t iteration, update;
    store_value value;
} update_metric;
typedef STORE_LIST(update_metric) update_metrics;

static void take_update_metric(row *r, update_metric *m) {
    m->iteration = row_iteration(r);
    m->phase = row_words(r);
    m->update = row_count(r);
    m->value.name = row_words(r);
    m->value.value = row_double(r);
}

static void take_eval(row *r, store_eval *e) {
    e->iteration = row_iteration(r);
    e->method = row_words(r);
    e->set = row_words(r);
    e->k = row_count(r);
    e->problems = row_count(r);
    e->right = row_count(r);
    e->accuracy = row_double(r);
    e->low = row_double(r);
    e->high = row_double(r);
    e->pass_at_k = row_double(r);
    e->maj_at_k = row_double(r);
    e->tokens_sampled = row_count(r);
    e->tokens_computed = row_count(r);
    if (row_has_more(r)) e->tokens_judged = row_count(r);
    if (row_has_more(r)) e->unknown = row_count(r);
}

static void take_comparison(row *r, store_comparison *c) {
    if (!row_has_more(r)) {
        c->share = c->low = c->high = NAN;
        return;
    }
    c->comparisons = row_count(r);
    c->problems = row_count(r);
    c->share = row_double(r);
    c->low = row_double(r);
    c->high = row_double(r);
}

static void take_judgement(row *r, store_judgement *j) {
    j->iteration = row_iteration(r);
    j->source = row_words(r);
    j->kind = row_words(r);
    j->positives = row_count(r);
    j->negatives = row_count(r);
    j->area = row_double(r);
    j->low = row_double(r);
    j->high = row_double(r);
    j->calibration_error = row_double(r);
    j->bins = row_words(r);
    take_comparison(r, &j->within);
    take_comparison(r, &j->siblings);
}

static void take_calibration(row *r, store_calibration *c) {
    c->iteration = row_iteration(r);
    c->judged = row_count(r) != 0;
    c->slope = row_double(r);
    c->offset = row_double(r);
    c->start = row_double(r);
    c->nodes = row_count(r);
}

static void take_eval_result(row *r, store_eval_result *e) {
    r->column = 3; /* after those that were asked for */
    e->problem = row_count(r);
    e->sample = row_count(r);
    e->right = row_count(r) != 0;
    e->finished = row_count(r) != 0;
    e->tokens = row_count(r);
    e->answer = row_text(r);
    e->text = row_text(r);
    if (row_has_more(r)) e->unknown = row_count(r) != 0;
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
    *out = row_int(&(row){.statement = statement});
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
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) *fields[i] = row_int(&r);
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
    store_position at = {.phase = (store_phase)row_in(&r, STORE_PHASE_SFT, STORE_PHASE_DONE)};
    at.iteration = row_iteration(&r);
    at.wave = row_count(&r);
    at.update = row_count(&r);
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
    *value = row_double(&(row){.statement = statement});
    sqlite3_reset(statement);
    return ESP_OK;
}
