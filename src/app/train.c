/* espalier train: preference learning from a file. */
#include "app/out_folder.h"
#include "app/output.h"
#include "app/loaded_model.h"
#include "app/progress.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "base/file.h"
#include "formats/json.h"
#include "learn/pairs.h"
#include "learn/update_loop.h"
#include "recipe/convert.h"
#include "text/chat.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    char *pairs, *out;
    int out_dtype; /* 0 f32, 1 bf16 */
    bool shuffle, eos;
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
     .help = "the end-of-sequence token after chosen and rejected texts"},
    {.flag = "--smoothing-cap", .key = "search.smoothing_cap"},
    {.flag = "--threads", .key = "run.threads"},
    {.flag = "--seed", .key = "run.seed"},
};

/* One training at work. */
typedef struct {
    const recipe *recipe;
    const train_flags *flags;
    loaded_model loaded;
    pairs_file pairs;
    recipe_terms terms;
    example_list examples;
    batches *batches;
    trainer *trainer;
    schedule schedule;
    int64_t updates;
    progress *progress;
} training;

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
    if (recipe_objective(r)->paths != 2)
        return error_set(
            error, ESP_USAGE, "choose a loss on pairs, such as dpo; espalier run does the others",
            "espalier train: the loss %s learns from chains, not from pairs", recipe_objective(r)->name);
    return ESP_OK;
}

/* ---- references ---- */

static esp_status scored(void *context, int64_t done, esp_error *error) {
    training *t = context;
    progress_set(t->progress, done);
    return stop_check(error);
}

/* Rows whose references are not in the file are scored under the starting weights. */
static esp_status score_references(training *t, esp_error *error) {
    int64_t unknown = examples_without_reference(t->pairs.at, t->pairs.count);
    if (unknown == 0) return ESP_OK;
    t->progress = progress_begin("reference log-probs", unknown, "pairs");
    esp_status status = examples_set_references(t->loaded.model, t->pairs.at, t->pairs.count,
                                                t->recipe->learn.tokens_per_microbatch, scored, t, error);
    progress_end(t->progress);
    t->progress = NULL;
    return status;
}

/* ---- updates ---- */

static double rate_of(const void *context, int64_t update) {
    const training *t = context;
    return schedule_rate(&t->schedule, update);
}

static esp_status print_update(const update_report *u, esp_error *error) {
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

/* docs/method.md 5.5: when both log-probs fall together, it is said in words. */
static void note_falling(training *t, const update_report *u) {
    int64_t n, pairs = 0;
    const example *batch = batches_take(t->batches, u->update - 1, &n);
    double chosen = 0, rejected = 0;
    for (int64_t i = 0; i < n; i++) {
        if (batch[i].same_row) continue;
        chosen += batch[i].path[0].reference;
        rejected += batch[i].path[1].reference;
        pairs++;
    }
    chosen = learn_report_metric(&u->batch, "logp_chosen") - chosen / (double)pairs;
    rejected = learn_report_metric(&u->batch, "logp_rejected") - rejected / (double)pairs;
    if (chosen < -0.5 && rejected < -0.5)
        progress_note(
            t->progress,
            "the chosen steps became less likely too: log-prob %+.2f for chosen, %+.2f for rejected, "
            "against the reference",
            chosen, rejected);
}

static esp_status updated(void *context, const update_report *u, esp_error *error) {
    training *t = context;
    ESP_TRY(print_update(u, error));
    progress_step(t->progress, 1);
    progress_status(t->progress, "loss %.4f", u->batch.loss);
    if (u->update < t->updates) return stop_check(error);
    note_falling(t, u);
    return ESP_OK;
}

/* Whether the model's folder has no tokenizer: rows of ids need none. */
static bool without_tokenizer(const loaded_model *p) {
    char *json = path_join(p->path, "tokenizer.json"), *packed = path_join(p->path, "tokenizer.json.gz");
    bool without = file_is_folder(p->path) && !file_exists(json) && !file_exists(packed);
    mem_free(json);
    mem_free(packed);
    return without;
}

/* Reads the pairs; those over learn.max_length are left out and counted. */
static esp_status read_pairs(training *t, esp_error *error) {
    const recipe *r = t->recipe;
    if (!without_tokenizer(&t->loaded)) ESP_TRY(loaded_model_need_tokenizer(&t->loaded, error));
    const tokenizer *tokens = t->loaded.tokenizer;
    chat_kind chat = CHAT_PLAIN;
    if (r->model.chat_template > 0)
        chat = (chat_kind)(r->model.chat_template - 1);
    else if (tokens)
        (void)chat_template_detect(tokenizer_chat_template(tokens), &chat,
                                   NULL); /* only the end token asks */
    int32_t end = tokens ? chat_end_token(chat, tokens) : -1;
    pairs_read_options options = {.tokenizer = tokens,
                                  .vocab = model_configuration(t->loaded.model)->vocab,
                                  .smoothing_cap = r->search.harvest.smoothing_cap,
                                  .append_end = t->flags->eos && end >= 0,
                                  .end = end,
                                  .context = model_context(t->loaded.model),
                                  .max_length = r->learn.max_length,
                                  .term = &t->terms.loss};
    ESP_TRY(pairs_read(&t->pairs, t->flags->pairs, &options, error));
    if (t->pairs.too_long)
        progress_note(NULL, "%lld pairs longer than %lld tokens are left out", (long long)t->pairs.too_long,
                      (long long)r->learn.max_length);
    return ESP_OK;
}

static void make_batches(training *t) {
    const recipe *r = t->recipe;
    const objective_term *likelihood = t->terms.likelihood.weight > 0 ? &t->terms.likelihood : NULL;
    for (int64_t i = 0; i < t->pairs.count; i++)
        example_list_add_pair(&t->examples, &t->pairs.at[i], likelihood);
    t->batches = batches_new(t->examples.at, t->examples.count,
                             &(batches_options){.batch = r->learn.batch,
                                                .shuffle = t->flags->shuffle,
                                                .key = rng_key((uint64_t)r->run.seed)});
    t->updates = r->learn.steps ? r->learn.steps : r->learn.epochs * batches_per_epoch(t->batches);
}

static esp_status train_all(training *t, esp_error *error) {
    const recipe *r = t->recipe;
    recipe_terms_read(r, false, &t->terms);
    ESP_TRY(read_pairs(t, error));
    ESP_TRY(score_references(t, error));
    make_batches(t);
    t->schedule = recipe_learn_schedule(r, t->updates);
    ESP_TRY(schedule_check(&t->schedule, error));
    trainer_settings settings = recipe_learn_settings(r);
    ESP_TRY(trainer_new(&t->trainer, t->loaded.model, &settings, error));
    if (!isatty(STDOUT_FILENO)) t->progress = progress_begin("train", t->updates, "updates");
    updates_plan plan = {
        .batches = t->batches, .count = t->updates, .rate = rate_of, .done = updated, .context = t};
    esp_status status = updates_make(t->trainer, &plan, error);
    if (t->progress) progress_end(t->progress);
    return status == ESP_OK ? trainer_show_average(t->trainer, error) : status;
}

static esp_status save(training *t, const char *folder, esp_error *error) {
    ESP_TRY(model_save(t->loaded.model, folder, t->flags->out_dtype ? DTYPE_BF16 : DTYPE_F32, error));
    if (!t->loaded.tokenizer) {
        progress_note(NULL, "%s has no tokenizer: %s is written without one", t->loaded.path, t->flags->out);
        return ESP_OK;
    }
    return tokenizer_save(t->loaded.tokenizer, folder, error);
}

static esp_status train_into(training *t, out_folder *out, esp_error *error) {
    const recipe *r = t->recipe;
    model_flags flags = {.model = r->model.path,
                         .dtype = r->model.dtype == RECIPE_F32,
                         .compute = r->model.compute == RECIPE_REF,
                         .threads = r->run.threads,
                         .context = r->model.context,
                         .recompute = r->model.recompute};
    ESP_TRY(check_memory(r, error));
    ESP_TRY(loaded_model_open(&t->loaded, &flags, true, error));
    ESP_TRY(train_all(t, error));
    ESP_TRY(out->aside ? save(t, out->aside, error) : ESP_OK);
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
    training t = {.flags = own};
    recipe *r;
    out_folder out = {0};
    ESP_TRY(load_recipe(&r, arguments, error));
    t.recipe = r;
    stop_install();
    esp_status status = check_recipe(r, error);
    if (status == ESP_OK && t.flags->out[0]) status = out_folder_begin(&out, t.flags->out, error);
    if (status == ESP_OK) status = train_into(&t, &out, error);
    if (status == ESP_OK && out.aside)
        status = out_folder_end(&out, error);
    else
        out_folder_abort(&out);
    trainer_free(t.trainer);
    if (t.pairs.memory) pairs_file_free(&t.pairs);
    loaded_model_close(&t.loaded);
    batches_free(t.batches);
    MEM_LIST_FREE(&t.examples);
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
             "Rows are {\"prompt\", \"chosen\", \"rejected\"} (texts) or {\"prompt_ids\",\n"
             "\"chosen_ids\", \"rejected_ids\"}, with optional \"ref_logp_chosen\", \"ref_logp_rejected\" "
             "(else\n"
             "the starting weights are the reference) and \"n_chosen\", \"n_rejected\" (visits: label\n"
             "smoothing). Rows with a common beginning are packed into trees and computed once. Prints a "
             "JSON\n"
             "line per update. --steps N takes N updates, going round the rows as often as needed; without "
             "it\n"
             "there are --set learn.epochs passes."},
    .own_size = sizeof(train_flags),
    .run = train_run,
};
