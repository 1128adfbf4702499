/* The public interface, include/espalier.h: the whole loop, and the results of a run. */
#include "api/usage.h"
#include "loop/run.h"

/* Passes the loop's reports on, and keeps begin and end in pairs where a piece of work broke off. */
typedef struct {
    const esp_observer *to;
    bool open;
} relay;

static void relay_end(void *context) {
    relay *r = context;
    if (r->open && r->to->end) r->to->end(r->to->context);
    r->open = false;
}

static void relay_begin(void *context, const char *title, int64_t total, const char *unit) {
    relay *r = context;
    relay_end(r);
    if (r->to->begin) r->to->begin(r->to->context, title, total, unit);
    r->open = true;
}

static void relay_step(void *context, int64_t done, const char *detail) {
    relay *r = context;
    if (r->open && r->to->step) r->to->step(r->to->context, done, detail);
}

static void relay_note(void *context, const char *line) {
    relay *r = context;
    if (r->to->note) r->to->note(r->to->context, line);
}

static esp_status load(recipe **out, const char *path, const esp_run_options *o, esp_error *error) {
    if (!o->settings && o->setting_count) return usage(error, "esp_run", "settings is NULL");
    recipe_override *overrides = MEM_ARRAY(recipe_override, o->setting_count);
    esp_status status = ESP_OK;
    for (size_t i = 0; i < o->setting_count && status == ESP_OK; i++) {
        overrides[i] = (recipe_override){o->settings[i].key, o->settings[i].value, "settings"};
        if (!overrides[i].key || !overrides[i].value)
            status = usage(error, "esp_run", "a setting has no key or no value");
    }
    if (status == ESP_OK) status = recipe_load(out, path, overrides, (int)o->setting_count, error);
    mem_free(overrides);
    return status;
}

static esp_status run(const recipe *r, const esp_run_options *o, esp_error *error) {
    const char *folder = o->folder ? o->folder : r->run.out;
    if (!folder || !folder[0])
        return error_set(error, ESP_USAGE, "give a folder, or set run.out in the recipe",
                         "esp_run: no run directory is named");
    relay relayed = {.to = &o->observer};
    observer watcher = {
        .context = &relayed, .begin = relay_begin, .step = relay_step, .end = relay_end, .note = relay_note};
    run_options inner = {
        .folder = folder, .resume = o->resume, .phases = RUN_ALL, .observer = &watcher, .stop = o->stop};
    esp_status status = run_recipe(r, &inner, error);
    relay_end(&relayed);
    return status;
}

esp_status esp_run(const char *path, const esp_run_options *options, esp_error *error) {
    esp_run_options o = options ? *options : (esp_run_options){0};
    recipe *r;
    ESP_TRY(load(&r, path, &o, error));
    esp_status status = run(r, &o, error);
    recipe_free(r);
    return status;
}

esp_status esp_run_summary(const char *folder, char **json, esp_error *error) {
    if (!folder || !json) return usage(error, "esp_run_summary", "an argument is NULL");
    *json = NULL;
    json_t *summary;
    ESP_TRY(run_summary(folder, &summary, error));
    char *text = json_dumps(summary, JSON_REAL_PRECISION(17));
    json_decref(summary);
    if (!text) return error_fail(error, NULL, "%s: the summary does not go into JSON", folder);
    *json = text;
    return ESP_OK;
}
