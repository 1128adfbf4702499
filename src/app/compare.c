/* espalier compare: methods by their finished runs. */
#include "app/compare.h"

#include "app/output.h"
#include "app/run_words.h"
#include "app/verbs.h"
#include "formats/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    char *baseline;
    double target;
    bool by_iteration;
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
    {.flag = "--by-iteration",
     .type = OPTION_BOOL,
     .offset = offsetof(compare_flags, by_iteration),
     .help = "also show accuracy and tokens by iteration"},
};

/* ---- out ---- */

typedef struct {
    const char *baseline; /* NULL: the sweep's own, or the first */
    double target;        /* NAN: none */
    bool by_iteration, json;
} wishes;

static esp_status print(const run_words *in, const wishes *w, esp_error *error) {
    comparison c;
    const char *baseline = w->baseline ? w->baseline : in->baseline;
    ESP_TRY(comparison_make(&c, in->runs.at, in->runs.count, baseline, w->target, error));
    esp_status status;
    if (w->json) {
        status = output_json(comparison_json(&c), 9, error);
    } else {
        text_buffer text = {0};
        compare_text(&c, w->by_iteration, &text);
        status = output_text(text.at, text.length, error);
        text_free(&text);
    }
    comparison_free(&c);
    return status;
}

esp_status compare_sweep(const char *folder, bool json, esp_error *error) {
    run_words in = run_words_new();
    wishes w = {.target = (double)NAN, .json = json};
    esp_status status = run_words_add_sweep(&in, folder, error);
    if (status == ESP_OK) status = print(&in, &w, error);
    run_words_free(&in);
    return status;
}

static esp_status compare_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const compare_flags *flags = own;
    run_words in = run_words_new();
    wishes w = {.baseline = flags->baseline[0] ? flags->baseline : NULL,
                .target = flags->target > 0 ? flags->target / 100 : (double)NAN,
                .by_iteration = flags->by_iteration,
                .json = arguments->json};
    esp_status status = ESP_OK;
    for (int i = 0; i < arguments->positional_count && status == ESP_OK; i++)
        status = run_words_add(&in, arguments->positionals[i], error);
    if (status == ESP_OK) status = print(&in, &w, error);
    run_words_free(&in);
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
