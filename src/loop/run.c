#include "loop/phases.h"

#include "base/file.h"
#include "formats/json.h"
#include "eval/confidence_fit.h"
#include "loop/checkpoint.h"
#include "loop/judge_worth.h"
#include "loop/provenance.h"
#include "loop/recipe_change.h"
#include "loop/run.h"
#include "plan/plan.h"

#include <stdio.h>
#include <string.h>

static const char RECIPE_FILE[] = "recipe.yaml";

/* What a store keeps of a run's phases and its way to search: "7", "2 unshared". */
static void phases_text(const run_state *run, const char *unshared, char out[24]) {
    snprintf(out, 24, "%d%s%s", run->phases, run->unshared ? " " : "", run->unshared ? unshared : "");
}

/* Earlier versions wrote "plain" for "unshared". */
static bool same_phases(const run_state *run, const char *stored) {
    char now[24], earlier[24];
    phases_text(run, "unshared", now);
    phases_text(run, "plain", earlier);
    return strcmp(stored, now) == 0 || strcmp(stored, earlier) == 0;
}

/* Only the phases that a run was started with may be resumed: others would misread which phases are done. */
static esp_status check_phases(run_state *run, bool fresh, esp_error *error) {
    char mine[24], *there;
    phases_text(run, "unshared", mine);
    if (fresh) return store_meta_set(run->store, "parts", mine, error);
    ESP_TRY(store_meta_get(run->store, "parts", &there, error));
    esp_status status = ESP_OK;
    if (there && !same_phases(run, there)) {
        error_fail(error, "resume it with the phases that it was started with, or choose another folder",
                   "%s: this run was started with other phases, or another way to search", run->folder);
        status = error_because(error, ESP_REASON_OTHER_RUN);
    }
    mem_free(there);
    return status;
}

/* The same bits are promised on the same machine (docs/architecture.md, idea 4): elsewhere, and with another
 * number of threads, it is said. */
static esp_status note_machine(run_state *run, bool fresh, esp_error *error) {
    const char *here = compute_describe(run->session.compute);
    char *there;
    if (fresh) return store_meta_set(run->store, "compute", here, error);
    ESP_TRY(store_meta_get(run->store, "compute", &there, error));
    if (there && strcmp(there, here) != 0)
        observer_note(&run->session.observer,
                      "this run was started on %s and continues on %s: the last bits of its numbers will "
                      "differ from those of an uninterrupted run",
                      there, here);
    mem_free(there);
    return ESP_OK;
}

/* Whether a later update continues with the optimizer that the position's checkpoint holds. */
static bool needs_state(const run_state *run, const store_position *at) {
    checkpoint_name name = checkpoint_name_read(at->checkpoint);
    if (name.kind == CHECKPOINT_BETWEEN) return true;
    bool learns = at->phase == STORE_PHASE_SEARCH || at->phase == STORE_PHASE_LEARN ||
                  (at->phase == STORE_PHASE_EVALUATE && at->iteration < run->session.recipe->run.iterations);
    return name.iteration > 0 && learns && (run->phases & RUN_LEARN);
}

static bool holds_run(const char *folder) {
    store *s;
    if (store_open(&s, folder, STORE_READ, NULL) != ESP_OK) return false;
    store_close(s);
    return true;
}

/* The files that the run continues from are those that it wrote. */
static esp_status check_files(run_state *run, const store_position *at, esp_error *error) {
    bool known;
    ESP_TRY(checkpoint_check(run->store, at, needs_state(run, at), &known, error));
    if (!known)
        observer_note(&run->session.observer,
                      "checkpoints/%s was written by an earlier version, without sums: whether its files "
                      "have changed since is not known",
                      at->checkpoint);
    return ESP_OK;
}

/* Opens the store and compares it with what else is in the folder; where they disagree, nothing is changed:
 * a state that is missing is never taken for a beginning. */
static esp_status open_record(run_state *run, const run_options *options, bool fresh, const char *recipe_path,
                              esp_error *error) {
    store_position at = {0};
    if (fresh && !holds_run(options->folder)) ESP_TRY(checkpoint_check_none(options->folder, error));
    store_mode mode = !options->resume ? STORE_CREATE : fresh ? STORE_RESUME : STORE_RESUME_BEGUN;
    ESP_TRY(store_open(&run->store, options->folder, mode, error));
    ESP_TRY(store_position_get(run->store, &at, error));
    if (fresh && (at.phase != STORE_PHASE_SFT || at.update > 0))
        return error_fail(error, "put the recipe that the run was made with there",
                          "%s: is gone, and work was done by it", recipe_path);
    return fresh ? checkpoint_check_none(options->folder, error) : check_files(run, &at, error);
}

/* Its sum goes into the store first, the file itself last: it ends the beginning. */
static esp_status record_recipe(run_state *run, const recipe *r, const char *path, esp_error *error) {
    store_file file = {.path = RECIPE_FILE};
    text_buffer text = {0};
    recipe_text(r, &text);
    esp_status status = file_sum_of_bytes(text.at, text.length, &file.sum, error);
    if (status == ESP_OK) status = store_add_file(run->store, &file, error);
    text_free(&text);
    return status == ESP_OK ? recipe_write(r, path, error) : status;
}

/* What the recipe changes of a run that goes on. */
static esp_status take_changes(run_state *run, const recipe *r, esp_error *error) {
    text_buffer told = {0};
    esp_status status = recipe_change(run->store, r, run->phases, &told, error);
    if (status == ESP_OK && told.length)
        observer_note(&run->session.observer, "the recipe has changed: %s", told.at);
    text_free(&told);
    return status;
}

/* A kill right after the store was made leaves it without a recipe: such a run starts from the beginning. */
static esp_status open_run(run_state *run, const recipe *r, const run_options *options, esp_error *error) {
    char *path = path_join(options->folder, RECIPE_FILE),
         *checkpoints = path_join(options->folder, "checkpoints");
    bool fresh = !options->resume || !file_exists(path);
    esp_status status = open_record(run, options, fresh, path, error);
    if (status == ESP_OK) status = check_phases(run, fresh, error);
    if (status == ESP_OK) status = note_machine(run, fresh, error);
    if (status == ESP_OK && fresh) status = provenance_record_folder(run->store, error);
    if (status == ESP_OK) status = provenance_check_contents(&run->session, run->store, error);
    if (status == ESP_OK && fresh) status = folder_make(checkpoints, error);
    if (status == ESP_OK && fresh) status = record_recipe(run, r, path, error);
    if (status == ESP_OK && !fresh && options->changes) status = take_changes(run, r, error);
    mem_free(path);
    mem_free(checkpoints);
    ESP_TRY(status);
    return store_event(run->store, 0, options->resume ? "resumed" : "started",
                       compute_describe(run->session.compute), error);
}

static esp_status run_phase(run_state *run, const store_position *at, esp_error *error) {
    switch (at->phase) {
    case STORE_PHASE_SFT:
        return phase_sft(run, at, error);
    case STORE_PHASE_SEARCH:
        return phase_search(run, at, error);
    case STORE_PHASE_LEARN:
        return phase_learn(run, at, error);
    case STORE_PHASE_EVALUATE:
        return phase_evaluate(run, at, error);
    case STORE_PHASE_DONE:
        break;
    }
    return ESP_OK;
}

/* A run that has begun can be resumed after a stop and after any failure; one whose first commit found no
 * room, too. */
static esp_status mark_resumable(const char *folder, bool began, esp_status status, esp_error *error) {
    if (status == ESP_OK || !error || !(began || error->reason == ESP_REASON_DISK_FULL)) return status;
    if (status == ESP_INTERRUPTED)
        error_set(error, ESP_INTERRUPTED, "resume it", "stopped; what was finished is kept in %s", folder);
    error->resumable = true;
    return status;
}

/* What cannot fit is refused before anything is loaded. */
static esp_status check_fits(const recipe *r, esp_error *error) {
    model_config config;
    if (!r->model.path || !r->model.path[0]) {
        error_set(error, ESP_USAGE, "set model.path", "no model is named");
        return error_about(error, ESP_REASON_UNSET, "model.path");
    }
    ESP_TRY(model_read_config(&config, r->model.path, error));
    plan_memory memory = plan_memory_of(r, &config, 0);
    return plan_check(&memory, error);
}

/* What a grader from outside did in a phase. */
static void note_grader(const run_state *run, const store_position *at, grader_counts *before) {
    if (!run->session.grader) return;
    grader_counts now = grader_counts_of(run->session.grader);
    const observer *o = &run->session.observer;
    if (now.asked + now.remembered > before->asked + before->remembered)
        observer_note(o, "%s: questions to the grader: %lld; verdicts that were known already: %lld",
                      store_phase_name(at->phase), (long long)(now.asked - before->asked),
                      (long long)(now.remembered - before->remembered));
    if (now.given_up > before->given_up)
        observer_note(o, "%s: %lld answer%s not judged by the grader; the last: %s",
                      store_phase_name(at->phase), (long long)(now.given_up - before->given_up),
                      now.given_up - before->given_up == 1 ? " was" : "s were", now.why);
    *before = now;
}

static esp_status run_by(const recipe *r, const run_options *options, esp_error *error) {
    run_state run = {.folder = options->folder,
                     .phases = options->phases,
                     .unshared = options->unshared,
                     .watcher = options->watcher};
    ESP_TRY(check_fits(r, error));
    ESP_TRY(session_open(&run.session, r, options->observer, options->stop, error));
    store_position at = {0};
    grader_counts graded = {0};
    bool evaluation = options->phases & RUN_EVALUATE;
    esp_status status = session_read_problems(&run.session, true, evaluation, error);
    if (status == ESP_OK) status = open_run(&run, r, options, error);
    if (status == ESP_OK && run.session.grader)
        status = grader_remember(run.session.grader, options->folder, error);
    bool began = status == ESP_OK;
    if (status == ESP_OK) status = run_progress_open(&run, error);
    while (status == ESP_OK) {
        status = store_position_get(run.store, &at, error);
        if (status == ESP_OK) status = run_tidy(&run, &at, error);
        if (status == ESP_OK) status = judge_keep_figures(&run, &at, error);
        if (status != ESP_OK || at.phase == STORE_PHASE_DONE) break;
        if (session_stopped(&run.session))
            status = error_set(error, ESP_INTERRUPTED, NULL, "stopped");
        else
            status = run_progress_begin(&run, &at, error);
        if (status == ESP_OK) status = run_phase(&run, &at, error);
        if (status == ESP_OK) note_grader(&run, &at, &graded);
        if (status == ESP_OK) status = run_progress_end(&run, &at, error);
    }
    run_state_free_models(&run);
    STORE_LIST_FREE(&run.written);
    run_progress_close(&run.progress);
    store_close(run.store);
    session_close(&run.session);
    return mark_resumable(options->folder, began, status, error);
}

esp_status run_recipe(const recipe *r, const run_options *options, esp_error *error) {
    recipe *own;
    provenance_how how = !options->resume   ? PROVENANCE_NEW
                         : options->changes ? PROVENANCE_CHANGED
                                            : PROVENANCE_SAME;
    ESP_TRY(provenance_recipe(r, options->folder, how, &own, error));
    esp_status status = run_by(own, options, error);
    recipe_free(own);
    return status;
}

/* ---- summary ---- */

static esp_status add_updates(store *s, json_t *summary, esp_error *error) {
    store_updates updates;
    ESP_TRY(store_read_updates(s, STORE_ALL, &updates, error));
    json_t *list = json_array();
    for (int64_t i = 0; i < updates.count; i++) {
        const store_update *u = &updates.at[i];
        json_t *row =
            json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:I, s:I}", "phase", u->phase, "iteration",
                      (json_int_t)u->iteration, "update", (json_int_t)u->update, "rows", (json_int_t)u->rows,
                      "loss", json_real_or_null(u->loss), "lr", json_real_or_null(u->lr), "grad_norm",
                      json_real_or_null(u->grad_norm), "tokens", (json_int_t)u->tokens, "tokens_computed",
                      (json_int_t)u->tokens_computed);
        for (int64_t k = 0; k < u->metric_count; k++)
            json_object_set_new(row, u->metrics[k].name, json_real_or_null(u->metrics[k].value));
        json_array_append_new(list, row);
    }
    STORE_LIST_FREE(&updates);
    json_object_set_new(summary, "updates", list);
    return ESP_OK;
}

static json_t *evaluation_row(const store_eval *e) {
    json_t *row = json_pack(
        "{s:I, s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:[o,o], s:o, s:o, s:I, s:I, s:I, s:I}", "iteration",
        (json_int_t)e->iteration, "method", e->method, "set", e->set, "k", (json_int_t)e->k, "problems",
        (json_int_t)e->problems, "right", (json_int_t)e->right, "unknown", (json_int_t)e->unknown, "accuracy",
        json_real_or_null(e->accuracy), "interval", json_real_or_null(e->low), json_real_or_null(e->high),
        "pass_at_k", json_real_or_null(e->pass_at_k), "maj_at_k", json_real_or_null(e->maj_at_k),
        "tokens_sampled", (json_int_t)e->tokens_sampled, "tokens_computed", (json_int_t)e->tokens_computed,
        "tokens_judged", (json_int_t)e->tokens_judged, "tokens_spent",
        (json_int_t)store_tokens_spent(e->tokens_sampled, e->tokens_judged));
    if (strncmp(e->method, "search", 6) == 0) { /* what those two columns hold for a search */
        json_object_set_new(row, "any_correct", json_real_or_null(e->pass_at_k));
        json_object_set_new(row, "vote_correct", json_real_or_null(e->maj_at_k));
    }
    if (strcmp(e->method, "choices") == 0)
        json_object_set_new(row, "acc_norm", json_real_or_null(e->maj_at_k));
    return row;
}

static esp_status add_evaluations(store *s, json_t *summary, esp_error *error) {
    store_evals evals;
    ESP_TRY(store_read_evals(s, &evals, error));
    json_t *list = json_array();
    for (int64_t i = 0; i < evals.count; i++) json_array_append_new(list, evaluation_row(&evals.at[i]));
    STORE_LIST_FREE(&evals);
    json_object_set_new(summary, "evaluations", list);
    return ESP_OK;
}

static esp_status add_judgements(store *s, json_t *summary, esp_error *error) {
    store_judgements rows;
    ESP_TRY(store_read_judgements(s, &rows, error));
    json_t *list = json_array();
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < rows.count && status == ESP_OK; i++) {
        judge_quality figures;
        status = judge_quality_read(&rows.at[i], &figures, error);
        if (status != ESP_OK) break;
        json_t *one = judge_quality_json(&figures);
        json_object_set_new(one, "iteration", json_integer(rows.at[i].iteration));
        json_object_set_new(one, "source", json_string(rows.at[i].source));
        json_object_set_new(one, "kind", json_string(rows.at[i].kind));
        json_array_append_new(list, one);
    }
    STORE_LIST_FREE(&rows);
    json_object_set_new(summary, "judgements", list);
    return status;
}

static esp_status add_calibrations(store *s, json_t *summary, esp_error *error) {
    store_calibrations rows;
    ESP_TRY(store_read_calibrations(s, &rows, error));
    json_t *list = json_array();
    for (int64_t i = 0; i < rows.count; i++) json_array_append_new(list, confidence_json(&rows.at[i]));
    if (rows.memory) STORE_LIST_FREE(&rows);
    json_object_set_new(summary, "calibrations", list);
    return ESP_OK;
}

esp_status run_summary(const char *folder, json_t **out, esp_error *error) {
    *out = NULL;
    store *s;
    ESP_TRY(store_open(&s, folder, STORE_READ, error));
    json_t *summary = json_pack("{s:s}", "run", folder);
    store_position at;
    uint64_t digest = 0, tables = 0;
    char hex[24];
    esp_status status = store_position_get(s, &at, error);
    if (status == ESP_OK)
        json_object_set_new(summary, "position",
                            json_pack("{s:s, s:I, s:s}", "phase", store_phase_name(at.phase), "iteration",
                                      (json_int_t)at.iteration, "checkpoint", at.checkpoint));
    if (status == ESP_OK) status = add_evaluations(s, summary, error);
    if (status == ESP_OK) status = add_judgements(s, summary, error);
    if (status == ESP_OK) status = add_calibrations(s, summary, error);
    if (status == ESP_OK) status = add_updates(s, summary, error);
    if (status == ESP_OK) status = store_digest(s, &digest, error);
    if (status == ESP_OK) status = store_digest_tables(s, &tables, error);
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)digest);
    json_object_set_new(summary, "digest", json_string(hex));
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)tables);
    json_object_set_new(summary, "digest_tables", json_string(hex));
    store_close(s);
    if (status != ESP_OK) {
        json_decref(summary);
        return status;
    }
    *out = summary;
    return ESP_OK;
}
