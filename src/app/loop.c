/* espalier run, sft, and search with a model: the loop over a run directory, whole or one phase of it. */
#include "app/loop.h"
#include "app/observe.h"
#include "app/output.h"
#include "app/progress.h"
#include "app/stop.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "run/run.h"
#include "view/report.h"

#include <string.h>

typedef struct {
    bool resume;
} loop_flags;

#define LOOP_RESUME(owner, member)                                                                           \
    {                                                                                                        \
        .flag = "--resume", .type = OPTION_BOOL, .offset = offsetof(owner, member),                          \
        .help = "go on with a run that was stopped or killed"                                                \
    }
static const option loop_options[] = {LOOP_RESUME(loop_flags, resume)};

/* run.out, or runs/ and the recipe's name. Freed by mem_free. */
static char *run_folder(const recipe *r, const char *path) {
    if (r->run.out && r->run.out[0]) return mem_strdup(r->run.out);
    if (!path) return mem_strdup("runs/run");
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return mem_printf("runs/%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

static void summary_text(const json_t *summary, text_buffer *out) {
    const json_t *e, *list = json_object_get(summary, "evaluations");
    size_t i;
    json_array_foreach(list, i, e) {
        const json_t *interval = json_object_get(e, "interval");
        text_printf(out, "iteration %lld, %s on %s: %.1f%% (%.1f to %.1f), %lld of %lld problems\n",
                    (long long)json_integer_value(json_object_get(e, "iteration")),
                    json_string_value(json_object_get(e, "method")),
                    json_string_value(json_object_get(e, "set")),
                    100 * json_number_value(json_object_get(e, "accuracy")),
                    100 * json_number_value(json_array_get(interval, 0)),
                    100 * json_number_value(json_array_get(interval, 1)),
                    (long long)json_integer_value(json_object_get(e, "right")),
                    (long long)json_integer_value(json_object_get(e, "problems")));
    }
    const json_t *position = json_object_get(summary, "position");
    const char *report = json_string_value(json_object_get(summary, "report"));
    if (report) text_printf(out, "report %s\n", report);
    text_printf(out, "run %s, digest %s, policy %s\n", json_string_value(json_object_get(summary, "run")),
                json_string_value(json_object_get(summary, "digest")),
                json_string_value(json_object_get(position, "checkpoint")));
}

/* The page of a finished run; its path, freed by mem_free. Where it cannot be written that is said, and the
 * run is as finished as it was: NULL. */
static char *write_report(const char *folder) {
    report_options options = {.run = folder, .trees = -1};
    esp_error error = {0};
    if (report_write(&options, NULL, &error) == ESP_OK) return report_path(&options);
    char *line =
        mem_printf("espalier: the run is finished, its report is not written: %s%s%s\n  make it by: espalier "
                   "report %s\n",
                   error.message, error.hint[0] ? "; " : "", error.hint, folder);
    terminal_put(stderr, line);
    mem_free(line);
    return NULL;
}

static esp_status print_summary(const char *folder, const char *report, bool json, esp_error *error) {
    json_t *summary;
    ESP_TRY(run_summary(folder, &summary, error));
    if (report) json_object_set_new(summary, "report", json_from_text(report, strlen(report)));
    if (json) return output_json(summary, 17, error);
    text_buffer text = {0};
    summary_text(summary, &text);
    esp_status status = output_text(text.at, text.length, error);
    text_free(&text);
    json_decref(summary);
    return status;
}

static esp_status run_parts(const recipe *r, const char *path, int parts, bool resume, bool json,
                            esp_error *error) {
    char *folder = run_folder(r, path);
    observe_context context = {0};
    stop_install();
    observer watcher = observe_run(&context, folder, stop_flag());
    run_options options = {
        .folder = folder, .resume = resume, .parts = parts, .observer = &watcher, .stop = stop_flag()};
    esp_status status = run_recipe(r, &options, error);
    observe_end(&context);
    char *report = status == ESP_OK && parts == RUN_ALL ? write_report(folder) : NULL;
    if (status == ESP_OK) status = print_summary(folder, report, json, error);
    mem_free(report);
    mem_free(folder);
    return status;
}

esp_status loop_run(const cli_arguments *arguments, int parts, bool resume, esp_error *error) {
    const char *path = arguments->positional_count ? arguments->positionals[0] : NULL;
    recipe *r;
    ESP_TRY(recipe_load(&r, path, arguments->overrides, arguments->override_count, error));
    esp_status status = ESP_OK;
    if (parts == RUN_SFT && r->sft.epochs == 0)
        status = error_set(error, ESP_USAGE, "give --epochs 1, or set sft.epochs in the recipe",
                           "espalier sft: sft.epochs is 0, so there is nothing to do");
    if (status == ESP_OK) status = run_parts(r, path, parts, resume, arguments->json, error);
    recipe_free(r);
    return status;
}

static esp_status run_run(const cli_arguments *arguments, void *own, esp_error *error) {
    return loop_run(arguments, RUN_ALL, ((loop_flags *)own)->resume, error);
}

static esp_status sft_run(const cli_arguments *arguments, void *own, esp_error *error) {
    return loop_run(arguments, RUN_SFT, ((loop_flags *)own)->resume, error);
}

const app_verb verb_run = {
    .cli = {.name = "run",
            .summary = "the whole loop of a recipe: SFT if asked, search, learning, evaluation",
            .positionals = "RECIPE.yaml",
            .least = 1,
            .most = 1,
            .options = {loop_options, 1},
            .recipe_groups = "run model data search learn sft self_eval eval",
            .about =
                "Work is kept in the run directory (--out) as it goes; a run that was stopped or killed goes "
                "on\n"
                "with --resume and ends in the same bits. Ctrl-C finishes the write in hand; a second one\n"
                "quits at once."},
    .own_size = sizeof(loop_flags),
    .run = run_run,
};

const app_verb verb_sft = {
    .cli = {.name = "sft",
            .summary = "supervised fine-tuning on gold rationales",
            .positionals = "[RECIPE.yaml]",
            .most = 1,
            .options = {loop_options, 1},
            .recipe_groups = "sft run model data",
            .about = "The first phase of a run by itself; the policy lies in checkpoints/ of --out."},
    .own_size = sizeof(loop_flags),
    .run = sft_run,
};
