#include "loop/provenance.h"

#include "base/file.h"
#include "loop/recipe_change.h"
#include "model/adapter_file.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* ---- paths ---- */

/* The recipe's own paths of files that it reads. A chat template may be named instead. */
static char **path_at(const option *o, recipe *r) {
    if (o->type != OPTION_PATH || (o->marks & OPTION_FREE)) return NULL;
    char **path = (char **)((char *)r + o->offset);
    return path == &r->model.chat_template && chat_is_name(*path) ? NULL : path;
}

static void put(char **field, char *value) {
    mem_free(*field);
    *field = value;
}

/* A name of a file, and one that depends on the working folder. */
static bool relative(const char *path) {
    return path[0] && path[0] != '/' && strcmp(path, "-") != 0 && !task_source_is_generated(path);
}

static esp_status copy_recipe(const recipe *r, recipe **out, esp_error *error) {
    text_buffer text = {0};
    recipe_text(r, &text);
    esp_status status = recipe_parse(out, "recipe", text.at, text.length, NULL, 0, error);
    text_free(&text);
    return status;
}

static bool same_file(const char *a, const char *b) {
    char *x = realpath(a, NULL), *y = realpath(b, NULL);
    bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

/* A path of `here` that names the same file as that of `there`, whose relative paths are below `folder`, is
 * replaced by the latter. */
static void take_equal_paths(recipe *there, recipe *here, const char *folder) {
    arena *memory = arena_new();
    option_table all = recipe_options(memory);
    for (int i = 0; i < all.count; i++) {
        char **stored = path_at(&all.at[i], there), **given = path_at(&all.at[i], here);
        if (!stored || !**stored || !**given || strcmp(*stored, *given) == 0) continue;
        char *whole = relative(*stored) ? path_join(folder, *stored) : mem_strdup(*stored);
        if (same_file(whole, *given)) put(given, mem_strdup(*stored));
        mem_free(whole);
    }
    arena_free(memory);
}

/* Relative paths become paths below `folder`, unless there is no such file and there is one here. */
static void resolve_from(recipe *r, const char *folder) {
    arena *memory = arena_new();
    option_table all = recipe_options(memory);
    for (int i = 0; i < all.count; i++) {
        char **path = path_at(&all.at[i], r);
        if (!path || !relative(*path)) continue;
        char *whole = path_join(folder, *path);
        if (file_exists(whole) || !file_exists(*path))
            put(path, whole);
        else
            mem_free(whole);
    }
    arena_free(memory);
}

/* What the store knows of the recipe. */
typedef struct {
    char *from; /* the folder that the run was begun in, where that is another one than this, else NULL */
    char *file; /* the recipe's, in the run's folder */
} recipe_record;

static void record_free(recipe_record *r) {
    mem_free(r->from);
    mem_free(r->file);
}

/* Fails if the recipe's file is not as it was written. Whatever else is wrong with the store is for others to
 * say. */
static esp_status ask_store(const char *folder, recipe_record *out, esp_error *error) {
    store *s;
    bool known;
    *out = (recipe_record){0};
    esp_status status = ESP_OK;
    char *there = NULL, *here = getcwd(NULL, 0), *name = NULL;
    if (store_open(&s, folder, STORE_READ, NULL) == ESP_OK) {
        if (store_meta_get(s, "folder", &there, NULL) != ESP_OK) there = NULL;
        if (recipe_file_name(s, &name, NULL) != ESP_OK) name = NULL;
        if (name) status = store_check_files(s, name, &known, error);
        store_close(s);
    }
    out->file = path_join(folder, name ? name : "recipe.yaml");
    if (there && !(here && strcmp(there, here) == 0))
        out->from = there;
    else
        mem_free(there);
    mem_free(name);
    free(here);
    return status;
}

/* Fails where the recipes differ, in keys that may change only unless `may_change`. from: what the relative
 * paths of `there` are below; NULL: this folder. */
static esp_status compare_recipes(recipe *there, recipe *here, const char *folder, const char *from,
                                  bool may_change, esp_error *error) {
    if (from) take_equal_paths(there, here, from);
    text_buffer differences = {0};
    esp_status status = ESP_OK;
    if (recipe_diff(there, here, may_change ? OPTION_LATER : 0, &differences) > 0)
        error_fail(error, "resume with the recipe that the run was made with, or choose another folder",
                   "%s: the recipe has changed: %.600s", folder, differences.at),
            status = error_because(error, ESP_REASON_OTHER_RUN);
    text_free(&differences);
    return status;
}

esp_status provenance_recipe(const recipe *r, const char *folder, provenance_how how, recipe **out,
                             esp_error *error) {
    ESP_TRY(copy_recipe(r, out, error));
    char *path = path_join(folder, "recipe.yaml");
    recipe_record known = {0};
    recipe *there = NULL;
    esp_status status = ESP_OK;
    if (how != PROVENANCE_NEW && file_exists(path)) {
        status = ask_store(folder, &known, error);
        if (status == ESP_OK) status = recipe_load(&there, known.file, NULL, 0, error);
        if (status == ESP_OK)
            status = compare_recipes(there, *out, folder, known.from, how == PROVENANCE_CHANGED, error);
        if (status == ESP_OK && known.from) resolve_from(*out, known.from);
        recipe_free(there);
    }
    record_free(&known);
    mem_free(path);
    if (status == ESP_OK) return ESP_OK;
    recipe_free(*out);
    *out = NULL;
    return status;
}

esp_status provenance_read_recipe(const char *folder, recipe **out, esp_error *error) {
    recipe_record known;
    esp_status status = ask_store(folder, &known, error);
    if (status == ESP_OK) status = recipe_load(out, known.file, NULL, 0, error);
    if (status == ESP_OK && known.from) resolve_from(*out, known.from);
    record_free(&known);
    return status;
}

esp_status provenance_record_folder(store *s, esp_error *error) {
    char *here = getcwd(NULL, 0);
    if (!here) return ESP_OK; /* the folder is gone: paths mean what they say */
    esp_status status = store_meta_set(s, "folder", here, error);
    free(here);
    return status;
}

/* ---- contents ---- */

static void hash_text(XXH3_state_t *state, const char *text) {
    uint64_t length = text ? strlen(text) : UINT64_MAX;
    XXH3_64bits_update(state, &length, sizeof length);
    if (text) XXH3_64bits_update(state, text, (size_t)length);
}

uint64_t provenance_problems_hash(const problem_set *set) {
    if (set->count == 0) return 0;
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    for (int64_t i = 0; i < set->count; i++) {
        hash_text(state, set->at[i].question);
        hash_text(state, set->at[i].gold);
        hash_text(state, set->at[i].rationale);
        for (int32_t k = 0; k < set->at[i].option_count; k++) hash_text(state, set->at[i].options[k].text);
    }
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return hash;
}

static esp_status hash_file(XXH3_state_t *state, const char *path, esp_error *error) {
    enum { PIECES = 64 };
    const size_t whole = (size_t)512 << 20, piece = (size_t)1 << 20;
    file_map map;
    ESP_TRY(file_map_open(&map, path, error));
    uint64_t length = map.length;
    XXH3_64bits_update(state, &length, sizeof length);
    if (map.length > 0 && map.length <= whole) XXH3_64bits_update(state, map.at, map.length);
    for (size_t i = 0; map.length > whole && i < PIECES; i++)
        XXH3_64bits_update(state, map.at + (map.length - piece) * i / (PIECES - 1), piece);
    file_map_close(&map);
    return ESP_OK;
}

static bool decides(const char *name) {
    return (text_ends_with(name, ".safetensors") && strcmp(name, "optimizer.safetensors") != 0) ||
           text_ends_with(name, ".safetensors.index.json") || strcmp(name, "config.json") == 0 ||
           strncmp(name, "adapter_", 8) == 0 || strncmp(name, "tokenizer", 9) == 0;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static esp_status hash_folder(XXH3_state_t *state, const char *path, esp_error *error) {
    DIR *d = opendir(path);
    if (!d) return error_fail(error, "check the path", "%s: cannot open: %s", path, strerror(errno));
    MEM_LIST(char *) names = {0};
    for (struct dirent *entry; (entry = readdir(d)) != NULL;)
        if (decides(entry->d_name)) MEM_LIST_PUSH(&names, mem_strdup(entry->d_name));
    closedir(d);
    if (names.count) qsort(names.at, (size_t)names.count, sizeof *names.at, by_name);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < names.count; i++) {
        char *file = path_join(path, names.at[i]);
        hash_text(state, names.at[i]);
        if (status == ESP_OK) status = hash_file(state, file, error);
        mem_free(file);
        mem_free(names.at[i]);
    }
    MEM_LIST_FREE(&names);
    return status;
}

/* The model that an adapter is of. */
static esp_status hash_base(XXH3_state_t *state, const char *path, esp_error *error) {
    adapter_folder f;
    ESP_TRY(adapter_folder_read(path, &f, error));
    esp_status status =
        file_is_folder(f.base) ? hash_folder(state, f.base, error) : hash_file(state, f.base, error);
    adapter_folder_free(&f);
    return status;
}

esp_status provenance_model_hash(const char *path, uint64_t *out, esp_error *error) {
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    char *judge = path_join(path, JUDGE_FOLDER);
    esp_status status =
        file_is_folder(path) ? hash_folder(state, path, error) : hash_file(state, path, error);
    if (status == ESP_OK && file_is_folder(judge)) status = hash_folder(state, judge, error);
    if (status == ESP_OK && adapter_is_at(path)) status = hash_base(state, path, error);
    mem_free(judge);
    *out = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return status;
}

/* Compares with what is stored under `key`; stores it where nothing is. */
static esp_status check_one(store *run, const char *key, uint64_t hash, const char *what, const char *path,
                            esp_error *error) {
    char here[24], *there;
    snprintf(here, sizeof here, "%016llx", (unsigned long long)hash);
    ESP_TRY(store_meta_get(run, key, &there, error));
    if (!there) return store_meta_set(run, key, here, error);
    esp_status status = ESP_OK;
    if (strcmp(there, here) != 0)
        error_fail(error, "put back what the run began with, or choose another folder",
                   "%s: %s (%s) have changed since the run began", store_folder(run), what, path),
            status = error_because(error, ESP_REASON_OTHER_RUN);
    mem_free(there);
    return status;
}

/* Of a chat template that is a file of its own. */
static esp_status check_template(const recipe *r, store *run, esp_error *error) {
    if (chat_is_name(r->model.chat_template)) return ESP_OK;
    XXH3_state_t *state = XXH3_createState();
    XXH3_64bits_reset(state);
    esp_status status = hash_file(state, r->model.chat_template, error);
    uint64_t hash = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    ESP_TRY(status);
    return check_one(run, "contents.chat_template", hash, "the words of the chat template",
                     r->model.chat_template, error);
}

esp_status provenance_check_contents(const session *s, store *run, esp_error *error) {
    const recipe *r = s->recipe;
    const struct {
        const char *key, *what, *path;
        const problem_set *set;
    } sets[] = {
        {"contents.train", "the training problems", r->data.train, &s->train},
        {"contents.sft", "the problems of SFT", r->data.sft, &s->sft},
        {"contents.test", "the test problems", r->data.test, &s->test},
        {"contents.dev", "the problems set apart", r->data.dev[0] ? r->data.dev : r->data.train, &s->dev}};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if (sets[i].set->count > 0)
            ESP_TRY(check_one(run, sets[i].key, provenance_problems_hash(sets[i].set), sets[i].what,
                              sets[i].path, error));
    ESP_TRY(check_template(r, run, error));
    uint64_t hash;
    ESP_TRY(provenance_model_hash(r->model.path, &hash, error));
    return check_one(run, "contents.model", hash, "the model's files", r->model.path, error);
}
