/* espalier curves: accuracy against the tokens of training and of answering, from run directories. */
#include "app/output.h"
#include "app/run_words.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "loop/provenance.h"
#include "view/curves_view.h"
#include "view/page_file.h"

#include <string.h>

typedef struct {
    char *html;
    int64_t problems;
} curves_flags;

static const option curves_options[] = {
    {.flag = "--html",
     .type = OPTION_STRING,
     .offset = offsetof(curves_flags, html),
     .help = "also write a page with the figures to this file"},
    {.flag = "--problems",
     .type = OPTION_INT,
     .initial = "0",
     .low = 0,
     .high = 1e12,
     .offset = offsetof(curves_flags, problems),
     .help = "number of problems whose answers are counted beside training; 0: as many as the "
             "first run was evaluated on"},
};

static esp_status read_curves(store *s, const char *folder, curve_set *out, esp_error *error) {
    recipe *r;
    task *t = NULL;
    ESP_TRY(store_begin_read(s, error));
    ESP_TRY(provenance_read_recipe(folder, &r, error));
    esp_status status = task_new(&t, &r->task, error);
    if (status == ESP_OK) status = curves_read(out, s, r, t, error);
    task_free(t);
    recipe_free(r);
    return status;
}

static esp_status open_run(const char *folder, curve_set *out, esp_error *error) {
    store *s;
    ESP_TRY(store_open(&s, folder, STORE_READ, error));
    esp_status status = read_curves(s, folder, out, error);
    store_rollback(s);
    store_close(s);
    return status;
}

/* Whether two runs are one method: their labels are equal. */
static bool is_same(const comparison_input *a, const comparison_input *b) {
    return a->label && b->label && strcmp(a->label, b->label) == 0;
}

/* Reads the runs of the method of run `first`. */
static esp_status read_method(const run_words *words, int64_t first, curves_of_run *out, esp_error *error) {
    const comparison_input *runs = words->runs.at;
    curve_set *sets = MEM_ARRAY(curve_set, words->runs.count);
    esp_status status = ESP_OK;
    int n = 0;
    for (int64_t i = first; i < words->runs.count && status == ESP_OK; i++)
        if (i == first || is_same(&runs[i], &runs[first]))
            status = open_run(runs[i].folder, &sets[n++], error);
    if (status == ESP_OK) {
        *out =
            (curves_of_run){.label = runs[first].label ? runs[first].label : runs[first].folder, .runs = n};
        if (n > 1)
            curves_average(sets, n, &out->set);
        else
            out->set = sets[0], sets[0] = (curve_set){0};
    }
    for (int i = 0; i < n; i++) curves_free(&sets[i]);
    mem_free(sets);
    return status;
}

static esp_status print_text(const curves_of_run *runs, int count, int64_t problems, esp_error *error) {
    text_buffer text = {0};
    for (int i = 0; i < count; i++) {
        if (i > 0) text_puts(&text, "\n");
        curves_text(&runs[i], problems, &text);
    }
    esp_status status = output_text(text.at, text.length, error);
    text_free(&text);
    return status;
}

static esp_status show(const curves_of_run *runs, int count, const curves_flags *flags, bool json,
                       esp_error *error) {
    document d = {0};
    int64_t bytes, problems = flags->problems ? flags->problems : runs[0].set.asked;
    curves_page(runs, count, problems, &d);
    esp_status status = json ? output_json(json_loadb(d.text.at, d.text.length, 0, NULL), 17, error)
                             : print_text(runs, count, problems, error);
    if (status == ESP_OK && flags->html[0]) status = page_write(flags->html, &d, &bytes, error);
    document_free(&d);
    return status;
}

static bool is_first_of_method(const run_words *words, int64_t run) {
    for (int64_t i = 0; i < run; i++)
        if (is_same(&words->runs.at[i], &words->runs.at[run])) return false;
    return true;
}

static esp_status show_methods(const run_words *words, const curves_flags *flags, bool json,
                               esp_error *error) {
    curves_of_run *methods = MEM_ARRAY(curves_of_run, words->runs.count + 1);
    esp_status status = ESP_OK;
    int count = 0;
    for (int64_t i = 0; i < words->runs.count && status == ESP_OK; i++)
        if (is_first_of_method(words, i)) status = read_method(words, i, &methods[count++], error);
    if (status == ESP_OK && count == 0)
        status = error_fail(error, "wait for its first run", "the sweep has no runs yet");
    if (status == ESP_OK) status = show(methods, count, flags, json, error);
    for (int i = 0; i < count; i++) curves_free(&methods[i].set);
    mem_free(methods);
    return status;
}

static esp_status curves_run(const cli_arguments *arguments, void *own, esp_error *error) {
    run_words words = run_words_new();
    esp_status status = ESP_OK;
    for (int i = 0; i < arguments->positional_count && status == ESP_OK; i++)
        status = run_words_add(&words, arguments->positionals[i], error);
    if (status == ESP_OK) status = show_methods(&words, own, arguments->json, error);
    run_words_free(&words);
    return status;
}

const app_verb verb_curves = {
    .cli =
        {.name = "curves",
         .summary = "accuracy against compute: training, samples, votes and search on one axis of tokens",
         .positionals = "[LABEL=]RUN...|SWEEP",
         .least = 1,
         .most = -1,
         .options = {curves_options, sizeof curves_options / sizeof *curves_options},
         .about =
             "Each checkpoint's own evaluation; the problems that any checkpoint so far has solved; "
             "and of the first and\nthe last policy maj@k, pass@k and search, where the run "
             "evaluated them (eval.compare_k, eval.compare_search).\nTokens are those computed by "
             "search and updates from the first policy on, and by the answers. Runs of\none label, such as a "
             "sweep's runs of one method, become their mean, with intervals over the runs."},
    .own_size = sizeof(curves_flags),
    .run = curves_run,
};
