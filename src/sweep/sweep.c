#include "sweep/sweep.h"

#include "base/file.h"
#include "formats/json.h"
#include "loop/provenance.h"
#include "loop/run_result.h"
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

const char *sweep_state_name(sweep_state state) {
    static const char *const names[] = {"new", "begun", "finished", "failed"};
    return names[state];
}

/* ---- the list of runs ---- */

/* Whether a line of `only` is the method's label or its first word. */
static bool is_wanted(const char *label, const char *only) {
    size_t word = strcspn(label, " ");
    if (!*only) return true;
    for (const char *line = only; *line;) {
        size_t n = strcspn(line, "\n");
        bool whole = n == strlen(label) || n == word;
        if (whole && strncmp(line, label, n) == 0) return true;
        line += n + (line[n] == '\n');
    }
    return false;
}

static esp_status check_only(const grid *g, const char *only, esp_error *error) {
    for (const char *line = only; *line;) {
        size_t n = strcspn(line, "\n");
        char *one = mem_strndup(line, n);
        bool found = false;
        text_buffer names = {0};
        for (int64_t i = 0; i < g->methods.count; i++) {
            found = found || is_wanted(g->methods.at[i].label, one);
            text_printf(&names, "%s%s", i > 0 ? ", " : "the methods are ", g->methods.at[i].label);
        }
        esp_status status =
            found ? ESP_OK
                  : error_set(error, ESP_USAGE, names.at, "%s has no method \"%.100s\"", g->path, one);
        text_free(&names);
        mem_free(one);
        ESP_TRY(status);
        line += n + (line[n] == '\n');
    }
    return ESP_OK;
}

static esp_status check_extra(const sweep *s, esp_error *error) {
    for (int i = 0; i < s->extra_count; i++)
        if (grid_sets(s->extra[i].key))
            return error_set(error, ESP_USAGE, "the grid's own keys are `seeds` and `out`",
                             "%s: a grid sets %s for each run", s->extra[i].where, s->extra[i].key);
    return ESP_OK;
}

static void push_run(sweep *s, grid_cell cell, const char *only) {
    sweep_run run = {.cell = cell, .first = NAN, .last = NAN};
    run.wanted = is_wanted(s->grid->methods.at[cell.method].label, only);
    MEM_LIST_PUSH(&s->runs, run);
}

static void list_runs(sweep *s, const char *only) {
    grid *g = s->grid;
    for (int64_t m = 0; m < g->methods.count; m++)
        for (int64_t c = 0; c < g->choices.count; c++)
            push_run(s, grid_cell_of(g, s->out, m, c, true, g->seeds.at[0]), only);
    for (int64_t i = 0; i < g->seeds.count; i++)
        for (int64_t m = 0; m < g->methods.count; m++)
            push_run(s, grid_cell_of(g, s->out, m, -1, false, g->seeds.at[i]), only);
}

/* ---- states ---- */

/* Nothing where the run cannot be read: it is not finished then, and says why when it is resumed. */
static bool read_accuracy(sweep_run *run, store *s) {
    recipe *r;
    run_result result;
    if (provenance_read_recipe(run->cell.folder, &r, NULL) != ESP_OK) return false;
    bool read = run_result_read(&result, s, r, NULL) == ESP_OK;
    if (read && result.score_count > 0) {
        run->first = result.scores[0].accuracy;
        run->last = result.scores[result.score_count - 1].accuracy;
    }
    if (read) run_result_free(&result);
    recipe_free(r);
    return read;
}

bool sweep_has_run(const sweep_run *run) {
    char *file = path_join(run->cell.folder, "run.db");
    bool there = file_exists(file);
    mem_free(file);
    return there;
}

static void read_state(sweep_run *run) {
    bool there = sweep_has_run(run);
    store *s;
    store_position at;
    run->state = run->error ? SWEEP_FAILED : there ? SWEEP_BEGUN : SWEEP_NEW;
    if (!there || store_open(&s, run->cell.folder, STORE_READ, NULL) != ESP_OK) return;
    bool done = store_position_get(s, &at, NULL) == ESP_OK && at.phase == STORE_PHASE_DONE;
    if (done && read_accuracy(run, s)) {
        run->state = SWEEP_FINISHED;
        mem_free(run->error);
        run->error = NULL;
    }
    store_close(s);
}

/* The best of those that choose: the first of the highest accuracy. */
static esp_status find_choice(const sweep *s, int64_t method, int64_t *out, esp_error *error) {
    double best = -1;
    *out = -1;
    for (int64_t i = 0; i < s->runs.count; i++) {
        const sweep_run *run = &s->runs.at[i];
        if (!run->cell.chooses || run->cell.method != method) continue;
        if (run->state != SWEEP_FINISHED || isnan(run->last)) {
            *out = -1;
            return error_fail(error, "finish that run first: give the same command again",
                              "%s: there is no best choice yet: %s is not finished",
                              s->grid->methods.at[method].label, run->cell.folder);
        }
        if (run->last > best) *out = run->cell.choice, best = run->last;
    }
    return ESP_OK;
}

/* ---- the record ---- */

static const char *below(const sweep *s, const char *folder) {
    return folder + strlen(s->out) + 1;
}

static json_t *text_json(const char *text) {
    return text ? json_from_text(text, strlen(text)) : json_null();
}

static json_t *run_json(const sweep *s, const sweep_run *run) {
    const grid *g = s->grid;
    int64_t choice = run->cell.chooses ? run->cell.choice : s->choice[run->cell.method];
    return json_pack("{s:o, s:I, s:o, s:b, s:o, s:s, s:o, s:f, s:o, s:o}", "method",
                     text_json(g->methods.at[run->cell.method].label), "seed", (json_int_t)run->cell.seed,
                     "choice", text_json(choice >= 0 ? g->choices.at[choice].label : NULL), "chooses",
                     run->cell.chooses, "folder", text_json(below(s, run->cell.folder)), "state",
                     sweep_state_name(run->state), "error", text_json(run->error), "seconds", run->seconds,
                     "first", json_real_or_null(run->first), "last", json_real_or_null(run->last));
}

json_t *sweep_json(const sweep *s) {
    json_t *runs = json_array();
    for (int64_t i = 0; i < s->runs.count; i++) json_array_append_new(runs, run_json(s, &s->runs.at[i]));
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "espalier", esp_version(), "grid", text_json(s->grid->path),
                     "about", text_json(s->grid->about), "baseline", text_json(s->grid->baseline), "runs",
                     runs);
}

static esp_status write_record(const sweep *s, esp_error *error) {
    json_t *record = sweep_json(s);
    char *text = json_dumps(record, JSON_INDENT(1) | JSON_REAL_PRECISION(9)), *path;
    path = path_join(s->out, "sweep.json");
    esp_status status = file_write_all(path, text, strlen(text), error);
    mem_free(path);
    free(text);
    json_decref(record);
    return status;
}

/* What the record says of earlier attempts: seconds, and why a run failed. One that cannot be read says
 * nothing. */
static void take_record(sweep *s) {
    char *path = path_join(s->out, "sweep.json");
    json_t *record = json_load_file(path, 0, NULL), *row;
    size_t at;
    mem_free(path);
    json_array_foreach(json_object_get(record, "runs"), at, row) {
        const char *folder = json_string_value(json_object_get(row, "folder"));
        for (int64_t i = 0; folder && i < s->runs.count; i++) {
            sweep_run *run = &s->runs.at[i];
            if (strcmp(below(s, run->cell.folder), folder) != 0) continue;
            run->seconds = json_number_value(json_object_get(row, "seconds"));
            mem_free(run->error);
            run->error = mem_strdup(json_string_value(json_object_get(row, "error")));
        }
    }
    json_decref(record);
}

/* ---- the whole ---- */

esp_status sweep_open(sweep *out, grid *g, const char *folder, const recipe_override *extra, int extra_count,
                      const char *only, esp_error *error) {
    *out = (sweep){.grid = g, .out = folder, .extra = extra, .extra_count = extra_count, .lock = -1};
    out->choice = MEM_ARRAY(int64_t, g->methods.count);
    ESP_TRY(check_only(g, only, error));
    ESP_TRY(check_extra(out, error));
    list_runs(out, only);
    take_record(out);
    for (int64_t i = 0; i < out->runs.count; i++) read_state(&out->runs.at[i]);
    for (int64_t m = 0; m < g->methods.count; m++) find_choice(out, m, &out->choice[m], NULL);
    return ESP_OK;
}

void sweep_free(sweep *s) {
    for (int64_t i = 0; i < s->runs.count; i++) mem_free(s->runs.at[i].error);
    MEM_LIST_FREE(&s->runs);
    mem_free(s->choice);
    if (s->lock >= 0) close(s->lock); /* and with it the lock */
    *s = (sweep){.lock = -1};
}

/* The run that is there, if any, must be of this recipe. */
static esp_status check_run(const sweep_run *run, const recipe *r, esp_error *error) {
    recipe *same = NULL;
    if (run->state == SWEEP_NEW) return ESP_OK;
    esp_status status = provenance_recipe(r, run->cell.folder, PROVENANCE_SAME, &same, error);
    recipe_free(same);
    if (status != ESP_OK && error && error->reason == ESP_REASON_OTHER_RUN) {
        esp_error found = *error;
        error_fail(error, "the grid has changed since: choose another folder, or delete that run's", "%s",
                   found.message);
        error_because(error, ESP_REASON_OTHER_RUN);
    }
    return status;
}

esp_status sweep_check(sweep *s, esp_error *error) {
    for (int64_t i = 0; i < s->runs.count; i++) {
        const sweep_run *run = &s->runs.at[i];
        grid_cell cell = run->cell;
        recipe *r;
        bool known = cell.chooses || s->choice[cell.method] >= 0 || s->grid->choices.count == 0;
        if (!cell.chooses) cell.choice = s->choice[cell.method];
        ESP_TRY(grid_recipe(s->grid, &cell, s->extra, s->extra_count, &r, error));
        esp_status status = known ? check_run(run, r, error) : ESP_OK;
        recipe_free(r);
        ESP_TRY(status);
    }
    return ESP_OK;
}

esp_status sweep_begin(sweep *s, esp_error *error) {
    ESP_TRY(folder_make(s->out, error));
    char *path = path_join(s->out, "sweep.lock");
    esp_status status = ESP_OK;
    /* A run's process has the lock too: it is free when both are gone. */
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->lock < 0)
        status = error_fail(error, "choose a folder that you may write to", "%s: cannot create the lock: %s",
                            path, strerror(errno));
    else if (flock(s->lock, LOCK_EX | LOCK_NB) != 0)
        status = error_fail(error, "wait for it to end, or stop it",
                            "%s: another process works on this sweep", s->out);
    mem_free(path);
    return status == ESP_OK ? write_record(s, error) : status;
}

esp_status sweep_recipe(sweep *s, int64_t run, recipe **out, esp_error *error) {
    grid_cell cell = s->runs.at[run].cell;
    *out = NULL;
    if (!cell.chooses && s->grid->choices.count > 0) {
        ESP_TRY(find_choice(s, cell.method, &s->choice[cell.method], error));
        cell.choice = s->choice[cell.method];
    }
    ESP_TRY(grid_recipe(s->grid, &cell, s->extra, s->extra_count, out, error));
    esp_status status = check_run(&s->runs.at[run], *out, error);
    if (status != ESP_OK) {
        recipe_free(*out);
        *out = NULL;
    }
    return status;
}

esp_status sweep_ended(sweep *s, int64_t run, const char *failure, double seconds, esp_error *error) {
    sweep_run *one = &s->runs.at[run];
    mem_free(one->error);
    one->error = mem_strdup(failure);
    one->seconds += seconds;
    read_state(one);
    return write_record(s, error);
}
