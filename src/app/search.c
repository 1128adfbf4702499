/* espalier search: a scripted case by itself (the arithmetic of METHOD.md 2 and 4 without a model). */
#include "app/output.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "policy/scripted.h"

typedef struct {
    int policy; /* 0 lm, 1 scripted */
} search_flags;

static const option search_options[] = {
    {.flag = "--policy",
     .type = OPTION_ENUM,
     .choices = "scripted",
     .initial = "scripted",
     .offset = offsetof(search_flags, policy),
     .help = "who proposes and judges steps"},
};

static esp_status search_scripted(const char *path, esp_error *error) {
    json_t *scenario, *result = NULL;
    ESP_TRY(json_read_file(path, &scenario, error));
    esp_status status = scripted_solve(scenario, path, &result, error);
    json_decref(scenario);
    return status == ESP_OK ? output_json(result, 17, error) : status;
}

static esp_status search_run(const cli_arguments *arguments, void *own, esp_error *error) {
    (void)own;
    return search_scripted(arguments->positionals[0], error);
}

const app_verb verb_search = {
    .cli =
        {.name = "search",
         .summary = "tree search",
         .positionals = "CASE.json",
         .least = 1,
         .most = 1,
         .options = {search_options, sizeof search_options / sizeof *search_options},
         .about =
             "--policy scripted CASE.json: searches a tree whose steps and rewards stand in the file, and\n"
             "prints each commitment with the numbers of its children as one JSON document."},
    .own_size = sizeof(search_flags),
    .run = search_run,
};
