/* espalier theory: the theory in numbers, and whether the program's parts agree with it. */
#include "app/output.h"
#include "app/terminal.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "theory/theory.h"
#include "view/page_file.h"
#include "view/theory_view.h"

#include <string.h>
#include <strings.h>

typedef struct {
    char *html;
    int64_t seed;
} theory_flags;

static const option theory_options[] = {
    {.flag = "--html",
     .type = OPTION_STRING,
     .offset = offsetof(theory_flags, html),
     .help = "also write a page with the figures to this file"},
    {.flag = "--seed",
     .type = OPTION_INT,
     .initial = "1",
     .low = 0,
     .high = 9e15,
     .offset = offsetof(theory_flags, seed),
     .help = "seed of the simulations (T1, T3)"},
};

enum { MOST_TABLES = 16 };

/* The tables, in order and once each; all where no names are given. */
static esp_status choose(const cli_arguments *arguments, bool chosen[MOST_TABLES], esp_error *error) {
    for (int i = 0; theory_name(i); i++) chosen[i] = arguments->positional_count == 0;
    for (int p = 0; p < arguments->positional_count; p++) {
        int i = 0;
        while (theory_name(i) && strcasecmp(theory_name(i), arguments->positionals[p]) != 0) i++;
        if (!theory_name(i))
            return error_set(error, ESP_USAGE, "its tables are T1 to T6", "espalier theory: no table %s",
                             arguments->positionals[p]);
        chosen[i] = true;
    }
    return ESP_OK;
}

static esp_status print_text(const theory_table *tables, int count, esp_error *error) {
    text_buffer text = {0};
    int64_t values, differ = theory_count_differing(tables, count, &values);
    for (int i = 0; i < count; i++) {
        theory_text(&tables[i], terminal_width(stdout, 100), &text);
        text_puts(&text, "\n");
    }
    if (differ == 0)
        text_printf(&text, "all %lld values are as predicted\n", (long long)values);
    else
        text_printf(&text, "%lld of %lld values differ from their prediction\n", (long long)differ,
                    (long long)values);
    esp_status status = output_text(text.at, text.length, error);
    text_free(&text);
    return status;
}

static esp_status print_json(const document *d, esp_error *error) {
    return output_json(json_loadb(d->text.at, d->text.length, 0, NULL), 17, error);
}

static esp_status show(const theory_table *tables, int count, const theory_flags *flags, bool json,
                       esp_error *error) {
    document d = {0};
    int64_t bytes, values, differ = theory_count_differing(tables, count, &values);
    theory_document(tables, count, flags->seed, &d);
    esp_status status = json ? print_json(&d, error) : print_text(tables, count, error);
    if (status == ESP_OK && flags->html[0]) status = page_write(flags->html, &d, &bytes, error);
    document_free(&d);
    if (status == ESP_OK && differ > 0)
        status =
            error_fail(error, "their lines say DIFFERS; docs/theory.md names the functions of each table",
                       "espalier theory: %lld of %lld values differ from their prediction", (long long)differ,
                       (long long)values);
    return status;
}

static esp_status theory_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const theory_flags *flags = own;
    bool chosen[MOST_TABLES] = {false};
    theory_table tables[MOST_TABLES];
    int count = 0;
    ESP_TRY(choose(arguments, chosen, error));
    for (int i = 0; theory_name(i); i++)
        if (chosen[i]) theory_compute(i, (uint64_t)flags->seed, &tables[count++]);
    esp_status status = show(tables, count, flags, arguments->json, error);
    for (int i = 0; i < count; i++) theory_free(&tables[i]);
    return status;
}

const app_verb verb_theory = {
    .cli = {.name = "theory",
            .summary = "what theory predicts, beside what the program's parts compute",
            .positionals = "[T1..T6]...",
            .most = -1,
            .options = {theory_options, sizeof theory_options / sizeof *theory_options},
            .about = "Six tables in seconds, without a model: coverage (T1), the fixed point of smoothing "
                     "(T2), from visits to\nconfidence (T3), convergence with iterations (T4), coverage in "
                     "depth (T5), the blind spot of offline\ndata (T6). docs/theory.md derives them. Exit "
                     "status 1 where a value differs from its prediction."},
    .own_size = sizeof(theory_flags),
    .run = theory_run,
};
