/* espalier pairs and espalier export: the results of a run in formats that other programs read. */
#include "app/out_folder.h"
#include "app/output.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "base/file.h"
#include "loop/checkpoint.h"
#include "loop/provenance.h"
#include "learn/pairs.h"
#include "recipe/recipe.h"

#include <string.h>

/* ---- pairs ---- */

typedef struct {
    int format; /* pairs_format */
    int64_t iteration;
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
};

/* The tokenizer of the run's policy, or of the model that the run started from if there is no policy yet. */
static esp_status run_tokenizer(store *s, const char *run, const recipe *r, tokenizer **out,
                                esp_error *error) {
    store_position at;
    ESP_TRY(store_position_get(s, &at, error));
    if (!at.checkpoint[0]) return tokenizer_open(out, r->model.path, error);
    char *path = checkpoint_path(run, at.checkpoint);
    esp_status status = tokenizer_open(out, path, error);
    mem_free(path);
    return status;
}

/* What the words of the run's prompts are made with. */
static esp_status read_words(store *s, const char *run, tokenizer **t, chat_kind *chat, esp_error *error) {
    recipe *r = NULL;
    esp_status status = provenance_read_recipe(run, &r, error);
    if (status == ESP_OK) status = run_tokenizer(s, run, r, t, error);
    if (status == ESP_OK && r->model.chat_template > 0)
        *chat = (chat_kind)(r->model.chat_template - 1);
    else if (status == ESP_OK)
        status = chat_template_detect(tokenizer_chat_template(*t), chat, error);
    recipe_free(r);
    return status;
}

static esp_status pairs_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const pairs_flags *flags = own;
    const char *run = arguments->positionals[0];
    store *s;
    tokenizer *t = NULL;
    pairs_write_options options = {.format = (pairs_format)flags->format};
    ESP_TRY(store_open(&s, run, STORE_READ, error));
    esp_status status =
        options.format == PAIRS_NATIVE ? ESP_OK : read_words(s, run, &t, &options.chat, error);
    options.tokenizer = t;
    if (status == ESP_OK)
        status = pairs_write(s, flags->iteration < 0 ? STORE_ALL : flags->iteration, &options, stdout,
                             "standard output", NULL, error);
    tokenizer_close(t);
    store_close(s);
    return status;
}

const app_verb verb_pairs = {
    .cli = {.name = "pairs",
            .summary = "the preferences of a run, as JSON lines",
            .positionals = "RUN",
            .least = 1,
            .most = 1,
            .options = {pairs_options, sizeof pairs_options / sizeof *pairs_options},
            .about =
                "espalier train --pairs reads all three forms and learns the same from them: rows of text "
                "say with\n"
                "\"continues\": true that no end-of-sequence follows, and have the lists of ids too where\n"
                "the words alone would be tokenized differently."},
    .own_size = sizeof(pairs_flags),
    .run = pairs_run,
};

/* ---- export ---- */

typedef struct {
    char *checkpoint;
    int dtype; /* 0 f32, 1 bf16 */
} export_flags;

static const option export_options[] = {
    {.flag = "--checkpoint",
     .type = OPTION_STRING,
     .offset = offsetof(export_flags, checkpoint),
     .help = "a folder in checkpoints/; default: the run's last policy"},
    {.flag = "--dtype",
     .type = OPTION_ENUM,
     .choices = "f32|bf16",
     .initial = "f32",
     .offset = offsetof(export_flags, dtype),
     .help = "number format to write"},
};

/* Finds the checkpoint's folder; freed by mem_free. */
static esp_status find_checkpoint(const char *run, const char *wanted, char **out, esp_error *error) {
    store *s;
    store_position at = {0};
    ESP_TRY(store_open(&s, run, STORE_READ, error));
    esp_status status = store_position_get(s, &at, error);
    store_close(s);
    ESP_TRY(status);
    const char *name = wanted[0] ? wanted : at.checkpoint;
    if (!name[0])
        return error_fail(error, "to export the model that the run started from, use espalier import",
                          "%s: the run has no trained policy yet", run);
    *out = checkpoint_path(run, name);
    if (file_is_folder(*out)) return ESP_OK;
    error_fail(error, "its policies are the folders in checkpoints/", "%s: the run has no policy %s", run,
               name);
    mem_free(*out);
    return ESP_FAILED;
}

static esp_status export_into(const char *from, const char *folder, dtype type, esp_error *error) {
    tokenizer *t;
    ESP_TRY(tokenizer_open(&t, from, error));
    esp_status status = tokenizer_save(t, folder, error);
    tokenizer_close(t);
    if (status == ESP_OK) status = model_convert(from, folder, type, error);
    return status == ESP_OK ? stop_check(error) : status;
}

static esp_status export_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const export_flags *flags = own;
    const char *run = arguments->positionals[0], *folder = arguments->positionals[1];
    char *from = NULL;
    out_folder out;
    ESP_TRY(find_checkpoint(run, flags->checkpoint, &from, error));
    stop_install();
    esp_status status = out_folder_begin(&out, folder, error);
    if (status == ESP_OK) {
        status = export_into(from, out.aside, flags->dtype ? DTYPE_BF16 : DTYPE_F32, error);
        if (status == ESP_OK)
            status = out_folder_end(&out, error);
        else
            out_folder_abort(&out);
    }
    if (status == ESP_OK && arguments->json)
        status =
            output_json(json_pack("{ss ss ss}", "run", run, "checkpoint", from, "folder", folder), 17, error);
    else if (status == ESP_OK) {
        char *text = mem_printf("%s: %s in Hugging Face layout\n", folder, from);
        status = output_text(text, strlen(text), error);
        mem_free(text);
    }
    mem_free(from);
    return status;
}

const app_verb verb_export = {
    .cli = {.name = "export",
            .summary = "a run's policy as a Hugging Face folder",
            .positionals = "RUN DIR",
            .least = 2,
            .most = 2,
            .options = {export_options, sizeof export_options / sizeof *export_options},
            .about = "The folder loads in transformers (AutoModelForCausalLM.from_pretrained)."},
    .own_size = sizeof(export_flags),
    .run = export_run,
};
