/* espalier search: grows trees for the problems of a recipe, or for a scripted case, which shows the
 * arithmetic of docs/method.md 2 and 4 without a model. */
#include "app/loop.h"
#include "app/output.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "policy/scripted.h"
#include "loop/run.h"

typedef enum { SEARCH_LM, SEARCH_SCRIPTED } search_policy;

typedef struct {
    int policy; /* search_policy */
    bool resume;
    bool unshared;
} search_flags;

static const option search_options[] = {
    {.flag = "--policy",
     .type = OPTION_ENUM,
     .choices = "lm|scripted",
     .initial = "lm",
     .offset = offsetof(search_flags, policy),
     .help = "what proposes and judges steps: a language model (lm) or a file (scripted)"},
    {.flag = "--resume",
     .type = OPTION_BOOL,
     .offset = offsetof(search_flags, resume),
     .help = "continue a run that was stopped or killed"},
    {.flag = "--unshared",
     .type = OPTION_BOOL,
     .offset = offsetof(search_flags, unshared),
     .help =
         "share nothing: compute every candidate from its whole prompt, one at a time (slow; to compare)"},
};

static esp_status search_scripted(const char *path, esp_error *error) {
    json_t *scenario, *result = NULL;
    ESP_TRY(json_read_file(path, &scenario, error));
    esp_status status = scripted_solve(scenario, path, &result, error);
    json_decref(scenario);
    return status == ESP_OK ? output_json(result, 17, error) : status;
}

static esp_status search_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const search_flags *flags = own;
    if (flags->policy == SEARCH_LM)
        return loop_run(
            arguments,
            (loop_request){.phases = RUN_SEARCH, .resume = flags->resume, .unshared = flags->unshared},
            error);
    if (flags->unshared)
        return error_set(error, ESP_USAGE, "leave --unshared out, or search with a model",
                         "espalier search: --unshared has no meaning for a scripted policy");
    if (arguments->positional_count == 0)
        return error_set(error, ESP_USAGE, "espalier search --policy scripted CASE.json",
                         "espalier search: --policy scripted needs a case file");
    return search_scripted(arguments->positionals[0], error);
}

const app_verb verb_search = {
    .cli = {.name = "search",
            .summary = "tree search over a recipe's problems, or over a scripted case",
            .positionals = "[RECIPE.yaml | CASE.json]",
            .most = 1,
            .options = {search_options, sizeof search_options / sizeof *search_options},
            .recipe_groups = "search run model data task self_eval",
            .about =
                "Trees and pairs are stored in the run directory (--out); espalier pairs prints the pairs.\n"
                "--policy scripted CASE.json: searches a tree whose steps and rewards are in the file, and "
                "prints one\n"
                "JSON document: each commitment with the numbers of its node's children."},
    .own_size = sizeof(search_flags),
    .run = search_run,
};
