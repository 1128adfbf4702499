/* espalier run, sft, and search with a model: the loop over a run directory, or one phase of it. */
#include "app/loop.h"
#include "app/observe.h"
#include "app/output.h"
#include "app/run_policy.h"
#include "formats/json.h"
#include "app/stop.h"
#include "app/summary.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "base/file.h"
#include "loop/checkpoint_name.h"
#include "loop/run.h"
#include "view/report.h"

#include <string.h>

typedef struct {
    bool resume;
} loop_flags;

typedef struct {
    bool resume;
    char *from; /* a run, or a folder of a model */
} run_flags;

#define LOOP_RESUME(owner, member)                                                                           \
    {                                                                                                        \
        .flag = "--resume", .type = OPTION_BOOL, .offset = offsetof(owner, member),                          \
        .help = "continue a run that was stopped or killed"                                                  \
    }
static const option loop_options[] = {LOOP_RESUME(loop_flags, resume)};
static const option run_own_options[] = {
    {.flag = "--resume",
     .type = OPTION_BOOL,
     .offset = offsetof(run_flags, resume),
     .help = "continue a run that was stopped or killed, or one that is done with more --iterations"},
    {.flag = "--from",
     .type = OPTION_STRING,
     .offset = offsetof(run_flags, from),
     .help = "start a new run from the last policy of this one (or RUN/checkpoints/NAME), without SFT"},
};

/* run.out, or runs/ and the recipe's name. Freed by mem_free. */
static char *run_folder(const recipe *r, const char *path) {
    if (r->run.out && r->run.out[0]) return mem_strdup(r->run.out);
    if (!path) return mem_strdup("runs/run");
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return mem_printf("runs/%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

/* Writes the report of a finished run and returns its path (freed by mem_free). If it cannot be written,
 * prints why and returns NULL: the run is finished all the same. */
static char *write_report(const char *folder) {
    report_options options = {.run = folder, .trees = -1};
    esp_error error = {0};
    if (report_write(&options, NULL, &error) == ESP_OK) return report_path(&options);
    char *line = mem_printf(
        "espalier: the run is finished, but its report could not be written: %s%s%s\n  to write it: "
        "espalier report %s\n",
        error.message, error.hint[0] ? "; " : "", error.hint, folder);
    terminal_put(stderr, line);
    mem_free(line);
    return NULL;
}

static esp_status print_json(const run_result *result, const char *folder, const char *page,
                             esp_error *error) {
    json_t *summary;
    ESP_TRY(run_summary(folder, &summary, error));
    run_result_add_json(result, summary);
    if (page) json_object_set_new(summary, "report", json_from_text(page, strlen(page)));
    return output_json(summary, 17, error);
}

static esp_status print_summary(const summary_input *input, bool json, esp_error *error) {
    store *s;
    run_result result;
    summary_input in = *input;
    ESP_TRY(store_open(&s, in.folder, STORE_READ, error));
    esp_status status = run_result_read(&result, s, in.recipe, error);
    store_close(s);
    ESP_TRY(status);
    if (json) {
        status = print_json(&result, in.folder, in.page, error);
    } else {
        display d = terminal_display(stdout, 100);
        text_buffer text = {0};
        in.result = &result;
        summary_text(&in, &d, &text);
        status = output_text(text.at, text.length, error);
        text_free(&text);
    }
    run_result_free(&result);
    return status;
}

esp_status loop_carry_out(const recipe *r, const char *folder, loop_request options, char **page,
                          esp_error *error) {
    observe_context context = {0};
    *page = NULL;
    stop_install();
    observer shown = observe_run(&context, folder, stop_flag());
    run_options run = {.folder = folder,
                       .resume = options.resume,
                       .changes = options.changes,
                       .unshared = options.unshared,
                       .phases = options.phases,
                       .observer = &shown,
                       .watcher = observe_progress(&context),
                       .stop = stop_flag()};
    esp_status status = run_recipe(r, &run, error);
    observe_end(&context);
    if (status == ESP_OK && options.phases == RUN_ALL) *page = write_report(folder);
    return status;
}

static esp_status run_phases(const recipe *r, const char *path, loop_request options, bool json,
                             esp_error *error) {
    char *folder = run_folder(r, path), *page;
    double began = clock_seconds();
    esp_status status = loop_carry_out(r, folder, options, &page, error);
    summary_input summary = {.recipe = r,
                             .folder = folder,
                             .page = page,
                             .recipe_path = path,
                             .seconds = clock_seconds() - began,
                             .resumed = options.resume,
                             .evaluates = (options.phases & RUN_EVALUATE) != 0};
    if (status == ESP_OK) status = print_summary(&summary, json, error);
    mem_free(page);
    mem_free(folder);
    return status;
}

esp_status loop_run(const cli_arguments *arguments, loop_request options, esp_error *error) {
    const char *path = arguments->positional_count ? arguments->positionals[0] : NULL;
    recipe *r;
    ESP_TRY(recipe_load(&r, path, arguments->overrides, arguments->override_count, error));
    esp_status status = ESP_OK;
    if (options.phases == RUN_SFT && r->sft.epochs == 0)
        status = error_set(error, ESP_USAGE, "give --epochs 1, or set sft.epochs in the recipe",
                           "espalier sft: sft.epochs is 0, so there is nothing to do");
    if (status == ESP_OK) status = run_phases(r, path, options, arguments->json, error);
    recipe_free(r);
    return status;
}

/* The folder of the policy that --from names. Freed by mem_free. */
static esp_status policy_from(const char *from, char **out, esp_error *error) {
    char *store_file = path_join(from, "run.db");
    bool is_run = file_exists(store_file);
    mem_free(store_file);
    if (!is_run) {
        *out = mem_strdup(from);
        return ESP_OK;
    }
    ESP_TRY(run_policy_path(from, "", out, error));
    if (checkpoint_name_read(strrchr(*out, '/') + 1).kind == CHECKPOINT_FINAL) return ESP_OK;
    mem_free(*out);
    *out = NULL;
    return error_fail(error, "name a policy that it keeps: --from RUN/checkpoints/NAME",
                      "%s: is in the middle of learning, and its present policy will not stay", from);
}

/* --from is the first of the overrides, so that every other one counts more. */
static esp_status run_from(const cli_arguments *arguments, const char *from, loop_request request,
                           esp_error *error) {
    char *policy;
    ESP_TRY(policy_from(from, &policy, error));
    cli_arguments more = *arguments;
    more.overrides = MEM_ARRAY(recipe_override, arguments->override_count + 2);
    more.override_count += 2;
    more.overrides[0] = (recipe_override){"model.path", policy, "--from"};
    more.overrides[1] = (recipe_override){"sft.epochs", "0", "--from"};
    for (int i = 0; i < arguments->override_count; i++) more.overrides[i + 2] = arguments->overrides[i];
    esp_status status = loop_run(&more, request, error);
    mem_free(more.overrides);
    mem_free(policy);
    return status;
}

static esp_status run_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const run_flags *flags = own;
    loop_request request = {.phases = RUN_ALL, .resume = flags->resume, .changes = true};
    return flags->from[0] ? run_from(arguments, flags->from, request, error)
                          : loop_run(arguments, request, error);
}

static esp_status sft_run(const cli_arguments *arguments, void *own, esp_error *error) {
    return loop_run(arguments, (loop_request){.phases = RUN_SFT, .resume = ((loop_flags *)own)->resume},
                    error);
}

const app_verb verb_run = {
    .cli =
        {.name = "run",
         .summary = "carry out a recipe: SFT if configured, then search, learning, evaluation",
         .positionals = "RECIPE.yaml",
         .least = 1,
         .most = 1,
         .options = {run_own_options, sizeof run_own_options / sizeof *run_own_options},
         .recipe_groups = "run model adapter data task search learn sft self_eval eval",
         .about =
             "Work is stored in the run directory (--out) as it is done. --resume continues a run that was\n"
             "stopped or killed; the result is the same, bit for bit. Ctrl-C finishes the current write; a\n"
             "second one quits at once.\n"
             "\n"
             "With --resume, run.iterations and some other keys (the learning rate and most of learn, the "
             "size\n"
             "of an iteration, run.eval_every) may be others than before: they count from where the run is, "
             "and\n"
             "the change is kept and shown in the report."},
    .own_size = sizeof(run_flags),
    .run = run_run,
};

const app_verb verb_sft = {
    .cli = {.name = "sft",
            .summary = "supervised fine-tuning on gold rationales",
            .positionals = "[RECIPE.yaml]",
            .most = 1,
            .options = {loop_options, 1},
            .recipe_groups = "sft run model adapter data task",
            .about = "Only the first phase of a run. The policy is stored in checkpoints/ of --out."},
    .own_size = sizeof(loop_flags),
    .run = sft_run,
};
