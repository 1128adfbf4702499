#include "app/run_words.h"

#include "base/file.h"
#include "formats/json.h"

#include <string.h>

run_words run_words_new(void) {
    return (run_words){.memory = arena_new()};
}

void run_words_free(run_words *words) {
    MEM_LIST_FREE(&words->runs);
    arena_free(words->memory);
}

static const char *below(run_words *words, const char *folder, const char *name) {
    char *path = path_join(folder, name);
    const char *kept = arena_strdup(words->memory, path);
    mem_free(path);
    return kept;
}

esp_status run_words_add_sweep(run_words *words, const char *folder, esp_error *error) {
    const char *path = below(words, folder, "sweep.json");
    json_error_t why;
    json_t *record = json_load_file(path, 0, &why), *run;
    size_t at;
    if (!record)
        return error_fail(error, "espalier sweep writes it again", "%s: line %d: %s", path, why.line,
                          why.text);
    const char *baseline = json_string_value(json_object_get(record, "baseline"));
    if (baseline && !words->baseline) words->baseline = arena_strdup(words->memory, baseline);
    json_array_foreach(json_object_get(record, "runs"), at, run) {
        const char *name = json_string_value(json_object_get(run, "folder")),
                   *label = json_string_value(json_object_get(run, "method"));
        const char *state = json_string_value(json_object_get(run, "state"));
        if (!name || !label || json_is_true(json_object_get(run, "chooses"))) continue;
        if (state && strcmp(state, "failed") == 0) continue; /* the sweep says why */
        comparison_input one = {arena_strdup(words->memory, label), below(words, folder, name)};
        /* What was not begun is not missing yet. */
        if (file_exists(below(words, one.folder, "run.db"))) MEM_LIST_PUSH(&words->runs, one);
    }
    json_decref(record);
    return ESP_OK;
}

esp_status run_words_add(run_words *words, const char *word, esp_error *error) {
    const char *equals = strchr(word, '=');
    if (file_exists(below(words, word, "sweep.json"))) return run_words_add_sweep(words, word, error);
    comparison_input one = {NULL, word};
    if (equals && equals > word && !file_exists(word)) {
        char *label = mem_strndup(word, (size_t)(equals - word));
        one = (comparison_input){arena_strdup(words->memory, label), equals + 1};
        mem_free(label);
    }
    if (!file_exists(below(words, one.folder, "run.db")))
        return error_fail(error, "name folders of runs, or the folder of a sweep",
                          "%s: there is neither a run (run.db) nor a sweep (sweep.json)", one.folder);
    MEM_LIST_PUSH(&words->runs, one);
    return ESP_OK;
}
