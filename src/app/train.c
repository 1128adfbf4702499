/* espalier train: DPO (and its kin) on preferences from a file. */
#include "app/out_folder.h"
#include "base/clock.h"
#include "app/output.h"
#include "app/policy.h"
#include "app/progress.h"
#include "app/stop.h"
#include "app/verbs.h"
#include "base/file.h"
#include "learn/pairs.h"
#include "recipe/recipe_parts.h"
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
     .help = "rows in a seeded order, another each epoch; otherwise as they stand in the file"},
    {.flag = "--eos",
     .type = OPTION_BOOL,
     .initial = "true",
     .offset = offsetof(train_flags, eos),
     .help = "the end-of-sequence token behind chosen and rejected texts"},
    {.flag = "--smoothing-cap", .key = "search.smoothing_cap"},
    {.flag = "--threads", .key = "run.threads"},
    {.flag = "--seed", .key = "run.seed"},
};

/* One training at work. */
typedef struct {
    const recipe *recipe;
    const train_flags *flags;
    policy policy;
    pairs_file pairs;
    trainer *trainer;
    loss_options loss;
    schedule schedule;
    int64_t steps;
    int64_t *order; /* of the rows in this epoch */
    preference_row *batch;
    progress *progress;
} training;

/* ---- settings ---- */

/* Said before anything is loaded: weights, masters, gradients, both moments and a micro-batch's activations.
 */
static esp_status check_memory(const recipe *r, esp_error *error) {
    model_config config;
    ESP_TRY(model_read_config(&config, r->model.path, error));
    dtype act = r->model.dtype == RECIPE_F32 ? DTYPE_F32 : DTYPE_BF16;
    model_options options = {.trainable = true, .recompute = r->model.recompute};
    model_memory m = model_memory_plan(&config, act, &options, r->learn.tokens_per_microbatch, 0);
    return memory_check(m.weights + m.masters + m.optimizer + m.workspace, r->model.path, error);
}

static esp_status check_recipe(const recipe *r, esp_error *error) {
    if (!r->model.path[0])
        return error_set(error, ESP_USAGE, "give --model, or set model.path in the recipe",
                         "espalier train: no model is named");
    if (r->learn.loss == RECIPE_RFT)
        return error_set(error, ESP_USAGE, "choose dpo, ipo or dpop; espalier run does rft",
                         "espalier train: the loss rft learns from chains, not from pairs");
    return ESP_OK;
}

/* ---- references ---- */

/* Rows whose references are not in the file are scored under the starting weights. */
static esp_status score_references(training *t, esp_error *error) {
    MEM_LIST(preference_row) unknown = {0};
    for (int64_t i = 0; i < t->pairs.count; i++)
        if (isnan(t->pairs.rows[i].ref_chosen)) MEM_LIST_PUSH(&unknown, t->pairs.rows[i]);
    if (unknown.count == 0) return ESP_OK;
    enum { AT_ONCE = 64 };
    double *chosen = MEM_ARRAY(double, unknown.count), *rejected = MEM_ARRAY(double, unknown.count);
    progress *bar = progress_begin("reference log-probs", unknown.count, "pairs");
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < unknown.count && status == ESP_OK; i += AT_ONCE) {
        int64_t n = unknown.count - i < AT_ONCE ? unknown.count - i : AT_ONCE;
        status = stop_check(error);
        if (status == ESP_OK)
            status =
                score_preferences(t->policy.model, unknown.at + i, n, t->recipe->learn.tokens_per_microbatch,
                                  chosen + i, rejected + i, error);
        progress_step(bar, n);
    }
    progress_end(bar);
    for (int64_t i = 0, k = 0; i < t->pairs.count && status == ESP_OK; i++) {
        preference_row *row = &t->pairs.rows[i];
        if (!isnan(row->ref_chosen)) continue;
        row->ref_chosen = chosen[k];
        row->ref_rejected = rejected[k++];
    }
    mem_free(chosen);
    mem_free(rejected);
    MEM_LIST_FREE(&unknown);
    return status;
}

/* ---- updates ---- */

static int64_t batches_an_epoch(const training *t) {
    return (t->pairs.count + t->recipe->learn.batch - 1) / t->recipe->learn.batch;
}

/* The rows of update `step` into t->batch; returns how many. An epoch's last batch may be short. */
static int64_t take_batch(training *t, int64_t step) {
    int64_t n = t->pairs.count, per = batches_an_epoch(t), batch = t->recipe->learn.batch;
    if (step % per == 0) {
        for (int64_t i = 0; i < n; i++) t->order[i] = i;
        if (t->flags->shuffle)
            rng_shuffle(rng_mix(rng_key((uint64_t)t->recipe->run.seed), (uint64_t)(step / per)), t->order, n);
    }
    int64_t first = step % per * batch, count = n - first < batch ? n - first : batch;
    for (int64_t i = 0; i < count; i++) t->batch[i] = t->pairs.rows[t->order[first + i]];
    return count;
}

static esp_status print_step(const training *t, int64_t step, const batch_report *b, double grad_norm,
                             double seconds, double lr, esp_error *error) {
    (void)t;
    json_t *line = json_pack("{sI sI sf sf sI sI sf sf sf sf sf sf sf}", "step", (json_int_t)(step + 1),
                             "pairs", (json_int_t)b->rows, "loss", b->loss, "grad_norm", grad_norm, "tokens",
                             (json_int_t)b->tokens, "tokens_computed", (json_int_t)b->tokens_computed,
                             "seconds", seconds, "margin", b->margin, "accuracy", b->accuracy, "logp_chosen",
                             b->logp_chosen, "logp_rejected", b->logp_rejected, "kl", b->kl, "lr", lr);
    ESP_TRY(output_json(line, 12, error));
    return output_flush(error); /* each line as its update is done: others may follow the stream */
}

/* METHOD.md 5.5: both log-probs falling together is said in words. */
static void note_falling(training *t, int64_t count, const batch_report *b) {
    double chosen = b->logp_chosen, rejected = b->logp_rejected;
    for (int64_t i = 0; i < count; i++) {
        chosen -= t->batch[i].ref_chosen / (double)count;
        rejected -= t->batch[i].ref_rejected / (double)count;
    }
    if (chosen < -0.5 && rejected < -0.5)
        progress_note(
            t->progress,
            "the chosen steps became less likely too: log-prob %+.2f for chosen, %+.2f for rejected, "
            "against the reference",
            chosen, rejected);
}

static esp_status take_steps(training *t, esp_error *error) {
    for (int64_t step = 0; step < t->steps; step++) {
        ESP_TRY(stop_check(error));
        double began = clock_seconds(), grad_norm, lr = schedule_rate(&t->schedule, step);
        int64_t count = take_batch(t, step);
        batch_report report;
        ESP_TRY(trainer_add_preferences(t->trainer, t->batch, count, &t->loss, &report, error));
        ESP_TRY(trainer_update(t->trainer, lr, &grad_norm, error));
        ESP_TRY(print_step(t, step, &report, grad_norm, clock_seconds() - began, lr, error));
        progress_step(t->progress, 1);
        progress_status(t->progress, "loss %.4f", report.loss);
        if (step + 1 == t->steps) note_falling(t, count, &report);
    }
    return ESP_OK;
}

/* Whether the model's folder has no tokenizer: rows of ids need none. */
static bool without_tokenizer(const policy *p) {
    char *json = path_join(p->path, "tokenizer.json"), *packed = path_join(p->path, "tokenizer.json.gz");
    bool without = file_is_folder(p->path) && !file_exists(json) && !file_exists(packed);
    mem_free(json);
    mem_free(packed);
    return without;
}

/* Reads the pairs; those over learn.max_length are left out and counted. */
static esp_status read_pairs(training *t, esp_error *error) {
    const recipe *r = t->recipe;
    if (!without_tokenizer(&t->policy)) ESP_TRY(policy_need_tokenizer(&t->policy, error));
    const tokenizer *tokens = t->policy.tokenizer;
    chat_kind chat = CHAT_PLAIN;
    if (tokens && r->model.chat_template == RECIPE_TEMPLATE_AUTO)
        (void)chat_template_detect(tokenizer_chat_template(tokens), &chat,
                                   NULL); /* only the end token asks */
    else if (r->model.chat_template == RECIPE_CHATML)
        chat = CHAT_CHATML;
    int32_t end = tokens ? chat_end_token(chat, tokens) : -1;
    pairs_read_options options = {.tokenizer = tokens,
                                  .vocab = model_configuration(t->policy.model)->vocab,
                                  .smoothing_cap = r->search.smoothing_cap,
                                  .append_end = t->flags->eos && end >= 0,
                                  .end = end,
                                  .max_length = model_context(t->policy.model)};
    ESP_TRY(pairs_read(&t->pairs, t->flags->pairs, &options, error));
    int64_t kept = 0;
    for (int64_t i = 0; i < t->pairs.count; i++) {
        const preference_row *row = &t->pairs.rows[i];
        int64_t tail = row->chosen_count > row->rejected_count ? row->chosen_count : row->rejected_count;
        if (row->prefix_count + tail <= r->learn.max_length) t->pairs.rows[kept++] = *row;
    }
    int64_t left_out = t->pairs.count - kept;
    t->pairs.count = kept;
    if (kept == 0)
        return error_fail(error, "raise --max-length", "%s: all %lld pairs are longer than %lld tokens",
                          t->flags->pairs, (long long)left_out, (long long)r->learn.max_length);
    if (left_out)
        progress_note(NULL, "%lld pairs longer than %lld tokens are left out", (long long)left_out,
                      (long long)r->learn.max_length);
    return ESP_OK;
}

static esp_status train_all(training *t, esp_error *error) {
    const recipe *r = t->recipe;
    ESP_TRY(read_pairs(t, error));
    ESP_TRY(score_references(t, error));
    t->steps = r->learn.steps ? r->learn.steps : r->learn.epochs * batches_an_epoch(t);
    t->schedule = recipe_learn_schedule(r, t->steps);
    ESP_TRY(schedule_check(&t->schedule, error));
    trainer_settings settings = recipe_learn_settings(r);
    ESP_TRY(trainer_new(&t->trainer, t->policy.model, &settings, error));
    t->loss = recipe_loss_options(r);
    t->order = MEM_ARRAY(int64_t, t->pairs.count);
    t->batch = MEM_ARRAY(preference_row, r->learn.batch < t->pairs.count ? r->learn.batch : t->pairs.count);
    if (!isatty(STDOUT_FILENO)) t->progress = progress_begin("train", t->steps, "updates");
    esp_status status = take_steps(t, error);
    if (t->progress) progress_end(t->progress);
    return status == ESP_OK ? trainer_show_average(t->trainer, error) : status;
}

static esp_status save(training *t, const char *folder, esp_error *error) {
    ESP_TRY(model_save(t->policy.model, folder, t->flags->out_dtype ? DTYPE_BF16 : DTYPE_F32, error));
    if (!t->policy.tokenizer) {
        progress_note(NULL, "%s has no tokenizer: %s is written without one", t->policy.path, t->flags->out);
        return ESP_OK;
    }
    return tokenizer_save(t->policy.tokenizer, folder, error);
}

static esp_status train_into(training *t, out_folder *out, esp_error *error) {
    const recipe *r = t->recipe;
    policy_flags flags = {.model = r->model.path,
                          .dtype = r->model.dtype == RECIPE_F32,
                          .compute = r->model.compute == RECIPE_REF,
                          .threads = r->run.threads,
                          .context = r->model.context,
                          .recompute = r->model.recompute};
    ESP_TRY(check_memory(r, error));
    ESP_TRY(policy_open(&t->policy, &flags, true, error));
    ESP_TRY(train_all(t, error));
    ESP_TRY(out->aside ? save(t, out->aside, error) : ESP_OK);
    return stop_check(error);
}

/* Without a recipe this is plain DPO (METHOD.md 5.2), the table's initial values: what the default preset
 * puts in their place comes from trees, which a file of pairs has not. Flags and --set stand above. */
static esp_status load_recipe(recipe **out, const cli_arguments *arguments, esp_error *error) {
    MEM_LIST(recipe_override) all = {0};
    const recipe_preset_value *preset = recipe_learn_preset(RECIPE_DEFAULT);
    bool file = arguments->positional_count > 0;
    arena *memory = arena_new();
    option_table table = recipe_options(memory);
    for (; !file && preset->key; preset++) {
        const option *o = option_by_key(table, preset->key);
        MEM_LIST_PUSH(&all, ((recipe_override){o->key, o->initial, "train"}));
    }
    for (int i = 0; i < arguments->override_count; i++) MEM_LIST_PUSH(&all, arguments->overrides[i]);
    esp_status status =
        recipe_load(out, file ? arguments->positionals[0] : NULL, all.at, (int)all.count, error);
    MEM_LIST_FREE(&all);
    arena_free(memory);
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
    policy_close(&t.policy);
    mem_free(t.order);
    mem_free(t.batch);
    recipe_free(r);
    return status;
}

const app_verb verb_train = {
    .cli = {.name = "train",
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
                "line an update. --steps N takes N updates, going round the rows as often as needed; without "
                "it\n"
                "there are --set learn.epochs passes."},
    .own_size = sizeof(train_flags),
    .run = train_run,
};
