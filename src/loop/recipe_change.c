#include "loop/recipe_change.h"

#include "base/file.h"
#include "loop/checkpoint.h"

#include <stdio.h>
#include <string.h>

static const char FIRST[] = "recipe.yaml", NAME[] = "recipe";

/* The number in "recipe-3.yaml"; 1 for "recipe.yaml", 0 for any other name. */
static int number_in(const char *name) {
    int number = 0;
    if (strcmp(name, FIRST) == 0) return 1;
    if (sscanf(name, "recipe-%d.yaml", &number) != 1 || number < 2) return 0;
    char *same = mem_printf("recipe-%d.yaml", number);
    number = strcmp(name, same) == 0 ? number : 0;
    mem_free(same);
    return number;
}

esp_status recipe_file_name(store *s, char **out, esp_error *error) {
    ESP_TRY(store_meta_get(s, NAME, out, error));
    if (!*out) *out = mem_strdup(FIRST);
    if (number_in(*out) > 0) return ESP_OK;
    esp_status status = error_fail(error, "the run was not written by this program, or is damaged",
                                   "%s: names %.100s as its recipe", store_folder(s), *out);
    mem_free(*out);
    *out = NULL;
    return status;
}

/* ---- what changes ---- */

typedef struct {
    recipe *present; /* takes each new value when it was compared */
    text_buffer *told;
    option_table table;
    const char *in_search, *in_learning; /* a key of each that changes, or NULL */
    bool iterations;
} change;

static bool begins(const char *key, const char *with) {
    return strncmp(key, with, strlen(with)) == 0;
}

static void take(void *user, const char *key, const char *there, const char *here) {
    change *c = user;
    const option *o = option_by_key(c->table, key);
    if (!(o->marks & OPTION_LATER) || option_set(o, c->present, here, NULL) != ESP_OK) return;
    text_printf(c->told, "%s%s: %s before, %s from here on", c->told->length ? "; " : "", key, there, here);
    if (begins(key, "learn.")) c->in_learning = o->key;
    if (strcmp(key, "run.problems_per_iteration") == 0 || strcmp(key, "run.tokens_per_iteration") == 0)
        c->in_search = o->key;
    c->iterations = c->iterations || strcmp(key, "run.iterations") == 0;
}

/* ---- whether it may ---- */

static esp_status in_use(const store_position *at, const char *key, const char *what, esp_error *error) {
    return error_fail(
        error, "resume without it, with run.iterations at this iteration, and change it when that is done",
        "%s cannot change in the middle of the %s of iteration %lld", key, what, (long long)at->iteration);
}

static esp_status check(const change *c, const store_position *at, esp_error *error) {
    const recipe *r = c->present;
    if (at->phase == STORE_PHASE_SEARCH && at->wave > 0 && c->in_search)
        return in_use(at, c->in_search, "search", error);
    if (at->phase == STORE_PHASE_LEARN && at->update > 0 && c->in_learning)
        return in_use(at, c->in_learning, "learning", error);
    if (r->run.iterations < at->iteration)
        return error_fail(error, "give at least that number",
                          "run.iterations is %lld, and iteration %lld has begun",
                          (long long)r->run.iterations, (long long)at->iteration);
    if (at->phase == STORE_PHASE_DONE && r->run.iterations == at->iteration)
        return error_fail(error, "set run.iterations to a larger number, too",
                          "the run is done, so nothing would come of this change");
    return ESP_OK;
}

/* A run that is done and kept only its last policy has no optimizer to go on with. */
static esp_status check_state(store *s, const store_position *at, int phases, esp_error *error) {
    if (at->phase != STORE_PHASE_DONE || !(phases & RUN_LEARN) ||
        checkpoint_name_read(at->checkpoint).iteration == 0)
        return ESP_OK;
    char *folder = checkpoint_path(store_folder(s), at->checkpoint),
         *state = path_join(folder, "optimizer.safetensors");
    esp_status status = ESP_OK;
    if (!file_exists(state)) {
        status = error_fail(error,
                            "begin a new run from its policy: set model.path to that folder, sft.epochs to 0",
                            "%s: has no optimizer state to go on with, as is so with run.keep: last", folder);
        status = error_because(error, ESP_REASON_OTHER_RUN);
    }
    mem_free(folder);
    mem_free(state);
    return status;
}

/* ---- the record ---- */

static esp_status record_changed(store *s, const store_file *file, const store_position *at,
                                 const store_position *next, const char *told, esp_error *error) {
    ESP_TRY(store_begin(s, error));
    esp_status status = store_add_file(s, file, error);
    if (status == ESP_OK) status = store_meta_set(s, NAME, file->path, error);
    if (status == ESP_OK) status = store_event(s, at->iteration, RECIPE_CHANGED, told, error);
    if (status == ESP_OK && next) status = store_position_set(s, next, error);
    if (status == ESP_OK) return store_commit(s, error);
    store_rollback(s);
    return status;
}

/* The file first: one that the store does not name counts for nothing. */
static esp_status write_changed(store *s, const char *present, const recipe *changed,
                                const store_position *at, int phases, const char *told, esp_error *error) {
    char *name = mem_printf("recipe-%d.yaml", number_in(present) + 1),
         *path = path_join(store_folder(s), name);
    store_file file = {.path = name};
    text_buffer text = {0};
    recipe_text(changed, &text);
    esp_status status = store_check_place(s, error);
    if (status == ESP_OK) status = file_sum_of_bytes(text.at, text.length, &file.sum, error);
    if (status == ESP_OK) status = file_write_all(path, text.at, text.length, error);
    store_position ended = *at, next;
    ended.phase = STORE_PHASE_EVALUATE;
    next = phase_after(changed, phases, &ended, at->checkpoint);
    if (status == ESP_OK)
        status = record_changed(s, &file, at, at->phase == STORE_PHASE_DONE ? &next : NULL, told, error);
    text_free(&text);
    mem_free(path);
    mem_free(name);
    return status;
}

esp_status recipe_change(store *s, const recipe *wanted, int phases, text_buffer *told, esp_error *error) {
    char *name;
    store_position at;
    recipe *present;
    ESP_TRY(recipe_file_name(s, &name, error));
    char *path = path_join(store_folder(s), name);
    esp_status status = store_position_get(s, &at, error);
    if (status == ESP_OK) status = recipe_load(&present, path, NULL, 0, error);
    if (status == ESP_OK) {
        arena *memory = arena_new();
        change c = {.present = present, .told = told, .table = recipe_options(memory)};
        recipe_differences(present, wanted, take, &c);
        if (told->length) {
            status = check(&c, &at, error);
            if (status == ESP_OK) status = check_state(s, &at, phases, error);
            if (status == ESP_OK) status = write_changed(s, name, present, &at, phases, told->at, error);
        }
        recipe_free(present);
        arena_free(memory);
    }
    mem_free(path);
    mem_free(name);
    return status;
}
