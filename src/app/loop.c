/* espalier run, sft, and search with a model: the loop over a run directory, or one phase of it. */
#include "app/loop.h"
#include "app/observe.h"
#include "app/output.h"
#include "formats/json.h"
#include "app/stop.h"
#include "app/summary.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "loop/run.h"
#include "view/report.h"

#include <string.h>

typedef struct {
    bool resume;
} loop_flags;

#define LOOP_RESUME(owner, member)                                                                           \
    {                                                                                                        \
        .flag = "--resume", .type = OPTION_BOOL, .offset = offsetof(owner, member),                          \
        .help = "continue a run that was stopped or killed"                                                  \
    }
static const option loop_options[] = {LOOP_RESUME(loop_flags, resume)};

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

static esp_status run_run(const cli_arguments *arguments, void *own, esp_error *error) {
    return loop_run(arguments, (loop_request){.phases = RUN_ALL, .resume = ((loop_flags *)own)->resume},
                    error);
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
         .options = {loop_options, 1},
         .recipe_groups = "run model adapter data task search learn sft self_eval eval",
         .about =
             "Work is stored in the run directory (--out) as it is done. --resume continues a run that was\n"
             "stopped or killed; the result is the same, bit for bit. Ctrl-C finishes the current write; a\n"
             "second one quits at once."},
    .own_size = sizeof(loop_flags),
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
