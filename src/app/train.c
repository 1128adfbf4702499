/* espalier train: preference learning from a file. */
#include "app/observe.h"
#include "app/out_folder.h"
#include "app/output.h"
#include "app/loaded_model.h"
#include "app/progress.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "base/file.h"
#include "formats/json.h"
#include "learn/pairs.h"
#include "loop/learn_file.h"
#include "recipe/convert.h"

#include <string.h>
#include <unistd.h>

typedef struct {
    char *pairs, *out;
    int out_dtype; /* 0 f32, 1 bf16 */
    bool shuffle, eos;
    int boundary; /* pairs_boundary */
} train_flags;

static const option train_options[] = {
    {.flag = "--pairs",
     .type = OPTION_PATH,
     .marks = OPTION_REQUIRED,
     .offset = offsetof(train_flags, pairs),
     .help = "preferences: JSONL, plain or .gz; - is standard input"},
    {.flag = "--out",
     .type = OPTION_PATH,
     .offset = offsetof(train_flags, out),
     .help = "folder for the trained model, in Hugging Face layout"},
    {.flag = "--out-dtype",
     .type = OPTION_ENUM,
     .choices = "f32|bf16",
     .initial = "f32",
     .offset = offsetof(train_flags, out_dtype),
     .help = "numbers that --out is written in"},
    {.flag = "--shuffle",
     .type = OPTION_BOOL,
     .offset = offsetof(train_flags, shuffle),
     .help = "rows in a seeded order, another each epoch; otherwise as in the file"},
    {.flag = "--eos",
     .type = OPTION_BOOL,
     .initial = "true",
     .offset = offsetof(train_flags, eos),
     .help = "the end-of-sequence token after chosen and rejected texts that end"},
    {.flag = "--boundary",
     .type = OPTION_ENUM,
     .choices = PAIRS_BOUNDARY_CHOICES,
     .initial = "auto",
     .offset = offsetof(train_flags, boundary),
     .help = "prompt and completion are tokenized as two texts, as one (TRL), or as one unless a token would "
             "span both (auto)"},
    {.flag = "--smoothing-cap", .key = "search.smoothing_cap"},
    {.flag = "--threads", .key = "run.threads"},
    {.flag = "--seed", .key = "run.seed"},
};

/* ---- settings ---- */

/* Said before anything is loaded: weights, masters, gradients, both moments and a micro-batch's activations.
 */
static esp_status check_memory(const recipe *r, esp_error *error) {
    model_config config;
    ESP_TRY(model_read_config(&config, r->model.path, error));
    dtype act = recipe_activations(r);
    model_options options = {.trainable = true, .recompute = r->model.recompute};
    model_memory m = model_memory_plan(&config, act, &options, r->learn.tokens_per_microbatch, 0);
    return memory_check(m.weights + m.masters + m.optimizer + m.workspace, r->model.path, error);
}

static esp_status check_recipe(const recipe *r, esp_error *error) {
    if (!r->model.path[0])
        return error_set(error, ESP_USAGE, "give --model, or set model.path in the recipe",
                         "espalier train: no model is named");
    if (recipe_objective(r)->source != LEARNS_FROM_PAIRS)
        return error_set(error, ESP_USAGE,
                         "choose a loss on pairs, such as dpo; espalier run does the others",
                         "espalier train: the loss %s learns from a run's trees, not from pairs",
                         recipe_objective(r)->name);
    return ESP_OK;
}

/* ---- what is printed ---- */

static esp_status print_update(void *context, const update_report *u, esp_error *error) {
    (void)context;
    const learn_report *b = &u->batch;
    json_t *line =
        json_pack("{sI sI sf sf sI sI sf}", "step", (json_int_t)u->update, "pairs", (json_int_t)b->rows,
                  "loss", b->loss, "grad_norm", u->grad_norm, "tokens", (json_int_t)b->tokens,
                  "tokens_computed", (json_int_t)b->tokens_computed, "seconds", u->seconds);
    for (int i = 0; i < b->metric_count; i++)
        json_object_set_new(line, b->metrics[i].name, json_real_or_null(b->metrics[i].value));
    json_object_set_new(line, "lr", json_real(u->rate));
    ESP_TRY(output_json(line, 12, error));
    return output_flush(error); /* each line as its update is done: others may follow the stream */
}

/* The lines of a terminal tell of each update by themselves: no bar beside them. */
static void begin(void *context, const char *title, int64_t total, const char *unit) {
    bool printed = strcmp(unit, "updates") == 0 && isatty(STDOUT_FILENO);
    observer o = observe(context);
    if (!printed) o.begin(o.context, title, total, unit);
}

/* ---- the work ---- */

/* Whether the model's folder has no tokenizer: rows of ids need none. */
static bool without_tokenizer(const loaded_model *m) {
    char *json = path_join(m->path, "tokenizer.json"), *packed = path_join(m->path, "tokenizer.json.gz");
    bool without = file_is_folder(m->path) && !file_exists(json) && !file_exists(packed);
    mem_free(json);
    mem_free(packed);
    return without;
}

static esp_status save(const loaded_model *m, const train_flags *own, const char *folder, esp_error *error) {
    ESP_TRY(model_save(m->model, folder, own->out_dtype ? DTYPE_BF16 : DTYPE_F32, error));
    if (!m->tokenizer) {
        progress_note(NULL, "%s has no tokenizer: %s is written without one", m->path, own->out);
        return ESP_OK;
    }
    return tokenizer_save(m->tokenizer, folder, error);
}

static esp_status learn(const recipe *r, const train_flags *own, loaded_model *m, esp_error *error) {
    observe_context context = {0};
    learn_file_job job = {.recipe = r,
                          .model = m->model,
                          .path = own->pairs,
                          .shuffle = own->shuffle,
                          .append_end = own->eos,
                          .boundary = (pairs_boundary)own->boundary,
                          .observer = observe(&context),
                          .stop = stop_flag(),
                          .updated = print_update};
    if (!without_tokenizer(m)) ESP_TRY(loaded_model_need_tokenizer(m, error));
    job.tokenizer = m->tokenizer;
    job.observer.begin = begin;
    esp_status status = learn_file(&job, error);
    observe_end(&context);
    return status == ESP_INTERRUPTED ? stop_check(error) : status;
}

static esp_status train_into(const recipe *r, const train_flags *own, loaded_model *m, out_folder *out,
                             esp_error *error) {
    model_flags flags = {.model = r->model.path,
                         .dtype = r->model.dtype == RECIPE_F32,
                         .compute = r->model.compute,
                         .threads = r->run.threads,
                         .context = r->model.context,
                         .recompute = r->model.recompute};
    ESP_TRY(check_memory(r, error));
    ESP_TRY(loaded_model_open(m, &flags, true, error));
    ESP_TRY(learn(r, own, m, error));
    ESP_TRY(out->aside ? save(m, own, out->aside, error) : ESP_OK);
    return stop_check(error);
}

/* Without a recipe the preset plain-dpo: what the default learns from, trees, a file of pairs has not. */
static esp_status load_recipe(recipe **out, const cli_arguments *arguments, esp_error *error) {
    if (arguments->positional_count > 0)
        return recipe_load(out, arguments->positionals[0], arguments->overrides, arguments->override_count,
                           error);
    MEM_LIST(recipe_override) all = {0};
    MEM_LIST_PUSH(&all, ((recipe_override){"learn.preset", "plain-dpo", "train"}));
    for (int i = 0; i < arguments->override_count; i++) MEM_LIST_PUSH(&all, arguments->overrides[i]);
    esp_status status = recipe_load(out, NULL, all.at, (int)all.count, error);
    MEM_LIST_FREE(&all);
    return status;
}

static esp_status train_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const train_flags *flags = own;
    recipe *r;
    loaded_model m = {0};
    out_folder out = {0};
    ESP_TRY(load_recipe(&r, arguments, error));
    stop_install();
    esp_status status = check_recipe(r, error);
    if (status == ESP_OK && flags->out[0]) status = out_folder_begin(&out, flags->out, error);
    if (status == ESP_OK) status = train_into(r, flags, &m, &out, error);
    if (status == ESP_OK && out.aside)
        status = out_folder_end(&out, error);
    else
        out_folder_abort(&out);
    loaded_model_close(&m);
    recipe_free(r);
    return status;
}

const app_verb verb_train = {
    .cli =
        {.name = "train",
         .summary = "DPO on preferences from a file",
         .positionals = "[RECIPE.yaml]",
         .most = 1,
         .options = {train_options, sizeof train_options / sizeof *train_options},
         .recipe_groups = "learn model",
         .about =
             "Rows are {\"prompt\", \"chosen\", \"rejected\"}, texts or lists of messages with \"role\" and\n"
             "\"content\", or {\"prompt_ids\", \"chosen_ids\", \"rejected_ids\"}. The prompt may also be at "
             "the\n"
             "beginning of both completions. Optional are \"ref_logp_chosen\", \"ref_logp_rejected\" (else "
             "the\n"
             "starting weights are the reference), \"n_chosen\", \"n_rejected\" (visits: label smoothing) "
             "and\n"
             "\"continues\": true where no end-of-sequence follows; a text that ends in a control token or "
             "a\n"
             "line break gets none either, and messages end in their end of turn. Pairs that are too long "
             "or\n"
             "whose completions are the same are left out and counted. docs/formats.md has it all.\n"
             "Rows with a common beginning are packed into trees and computed once. Prints a JSON line per\n"
             "update. --steps N takes N updates, going round the rows as often as needed; without it there\n"
             "are --set learn.epochs passes."},
    .own_size = sizeof(train_flags),
    .run = train_run,
};
