/* espalier curves: accuracy against the tokens of training and of answering, from run directories. */
#include "app/output.h"
#include "app/verbs.h"
#include "base/file.h"
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

/* LABEL=RUN, or a run's folder. The label is freed with mem_free. */
static void take_name(const char *word, char **label, const char **folder) {
    const char *equals = strchr(word, '=');
    bool named = equals && equals > word && !file_exists(word);
    *label = named ? mem_strndup(word, (size_t)(equals - word)) : mem_strdup(word);
    *folder = named ? equals + 1 : word;
}

static esp_status read_curves(store *s, curves_of_run *out, esp_error *error) {
    recipe *r;
    task *t = NULL;
    ESP_TRY(store_begin_read(s, error));
    ESP_TRY(provenance_read_recipe(out->folder, &r, error));
    esp_status status = task_new(&t, &r->task, error);
    if (status == ESP_OK) status = curves_read(&out->set, s, r, t, error);
    task_free(t);
    recipe_free(r);
    return status;
}

static esp_status open_run(curves_of_run *out, esp_error *error) {
    store *s;
    ESP_TRY(store_open(&s, out->folder, STORE_READ, error));
    esp_status status = read_curves(s, out, error);
    store_rollback(s);
    store_close(s);
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

static esp_status curves_run(const cli_arguments *arguments, void *own, esp_error *error) {
    int count = arguments->positional_count;
    curves_of_run *runs = MEM_ARRAY(curves_of_run, count);
    char **labels = MEM_ARRAY(char *, count);
    esp_status status = ESP_OK;
    for (int i = 0; i < count && status == ESP_OK; i++) {
        take_name(arguments->positionals[i], &labels[i], &runs[i].folder);
        runs[i].label = labels[i];
        status = open_run(&runs[i], error);
    }
    if (status == ESP_OK) status = show(runs, count, own, arguments->json, error);
    for (int i = 0; i < count; i++) {
        curves_free(&runs[i].set);
        mem_free(labels[i]);
    }
    mem_free(labels);
    mem_free(runs);
    return status;
}

const app_verb verb_curves = {
    .cli = {.name = "curves",
            .summary = "accuracy against compute: training, samples, votes and search on one axis of tokens",
            .positionals = "[LABEL=]RUN...",
            .least = 1,
            .most = -1,
            .options = {curves_options, sizeof curves_options / sizeof *curves_options},
            .about = "Each checkpoint's own evaluation; the problems that any checkpoint so far has solved; "
                     "and of the first and\nthe last policy maj@k, pass@k and search, where the run "
                     "evaluated them (eval.compare_k, eval.compare_search).\nTokens are those computed by "
                     "search and updates from the first policy on, and by the answers."},
    .own_size = sizeof(curves_flags),
    .run = curves_run,
};
