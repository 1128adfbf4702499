/* espalier pairs: the preferences of a run, or of a file, in the form that is wanted. */
#include "app/observe.h"
#include "app/verbs.h"
#include "base/file.h"
#include "learn/pairs.h"
#include "loop/checkpoint.h"
#include "loop/provenance.h"
#include "model/adapter_file.h"
#include "recipe/recipe.h"
#include "recipe/session.h"

#include <string.h>

typedef struct {
    int format; /* pairs_format */
    int64_t iteration;
    char *model;
    char *chat_template;
    int boundary; /* pairs_boundary */
    bool eos;
} pairs_flags;

static const option pairs_options[] = {
    {.flag = "--format",
     .type = OPTION_ENUM,
     .choices = "native|trl|messages",
     .initial = "native",
     .offset = offsetof(pairs_flags, format),
     .help = "native: token ids as sampled; trl: texts; messages: lists of messages"},
    {.flag = "--iteration",
     .type = OPTION_INT,
     .initial = "-1",
     .low = -1,
     .high = 1e9,
     .offset = offsetof(pairs_flags, iteration),
     .help = "only the pairs of this iteration; -1: all"},
    {.flag = "--model",
     .type = OPTION_PATH,
     .offset = offsetof(pairs_flags, model),
     .help = "of a file's pairs: the model, or tokenizer.json, whose tokens they become"},
    {.flag = "--chat-template",
     .type = OPTION_PATH,
     .initial = "auto",
     .offset = offsetof(pairs_flags, chat_template),
     .help = "of a file's messages; auto: the model's own; plain, chatml, llama2, mistral; or a file"},
    {.flag = "--eos",
     .type = OPTION_BOOL,
     .initial = "true",
     .offset = offsetof(pairs_flags, eos),
     .help = "of a file's texts: as for espalier train"},
    {.flag = "--boundary",
     .type = OPTION_ENUM,
     .choices = PAIRS_BOUNDARY_CHOICES,
     .initial = "auto",
     .offset = offsetof(pairs_flags, boundary),
     .help = "of a file's texts: as for espalier train"},
};

/* The tokenizer of the run's policy, or of the model that the run started from if there is no policy yet. */
static esp_status run_tokenizer(store *s, const char *run, const recipe *r, tokenizer **out,
                                esp_error *error) {
    store_position at;
    ESP_TRY(store_position_get(s, &at, error));
    if (!at.checkpoint[0]) return adapter_tokenizer_open(out, r->model.path, error);
    char *path = checkpoint_path(run, at.checkpoint);
    esp_status status = adapter_tokenizer_open(out, path, error);
    mem_free(path);
    return status;
}

/* What the words of the run's prompts are made with. */
static esp_status read_words(store *s, const char *run, tokenizer **t, chat **chat, esp_error *error) {
    recipe *r = NULL;
    esp_status status = provenance_read_recipe(run, &r, error);
    if (status == ESP_OK) status = run_tokenizer(s, run, r, t, error);
    if (status == ESP_OK) status = recipe_open_chat(r, *t, chat, error);
    recipe_free(r);
    return status;
}

static esp_status of_run(const char *run, const pairs_flags *flags, esp_error *error) {
    store *s;
    tokenizer *t = NULL;
    chat *chat = NULL;
    pairs_write_options options = {.format = (pairs_format)flags->format};
    ESP_TRY(store_open(&s, run, STORE_READ, error));
    esp_status status = options.format == PAIRS_NATIVE ? ESP_OK : read_words(s, run, &t, &chat, error);
    options.tokenizer = t;
    options.chat = chat;
    if (status == ESP_OK)
        status = pairs_write(s, flags->iteration < 0 ? STORE_ALL : flags->iteration, &options, stdout,
                             "standard output", NULL, error);
    chat_free(chat);
    tokenizer_close(t);
    store_close(s);
    return status;
}

static esp_status of_file(const char *path, const pairs_flags *flags, esp_error *error) {
    if (!flags->model[0])
        return error_set(error, ESP_USAGE, "give --model", "espalier pairs %s: a file's pairs need a model",
                         path);
    tokenizer *t;
    ESP_TRY(adapter_tokenizer_open(&t, flags->model, error));
    pairs_read_options from = {.tokenizer = t,
                               .vocab = tokenizer_size(t),
                               .append_end = flags->eos,
                               .boundary = (pairs_boundary)flags->boundary};
    bool chosen = strcmp(flags->chat_template, "auto") != 0;
    chat *chat = NULL;
    if (chat_open(&chat, &(chat_choice){.name = flags->chat_template}, t, chosen ? error : NULL) != ESP_OK &&
        chosen) {
        tokenizer_close(t);
        return ESP_FAILED;
    }
    pairs_set_template(&from, chat, chosen);
    pairs_write_options to = {.format = (pairs_format)flags->format, .tokenizer = t, .chat = from.chat};
    pairs_counts counts;
    observe_context context = {0};
    observer watcher = observe(&context);
    esp_status status = pairs_convert(path, &from, &to, stdout, "standard output", &counts, error);
    if (status == ESP_OK) pairs_notes(&counts, 0, &watcher);
    observe_end(&context);
    chat_free(chat);
    tokenizer_close(t);
    return status;
}

static esp_status pairs_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const char *from = arguments->positionals[0];
    bool file = strcmp(from, "-") == 0 || (file_exists(from) && !file_is_folder(from));
    return file ? of_file(from, own, error) : of_run(from, own, error);
}

const app_verb verb_pairs = {
    .cli =
        {.name = "pairs",
         .summary = "the preferences of a run or a file, as JSON lines",
         .positionals = "RUN|FILE.jsonl",
         .least = 1,
         .most = 1,
         .options = {pairs_options, sizeof pairs_options / sizeof *pairs_options},
         .about =
             "espalier train --pairs reads all three forms and learns the same from them: rows of words say\n"
             "with \"continues\": true that no end-of-sequence follows, and have the lists of ids too where\n"
             "the words alone would be tokenized differently.\n"
             "With a file of pairs in any form and --model, its rows in another form: --format native shows\n"
             "the tokens that are learned, and others are for other programs."},
    .own_size = sizeof(pairs_flags),
    .run = pairs_run,
};
