#include "recipe/session.h"

#include "base/file.h"
#include "model/adapter_file.h"
#include "recipe/convert.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

esp_status recipe_open_chat(const recipe *r, const tokenizer *t, chat **out, esp_error *error) {
    chat_choice choice = {.name = r->model.chat_template,
                          .head = r->model.chat_head,
                          .tail = r->model.chat_tail,
                          .options = r->model.chat_options,
                          .date = r->model.chat_date};
    return chat_open(out, &choice, t, error);
}

/* A policy out of a run's checkpoints must be as the run wrote it. */
static esp_status check_model(const session *s, esp_error *error) {
    bool known;
    ESP_TRY(store_check_model(s->recipe->model.path, &known, error));
    if (!known)
        observer_note(&s->observer,
                      "%s: was written without sums by an earlier version: whether it has changed since is "
                      "not known",
                      s->recipe->model.path);
    return ESP_OK;
}

static esp_status open_grader(session *s, esp_error *error) {
    grader_settings set = grader_settings_of(&s->recipe->task.grading);
    set.stop = s->stop;
    return set.kind == GRADER_TASK ? ESP_OK : grader_open(&s->grader, &set, error);
}

static esp_status check_adapter(const recipe *r, esp_error *error) {
    adapter_config adapter;
    ESP_TRY(recipe_adapter(r, &adapter, error));
    if (adapter.rank == 0 || r->model.init == RECIPE_INIT_FILE) return ESP_OK;
    return error_fail(error, "train all weights first (adapter.rank 0), then an adapter over the result",
                      "model.init is random: an adapter is trained over weights that are in a file");
}

esp_status session_open(session *out, const recipe *r, const observer *observer,
                        const volatile sig_atomic_t *stop, esp_error *error) {
    *out = (session){.recipe = r, .stop = stop};
    if (observer) out->observer = *observer;
    if (!r->model.path || !r->model.path[0]) {
        error_set(error, ESP_USAGE, "set model.path", "no model is named");
        return error_about(error, ESP_REASON_UNSET, "model.path");
    }
    ESP_TRY(check_adapter(r, error));
    ESP_TRY(check_model(out, error));
    ESP_TRY(task_new(&out->task, &r->task, error));
    esp_status status = adapter_tokenizer_open(&out->tokenizer, r->model.path, error);
    if (status == ESP_OK) status = recipe_open_chat(r, out->tokenizer, &out->chat, error);
    if (status == ESP_OK) status = prompt_words_new(&out->words, out->tokenizer, out->task, out->chat, error);
    if (status == ESP_OK)
        status = compute_new(&out->compute, compute_kind(r->model.compute), recipe_activations(r),
                             (int)r->run.threads, error);
    if (status == ESP_OK) status = open_grader(out, error);
    if (status != ESP_OK) session_close(out);
    return status;
}

static void limit(problem_set *set, int64_t most) {
    if (most > 0 && set->count > most) set->count = most;
}

static esp_status read_set(session *s, const char *path, int64_t most, problem_set *out, esp_error *error) {
    if (!path || !path[0]) return ESP_OK;
    ESP_TRY(task_read(s->task, path, out, error));
    limit(out, most);
    return ESP_OK;
}

/* Sets the last problems of train apart as dev, where the recipe asks for it and names no dev file. */
static esp_status split_dev(session *s, esp_error *error) {
    const recipe *r = s->recipe;
    int64_t n = r->data.dev_from_train;
    if (n == 0 || (r->data.dev && r->data.dev[0])) return ESP_OK;
    if (n >= s->train.count)
        return error_fail(error, "lower data.dev_from_train", "%s: %lld problems are to be set apart of %lld",
                          r->data.train, (long long)n, (long long)s->train.count);
    s->train.count -= n;
    s->dev = (problem_set){.at = s->train.at + s->train.count,
                           .count = n,
                           .source = s->train.source}; /* borrowed: memory stays NULL */
    limit(&s->dev, r->data.dev_limit);
    return ESP_OK;
}

esp_status session_read_problems(session *s, bool train, bool evaluation, esp_error *error) {
    const recipe *r = s->recipe;
    bool from_train = evaluation && r->eval.set == RECIPE_SET_DEV && (!r->data.dev || !r->data.dev[0]);
    if (train || from_train) {
        ESP_TRY(read_set(s, r->data.train, 0, &s->train, error));
        ESP_TRY(split_dev(s, error));
        limit(&s->train, r->data.train_limit);
        if (s->train.count == 0) {
            error_set(error, ESP_USAGE, "set data.train", "no training problems are named");
            return error_about(error, ESP_REASON_UNSET, "data.train");
        }
        if (r->sft.epochs > 0) ESP_TRY(read_set(s, r->data.sft, 0, &s->sft, error));
    }
    if (evaluation && !from_train) {
        ESP_TRY(read_set(s, r->data.test, r->data.test_limit, &s->test, error));
        ESP_TRY(read_set(s, r->data.dev, r->data.dev_limit, &s->dev, error));
    }
    return ESP_OK;
}

void session_close(session *s) {
    if (s->dev.memory) problem_set_free(&s->dev);
    if (s->sft.memory) problem_set_free(&s->sft);
    if (s->train.memory) problem_set_free(&s->train);
    if (s->test.memory) problem_set_free(&s->test);
    grader_close(s->grader);
    prompt_words_free(s->words);
    chat_free(s->chat);
    tokenizer_close(s->tokenizer);
    compute_free(s->compute);
    task_free(s->task);
    *s = (session){0};
}

bool session_stopped(const session *s) {
    return s->stop && *s->stop;
}

esp_status session_open_model(session *s, const char *path, bool trainable, model **out, esp_error *error) {
    const recipe *r = s->recipe;
    adapter_config adapter;
    ESP_TRY(recipe_adapter(r, &adapter, error));
    model_options options = {.adapter = &adapter,
                             .adapter_seed = (uint64_t)r->run.seed,
                             .compute = s->compute,
                             .trainable = trainable,
                             .recompute = r->model.recompute,
                             .context = r->model.context};
    if (path || r->model.init == RECIPE_INIT_FILE)
        return model_open(out, path ? path : r->model.path, &options, error);
    model_config config;
    ESP_TRY(model_read_config(&config, r->model.path, error));
    return model_create(out, &config, &options, (uint64_t)r->run.seed, error);
}

esp_status session_open_judge(session *s, const char *path, model **out, esp_error *error) {
    char *folder = path_join(path ? path : s->recipe->model.path, JUDGE_FOLDER);
    *out = NULL;
    esp_status status = file_is_folder(folder) ? session_open_model(s, folder, false, out, error) : ESP_OK;
    mem_free(folder);
    return status;
}

enum { USUAL_WINDOW = 2 };

int64_t session_window(const session *s, const model *m) {
    if (s->recipe->run.window) return s->recipe->run.window;
    return s->compute->traits.rows_alone && model_replica_limit(m) == 1 ? USUAL_WINDOW : 1;
}

lm_settings recipe_lm_settings(const recipe *r) {
    /* Room for every tree in flight to hold its prompts and a few hundred steps' tokens; trees wait when it
     * is short. A function of the recipe alone, so that a run does not depend on what else the machine was
     * doing. */
    int64_t in_flight = r->run.wave * (r->run.window ? r->run.window : USUAL_WINDOW);
    int64_t trees = in_flight < 32 ? in_flight : 32, kv_tokens = trees * 2048;
    answer_worth worth;
    recipe_answer_worth(r, &worth);
    return (lm_settings){.temperature = (float)r->search.temperature,
                         .worth = worth,
                         .step_size = r->search.step,
                         .max_step_tokens = (int32_t)r->search.max_step_tokens,
                         .max_chain_tokens = (int32_t)r->search.max_chain_tokens,
                         .example = r->self_eval.example == RECIPE_EXAMPLE_GOLD,
                         .kv_tokens = kv_tokens < 16384 ? 16384 : kv_tokens};
}

lm_settings session_lm_settings(const session *s) {
    lm_settings set = recipe_lm_settings(s->recipe);
    set.stop = s->stop;
    set.grader = s->grader;
    return set;
}
