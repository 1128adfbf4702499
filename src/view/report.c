#include "view/report.h"

#include "base/file.h"
#include "loop/recipe_change.h"
#include "view/page_file.h"
#include "view/report_inner.h"

#include <string.h>

/* ---- the run ---- */

static const char *last_part(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void put_recipe(const report_run *r, document *d) {
    const recipe *p = r->recipe;
    bool mathematics = d->mathematics;
    document_key(d, "recipe_yaml");
    document_text_cut(d, r->recipe_text, REPORT_MOST_RECIPE);
    d->mathematics = mathematics; /* it contains no mathematics */
    document_put_text(d, "task", p ? p->task.name : NULL);
    document_put_text(d, "model", p ? p->model.path : NULL);
    document_key(d, "seed");
    if (p)
        document_integer(d, p->run.seed);
    else
        document_null(d);
}

static esp_status put_meta(const report_run *r, const char *key, document *d, esp_error *error) {
    char *value;
    ESP_TRY(store_meta_get(r->store, key, &value, error));
    document_key(d, key);
    document_text_cut(d, value, 1000);
    mem_free(value);
    return ESP_OK;
}

/* What of the recipe was changed while the run went on. */
static esp_status put_changes(const report_run *r, document *d, esp_error *error) {
    store_events changes;
    ESP_TRY(store_read_events(r->store, RECIPE_CHANGED, &changes, error));
    document_key(d, "changes");
    document_begin(d, '[');
    for (int64_t i = 0; i < changes.count; i++) {
        document_begin(d, '{');
        document_put_integer(d, "iteration", changes.at[i].iteration);
        document_key(d, "text");
        document_text_cut(d, changes.at[i].text, 2000);
        document_end(d, '}');
    }
    document_end(d, ']');
    STORE_LIST_FREE(&changes);
    return ESP_OK;
}

static esp_status put_run(const report_run *r, document *d, esp_error *error) {
    document_key(d, "run");
    document_begin(d, '{');
    document_put_text(d, "name", last_part(r->folder));
    document_put_text(d, "folder", r->folder);
    document_put_bool(d, "finished", r->position.phase == STORE_PHASE_DONE);
    document_put_text(d, "phase", store_phase_name(r->position.phase));
    document_put_integer(d, "iteration", r->position.iteration);
    document_put_text(d, "method", r->method);
    document_put_text(d, "set", r->set);
    ESP_TRY(put_meta(r, "compute", d, error));
    put_recipe(r, d);
    ESP_TRY(put_changes(r, d, error));
    document_end(d, '}');
    return ESP_OK;
}

static void put_flags(document *d) {
    document_key(d, "node_flags");
    document_begin(d, '{');
    document_put_integer(d, "finished", STORE_NODE_FINISHED);
    document_put_integer(d, "cut", STORE_NODE_CUT);
    document_put_integer(d, "committed", STORE_NODE_COMMITTED);
    document_put_integer(d, "gold", STORE_NODE_GOLD);
    document_put_integer(d, "judged", STORE_NODE_JUDGED);
    document_end(d, '}');
}

/* ---- the document ---- */

static esp_status put_all(report_run *r, const report_options *o, int64_t page, document *d, document *notes,
                          report_result *result, esp_error *error) {
    report_gain gain;
    document_begin(d, '{');
    document_put_integer(d, "format", 2);
    document_put_text(d, "espalier", esp_version());
    ESP_TRY(put_run(r, d, error));
    report_iterations(r, d);
    report_updates(r, d);
    report_judge(r, d);
    ESP_TRY(report_evaluations(r, d, &gain, error));
    ESP_TRY(report_baselines(r, o, d, notes, error));
    report_words(r, &gain, notes, d);
    put_flags(d);
    int64_t budget = REPORT_MOST_BYTES - page - (int64_t)d->text.length;
    ESP_TRY(report_trees(r, o->trees, budget, d, result, error));
    document_put_bool(d, "mathematics", d->mathematics);
    document_end(d, '}');
    return ESP_OK;
}

/* page: the bytes of the page around the document. */
static esp_status make_document(const report_options *o, int64_t page, document *d, report_result *result,
                                esp_error *error) {
    report_run r;
    document notes = {0};
    *result = (report_result){0};
    ESP_TRY(report_run_open(&r, o->run, error));
    esp_status status = put_all(&r, o, page, d, &notes, result, error);
    document_free(&notes);
    report_run_close(&r);
    result->mathematics = d->mathematics;
    if (status != ESP_OK) document_free(d);
    return status;
}

esp_status report_json(const report_options *options, text_buffer *out, report_result *result,
                       esp_error *error) {
    document d = {0};
    report_result own;
    if (!result) result = &own;
    ESP_TRY(make_document(options, page_bytes(), &d, result, error));
    result->bytes = (int64_t)d.text.length;
    text_append(out, d.text.at, d.text.length);
    document_free(&d);
    return ESP_OK;
}

/* ---- the page ---- */

char *report_path(const report_options *options) {
    return options->out ? mem_strdup(options->out) : path_join(options->run, "report.html");
}

esp_status report_write(const report_options *options, report_result *result, esp_error *error) {
    document d = {0};
    report_result own;
    if (!result) result = &own;
    ESP_TRY(make_document(options, page_bytes(), &d, result, error));
    char *path = report_path(options);
    esp_status status = page_write(path, &d, &result->bytes, error);
    mem_free(path);
    document_free(&d);
    return status;
}
