/* espalier compare: methods by their finished runs. */
#include "app/compare.h"

#include "app/output.h"
#include "app/verbs.h"
#include "base/file.h"
#include "formats/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *baseline;
    double target;
} compare_flags;

static const option compare_options[] = {
    {.flag = "--baseline",
     .type = OPTION_STRING,
     .offset = offsetof(compare_flags, baseline),
     .help = "the method that the others are compared with; default: the sweep's own, or the first"},
    {.flag = "--target",
     .type = OPTION_FLOAT,
     .initial = "0",
     .low = 0,
     .high = 100,
     .offset = offsetof(compare_flags, target),
     .help = "also show the tokens until this accuracy in percent was reached; 0: do not"},
};

/* ---- inputs ---- */

typedef struct {
    arena *memory;
    MEM_LIST(comparison_input) runs;
    const char *baseline; /* of a sweep; NULL: none */
} inputs;

static void inputs_free(inputs *in) {
    MEM_LIST_FREE(&in->runs);
    arena_free(in->memory);
}

static const char *below(inputs *in, const char *folder, const char *name) {
    char *path = path_join(folder, name);
    const char *kept = arena_strdup(in->memory, path);
    mem_free(path);
    return kept;
}

/* The runs of a sweep's record that are not there to choose. */
static esp_status add_sweep(inputs *in, const char *folder, esp_error *error) {
    const char *path = below(in, folder, "sweep.json");
    json_error_t why;
    json_t *record = json_load_file(path, 0, &why), *run;
    size_t at;
    if (!record)
        return error_fail(error, "espalier sweep writes it again", "%s: line %d: %s", path, why.line,
                          why.text);
    const char *baseline = json_string_value(json_object_get(record, "baseline"));
    if (baseline && !in->baseline) in->baseline = arena_strdup(in->memory, baseline);
    json_array_foreach(json_object_get(record, "runs"), at, run) {
        const char *name = json_string_value(json_object_get(run, "folder")),
                   *label = json_string_value(json_object_get(run, "method"));
        if (!name || !label || json_is_true(json_object_get(run, "chooses"))) continue;
        comparison_input one = {arena_strdup(in->memory, label), below(in, folder, name)};
        /* What was not begun is not missing yet. */
        if (file_exists(below(in, one.folder, "run.db"))) MEM_LIST_PUSH(&in->runs, one);
    }
    json_decref(record);
    return ESP_OK;
}

/* LABEL=RUN, a run's folder, or a sweep's folder. */
static esp_status add_word(inputs *in, const char *word, esp_error *error) {
    const char *equals = strchr(word, '=');
    if (file_exists(below(in, word, "sweep.json"))) return add_sweep(in, word, error);
    comparison_input one = {NULL, word};
    if (equals && equals > word && !file_exists(word)) {
        char *label = mem_strndup(word, (size_t)(equals - word));
        one = (comparison_input){arena_strdup(in->memory, label), equals + 1};
        mem_free(label);
    }
    if (!file_exists(below(in, one.folder, "run.db")))
        return error_fail(error, "name folders of runs, or the folder of a sweep",
                          "%s: there is neither a run (run.db) nor a sweep (sweep.json)", one.folder);
    MEM_LIST_PUSH(&in->runs, one);
    return ESP_OK;
}

/* ---- out ---- */

static esp_status print(const inputs *in, const char *baseline, double target, bool json, esp_error *error) {
    comparison c;
    ESP_TRY(
        comparison_make(&c, in->runs.at, in->runs.count, baseline ? baseline : in->baseline, target, error));
    esp_status status;
    if (json) {
        status = output_json(comparison_json(&c), 9, error);
    } else {
        text_buffer text = {0};
        compare_text(&c, &text);
        status = output_text(text.at, text.length, error);
        text_free(&text);
    }
    comparison_free(&c);
    return status;
}

esp_status compare_sweep(const char *folder, const char *baseline, double target, bool json,
                         esp_error *error) {
    inputs in = {.memory = arena_new()};
    esp_status status = add_sweep(&in, folder, error);
    if (status == ESP_OK) status = print(&in, baseline, target, json, error);
    inputs_free(&in);
    return status;
}

static esp_status compare_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const compare_flags *flags = own;
    inputs in = {.memory = arena_new()};
    esp_status status = ESP_OK;
    for (int i = 0; i < arguments->positional_count && status == ESP_OK; i++)
        status = add_word(&in, arguments->positionals[i], error);
    if (status == ESP_OK)
        status = print(&in, flags->baseline[0] ? flags->baseline : NULL,
                       flags->target > 0 ? flags->target / 100 : (double)NAN, arguments->json, error);
    inputs_free(&in);
    return status;
}

const app_verb verb_compare = {
    .cli = {.name = "compare",
            .summary = "compare methods by their runs: accuracy, tokens, paired differences",
            .positionals = "[LABEL=]RUN...|SWEEP",
            .least = 1,
            .most = -1,
            .options = {compare_options, sizeof compare_options / sizeof *compare_options},
            .about = "Means have 95% intervals by Student's t over seeds. Differences are paired: over the "
                     "seeds that "
                     "both\nmethods have, and over problems by the bootstrap. Without labels, runs whose "
                     "recipes differ "
                     "only in\ntheir seed are one method. docs/experiments.md explains the columns."},
    .own_size = sizeof(compare_flags),
    .run = compare_run,
};
