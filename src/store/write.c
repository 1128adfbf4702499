/* Writing rows. Each function is one statement, or several in one transaction. */
#include "store/internal.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define IDS(at, count) (const void *)(at), (size_t)(count) * sizeof(int32_t)

/* ---- meta, position ---- */

esp_status store_meta_set(store *s, const char *key, const char *value, esp_error *error) {
    return store_run(s, "write", error, "INSERT OR REPLACE INTO meta VALUES (?, ?)", "tt", key, value);
}

const char *store_phase_name(store_phase phase) {
    static const char *const names[] = {"sft", "search", "learn", "evaluate", "done"};
    return names[phase];
}

static esp_status write_position(store *s, const store_position *p, esp_error *error) {
    s->moves++;
    return store_run(s, "write the position", error,
                     "INSERT OR REPLACE INTO position VALUES (1, ?, ?, ?, ?, ?,"
                     " 1 + coalesce((SELECT moves FROM position), 0))",
                     "iiiit", (int64_t)p->phase, p->iteration, p->wave, p->update, p->checkpoint);
}

esp_status store_position_set(store *s, const store_position *p, esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    return store_leave(s, own, write_position(s, p, error), error);
}

esp_status store_add_problem(store *s, const store_problem *p, esp_error *error) {
    return store_run(s, "add a problem", error, "INSERT OR IGNORE INTO problems VALUES (?, ?, ?, ?)", "ittt",
                     p->problem, p->name, p->question, p->answer);
}

/* ---- waves ---- */

esp_status store_wave_begin(store *s, int64_t iteration, int64_t wave, esp_error *error) {
    ESP_TRY(store_begin(s, error));
    s->in_wave = true;
    s->wave_iteration = iteration;
    s->wave = wave;
    s->wave_trees = s->wave_nodes = s->wave_pairs = 0;
    /* Its row is made first, so that a wave that is there already fails here and not at its end. */
    esp_status status = store_run(s, "begin a wave", error, "INSERT INTO waves VALUES (?, ?, 0, 0, 0)", "ii",
                                  iteration, wave);
    if (status != ESP_OK) store_rollback(s);
    return status;
}

esp_status store_wave_commit(store *s, const store_position *next, esp_error *error) {
    esp_status status =
        store_run(s, "commit a wave", error,
                  "UPDATE waves SET trees = ?, nodes = ?, pairs = ? WHERE iteration = ? AND wave = ?",
                  "iiiii", s->wave_trees, s->wave_nodes, s->wave_pairs, s->wave_iteration, s->wave);
    if (status == ESP_OK) status = store_position_set(s, next, error);
    if (status == ESP_OK) return store_commit(s, error);
    store_rollback(s);
    return status;
}

esp_status store_add_tree(store *s, store_tree *t, esp_error *error) {
    ESP_TRY(store_run(s, "add a tree", error,
                      "INSERT INTO trees VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      "iiiibidiiiiiiii", t->iteration, t->wave, t->ordinal, t->problem,
                      IDS(t->prompt_ids, t->prompt_count), t->final_node, t->outcome, t->simulations,
                      t->tokens_sampled, t->tokens_judged, t->tokens_computed, t->finished, t->right,
                      t->unknown, t->tokens_judged_steps));
    t->tree = sqlite3_last_insert_rowid(s->db);
    s->wave_trees++;
    return ESP_OK;
}

static esp_status add_node(store *s, int64_t tree, const store_node *n, esp_error *error) {
    size_t logprobs = n->logprobs ? (size_t)n->count * sizeof(float) : 0;
    return store_run(s, "add a node", error,
                     "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     "iiiibbidddddddit", tree, n->index, n->parent, n->depth, IDS(n->ids, n->count),
                     (const void *)n->logprobs, logprobs, n->visits, n->logprob, n->q, n->v, n->r, n->prior,
                     n->confidence, n->outcome, (int64_t)n->flags, n->text);
}

esp_status store_add_nodes(store *s, int64_t tree, const store_node *nodes, int64_t n, esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++) status = add_node(s, tree, &nodes[i], error);
    s->wave_nodes += n;
    return store_leave(s, own, status, error);
}

esp_status store_add_commitments(store *s, int64_t tree, const store_commitment *c, int64_t n,
                                 esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++)
        status = store_run(s, "add a commitment", error, "INSERT INTO commitments VALUES (?, ?, ?, ?, ?, ?)",
                           "iiiiii", tree, c[i].step, c[i].state, c[i].picked, c[i].chosen, c[i].rejected);
    return store_leave(s, own, status, error);
}

esp_status store_add_pair(store *s, store_pair *p, esp_error *error) {
    ESP_TRY(store_run(
        s, "add a pair", error,
        "INSERT INTO pairs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iiiiiibbbddiidddddti", p->iteration, p->tree, p->problem, p->state, p->chosen, p->rejected,
        IDS(p->prefix_ids, p->prefix_count), IDS(p->chosen_ids, p->chosen_count),
        IDS(p->rejected_ids, p->rejected_count), p->q_chosen, p->q_rejected, p->n_chosen, p->n_rejected,
        p->alpha, p->policy_logp_chosen, p->policy_logp_rejected, p->ref_logp_chosen, p->ref_logp_rejected,
        p->policy, p->joined));
    p->pair = sqlite3_last_insert_rowid(s->db);
    s->wave_pairs++;
    return ESP_OK;
}

esp_status store_set_reference(store *s, int64_t pair, double chosen, double rejected, esp_error *error) {
    ESP_TRY(store_run(s, "write a reference", error,
                      "UPDATE pairs SET ref_logp_chosen = ?, ref_logp_rejected = ? WHERE pair = ?", "ddi",
                      chosen, rejected, pair));
    if (sqlite3_changes(s->db) == 1) return ESP_OK;
    return error_fail(error, "report this: it is a fault of the program", "%s: no pair %lld", s->file,
                      (long long)pair);
}

/* ---- learning, evaluation ---- */

double store_update_metric(const store_update *u, const char *name) {
    for (int64_t i = 0; i < u->metric_count; i++)
        if (strcmp(u->metrics[i].name, name) == 0) return u->metrics[i].value;
    return NAN;
}

static esp_status write_update(store *s, const store_update *u, esp_error *error) {
    const char *doing = "add an update";
    ESP_TRY(store_run(s, doing, error,
                      "INSERT OR REPLACE INTO updates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      "tiiiddddddddii", u->phase, u->iteration, u->update, u->rows, u->loss, u->lr,
                      u->grad_norm, store_update_metric(u, "margin"), store_update_metric(u, "accuracy"),
                      store_update_metric(u, "logp_chosen"), store_update_metric(u, "logp_rejected"),
                      store_update_metric(u, "kl"), u->tokens, u->tokens_computed));
    ESP_TRY(store_run(s, doing, error,
                      "DELETE FROM update_metrics WHERE iteration = ? AND phase = ? AND step = ?", "iti",
                      u->iteration, u->phase, u->update));
    for (int64_t i = 0; i < u->metric_count; i++)
        ESP_TRY(store_run(s, doing, error, "INSERT INTO update_metrics VALUES (?, ?, ?, ?, ?)", "ititd",
                          u->iteration, u->phase, u->update, u->metrics[i].name, u->metrics[i].value));
    return ESP_OK;
}

esp_status store_add_update(store *s, const store_update *u, esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    return store_leave(s, own, write_update(s, u, error), error);
}

static esp_status write_eval(store *s, const store_eval *e, const store_eval_result *r, int64_t n,
                             esp_error *error) {
    const char *doing = "add an evaluation";
    ESP_TRY(store_run(s, doing, error,
                      "DELETE FROM eval_results WHERE iteration = ? AND method = ? AND problem_set = ?",
                      "itt", e->iteration, e->method, e->set));
    ESP_TRY(store_run(s, doing, error,
                      "INSERT OR REPLACE INTO evals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      "ittiiidddddiiii", e->iteration, e->method, e->set, e->k, e->problems, e->right,
                      e->accuracy, e->low, e->high, e->pass_at_k, e->maj_at_k, e->tokens_sampled,
                      e->tokens_computed, e->tokens_judged, e->unknown));
    for (int64_t i = 0; i < n; i++)
        ESP_TRY(store_run(
            s, doing, error, "INSERT INTO eval_results VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "ittiiiiitti", e->iteration, e->method, e->set, r[i].problem, r[i].sample, (int64_t)r[i].right,
            (int64_t)r[i].finished, r[i].tokens, r[i].answer, r[i].text, (int64_t)r[i].unknown));
    return ESP_OK;
}

esp_status store_add_eval(store *s, const store_eval *e, const store_eval_result *results, int64_t n,
                          esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    return store_leave(s, own, write_eval(s, e, results, n, error), error);
}

#define COMPARISON(c) (c)->comparisons, (c)->problems, (c)->share, (c)->low, (c)->high
static esp_status add_judgement(store *s, const store_judgement *j, esp_error *error) {
    return store_run(s, "add a judgement", error,
                     "INSERT OR REPLACE INTO judgements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                     "?, ?, ?, ?, ?)",
                     "ittiiddddtiidddiiddd", j->iteration, j->source, j->kind, j->positives, j->negatives,
                     j->area, j->low, j->high, j->calibration_error, j->bins, COMPARISON(&j->within),
                     COMPARISON(&j->siblings));
}

esp_status store_add_judgements(store *s, const store_judgement *j, int64_t n, esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++) status = add_judgement(s, &j[i], error);
    return store_leave(s, own, status, error);
}

esp_status store_add_calibration(store *s, const store_calibration *c, esp_error *error) {
    return store_run(s, "add a calibration", error,
                     "INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?, ?, ?, ?)", "iidddi", c->iteration,
                     (int64_t)c->judged, c->slope, c->offset, c->start, c->nodes);
}

/* ---- verdicts ---- */

esp_status store_add_verdicts(store *s, const store_verdict *v, int64_t n, esp_error *error) {
    bool own;
    ESP_TRY(store_enter(s, &own, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++) {
        const char *doing = "keep a verdict";
        const void *key = v[i].key;
        size_t size = sizeof v[i].key;
        if (v[i].correct < 0)
            status = store_run(s, doing, error, "INSERT OR IGNORE INTO verdicts VALUES (?, ?, NULL, ?, ?)",
                               "btdt", key, size, v[i].problem, v[i].reward, v[i].reason);
        else
            status =
                store_run(s, doing, error, "INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?, ?, ?)", "btidt",
                          key, size, v[i].problem, (int64_t)v[i].correct, v[i].reward, v[i].reason);
    }
    return store_leave(s, own, status, error);
}

/* ---- times and talk ---- */

static double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

esp_status store_metric(store *s, int64_t iteration, const char *key, double value, esp_error *error) {
    return store_run(s, "add a metric", error, "INSERT INTO metrics VALUES (NULL, ?, ?, ?, ?)", "itdd",
                     iteration, key, value, seconds_now());
}

esp_status store_event(store *s, int64_t iteration, const char *kind, const char *text, esp_error *error) {
    return store_run(s, "add an event", error, "INSERT INTO events VALUES (NULL, ?, ?, ?, ?)", "ittd",
                     iteration, kind, text, seconds_now());
}
