/* The public interface, include/espalier.h, over the rooms below: models, text, log-probs, generation,
 * grading and the loss. The loop is in library_run.c. */
#include "api/usage.h"
#include "engine/samples.h"
#include "learn/objective.h"
#include "model/adapter_file.h"
#include "model/model.h"
#include "prompt/prompt.h"
#include "store/store.h"
#include "task/task.h"

#include <string.h>

struct esp_model {
    compute *compute;
    model *model;
    tokenizer *tokenizer;      /* NULL: tokenizer_error says why */
    esp_error tokenizer_error; /* kept for the calls that need a tokenizer */
    esp_chat chat_template;
};

void esp_free(void *p) {
    mem_free(p);
}

/* ---- Models ---- */

static esp_status check_options(const esp_model_options *o, esp_error *error) {
    if (o->dtype > ESP_F32) return usage(error, "esp_model_open", "dtype is none of esp_dtype");
    if (!compute_kind((int)o->compute))
        return usage(error, "esp_model_open", "compute is none of esp_compute");
    if (o->chat_template > ESP_CHAT_MISTRAL)
        return usage(error, "esp_model_open", "chat_template is none of esp_chat");
    if (o->context < 0) return usage(error, "esp_model_open", "context is negative");
    return ESP_OK;
}

esp_status esp_model_open(esp_model **out, const char *path, const esp_model_options *options,
                          esp_error *error) {
    if (!out) return usage(error, "esp_model_open", "out is NULL");
    *out = NULL;
    if (!path) return usage(error, "esp_model_open", "path is NULL");
    esp_model_options o = options ? *options : (esp_model_options){0};
    bool known;
    ESP_TRY(check_options(&o, error));
    ESP_TRY(store_check_model(path, &known, error));
    esp_model *m = MEM_NEW(esp_model);
    m->chat_template = o.chat_template;
    esp_status status = compute_new(&m->compute, compute_kind((int)o.compute),
                                    o.dtype == ESP_F32 ? DTYPE_F32 : DTYPE_BF16, o.threads, error);
    model_options inner = {.compute = m->compute, .context = o.context};
    if (status == ESP_OK) status = model_open(&m->model, path, &inner, error);
    if (status != ESP_OK) {
        esp_model_close(m);
        return status;
    }
    if (adapter_tokenizer_open(&m->tokenizer, path, &m->tokenizer_error) != ESP_OK) m->tokenizer = NULL;
    *out = m;
    return ESP_OK;
}

void esp_model_close(esp_model *model) {
    if (!model) return;
    tokenizer_close(model->tokenizer);
    model_free(model->model);
    compute_free(model->compute);
    mem_free(model);
}

esp_model_info esp_model_describe(const esp_model *model) {
    const tokenizer *t = model->tokenizer;
    return (esp_model_info){.parameters = model_weight_count(model->model),
                            .context = model_context(model->model),
                            .vocabulary = (int32_t)model_configuration(model->model)->vocab,
                            .bos = t ? tokenizer_bos(t) : -1,
                            .eos = t ? tokenizer_eos(t) : -1,
                            .begins_with_bos = t && tokenizer_adds_bos(t)};
}

static esp_status need_tokenizer(const esp_model *m, esp_error *error) {
    if (m->tokenizer) return ESP_OK;
    if (error) *error = m->tokenizer_error;
    return m->tokenizer_error.code;
}

/* ---- Text ---- */

esp_status esp_tokenize(const esp_model *model, const char *text, size_t length, bool special, int32_t **ids,
                        size_t *n, esp_error *error) {
    if (!model || !ids || !n || (!text && length)) return usage(error, "esp_tokenize", "an argument is NULL");
    *ids = NULL;
    *n = 0;
    ESP_TRY(need_tokenizer(model, error));
    token_list list = {0};
    esp_status status = tokenizer_encode(model->tokenizer, text ? text : "", length, special, &list, error);
    if (status != ESP_OK || list.count == 0) {
        MEM_LIST_FREE(&list);
        return status;
    }
    *ids = list.at;
    *n = (size_t)list.count;
    return ESP_OK;
}

/* Hands the bytes of a buffer out, or frees them where the call failed. */
static esp_status give_text(esp_status status, text_buffer *from, char **text, size_t *length) {
    if (status != ESP_OK) {
        text_free(from);
        return status;
    }
    *text = from->at ? from->at : mem_strdup("");
    if (length) *length = from->length;
    return ESP_OK;
}

esp_status esp_detokenize(const esp_model *model, const int32_t *ids, size_t n, bool special, char **text,
                          size_t *length, esp_error *error) {
    if (!model || !text || (!ids && n)) return usage(error, "esp_detokenize", "an argument is NULL");
    *text = NULL;
    if (length) *length = 0;
    ESP_TRY(need_tokenizer(model, error));
    text_buffer out = {0};
    esp_status status = tokenizer_decode(model->tokenizer, ids, (int64_t)n, special, &out, error);
    return give_text(status, &out, text, length);
}

/* ---- Log-probs ---- */

esp_status esp_score(esp_model *model, const esp_token_tree *tree, float *logprobs, esp_error *error) {
    if (!model || !tree) return usage(error, "esp_score", "an argument is NULL");
    if (tree->runs < 0) return usage(error, "esp_score", "tree->runs is negative");
    if (tree->runs == 0) return ESP_OK;
    if (!tree->tokens || !tree->start || !tree->parent || !logprobs)
        return usage(error, "esp_score", "an argument is NULL");
    if (tree->start[0] != 0) return usage(error, "esp_score", "tree->start[0] is not 0");
    token_tree inner = {tree->runs, tree->tokens, tree->start, tree->parent};
    return model_forward(model->model, &inner, NULL, false, logprobs, error);
}

/* ---- Generation: one sample, keyed as the program's first ---- */

typedef struct {
    esp_model *model;
    esp_generate_options options;
    chat *chat;
    MEM_LIST(int32_t) ends;
    token_list prompt;
    int64_t room; /* tokens of the answer at most */
} generation;

static esp_status choose_chat(generation *g, esp_error *error) {
    static const char *const names[] = {[ESP_CHAT_AUTO] = "auto",
                                        [ESP_CHAT_PLAIN] = "plain",
                                        [ESP_CHAT_CHATML] = "chatml",
                                        [ESP_CHAT_LLAMA2] = "llama2",
                                        [ESP_CHAT_MISTRAL] = "mistral"};
    chat_choice choice = {.name = g->options.chat ? names[g->model->chat_template] : "plain"};
    return chat_open(&g->chat, &choice, g->model->tokenizer, error);
}

/* What ends the answer: the template's end, and the tokenizer's. */
static void choose_ends(generation *g) {
    int64_t n;
    const int32_t *ends = tokenizer_ends(g->model->tokenizer, &n);
    MEM_LIST_PUSH(&g->ends, chat_end_token(g->chat, g->model->tokenizer));
    MEM_LIST_APPEND(&g->ends, ends, n);
}

static esp_status encode_prompt(generation *g, const char *prompt, esp_error *error) {
    ESP_TRY(choose_chat(g, error));
    const model *m = g->model->model;
    prompt_form form = {.chat = g->chat, .system = g->options.chat ? g->options.system : "", .bos = true};
    ESP_TRY(prompt_of_text(g->model->tokenizer, &form, prompt, strlen(prompt), &g->prompt, error));
    ESP_TRY(prompt_check(g->prompt.at, g->prompt.count, model_configuration(m)->vocab, model_context(m),
                         &g->room, error));
    if (g->room > g->options.max_tokens) g->room = g->options.max_tokens;
    return ESP_OK;
}

/* Until end-of-sequence, or until there is no room. */
static esp_status sample(generation *g, engine_sample *out, esp_error *error) {
    model *m = g->model->model;
    engine_settings settings = engine_samples_settings(g->prompt.count, g->room, 1);
    engine *e;
    *out = (engine_sample){.key = rng_mix(rng_key(g->options.seed), 0),
                           .temperature = (float)g->options.temperature};
    ESP_TRY(engine_new(&e, m, &settings, error));
    choose_ends(g);
    esp_status status = engine_samples(e, g->prompt.at, g->prompt.count,
                                       (engine_ends){g->ends.at, g->ends.count}, g->room, out, 1, error);
    engine_free(e);
    return status;
}

esp_status esp_generate(esp_model *model, const char *prompt, const esp_generate_options *options,
                        char **text, size_t *length, esp_error *error) {
    if (!model || !prompt || !text) return usage(error, "esp_generate", "an argument is NULL");
    *text = NULL;
    if (length) *length = 0;
    generation g = {.model = model, .options = options ? *options : (esp_generate_options){0}};
    if (g.options.max_tokens == 0) g.options.max_tokens = 128;
    if (g.options.max_tokens < 0) return usage(error, "esp_generate", "max_tokens is negative");
    if (!(g.options.temperature >= 0 && g.options.temperature <= 100))
        return usage(error, "esp_generate", "temperature is not between 0 and 100");
    ESP_TRY(need_tokenizer(model, error));
    engine_sample answer = {.finished = false};
    text_buffer out = {0};
    esp_status status = encode_prompt(&g, prompt, error);
    if (status == ESP_OK) status = sample(&g, &answer, error);
    if (status == ESP_OK)
        status = tokenizer_decode_more(model->tokenizer, answer.ids.at, answer.ids.count - answer.finished,
                                       false, &out, error);
    engine_sample_free(&answer);
    MEM_LIST_FREE(&g.prompt);
    MEM_LIST_FREE(&g.ends);
    chat_free(g.chat);
    return give_text(status, &out, text, length);
}

/* ---- Grading and learning ---- */

esp_status esp_grade(const char *task_name, const char *answer, const char *gold, esp_grade_result *out,
                     esp_error *error) {
    if (!task_name || !answer || !gold || !out) return usage(error, "esp_grade", "an argument is NULL");
    *out = (esp_grade_result){0};
    task *t;
    ESP_TRY(task_open(&t, task_name, error));
    task_grade_result g = task_grade(t, &(problem){.gold = gold}, answer, strlen(answer));
    task_free(t);
    if (g.bad_gold) {
        task_grade_free(&g);
        return error_fail(error, "give the answer by itself, or a text that ends in one",
                          "gold \"%.200s\" holds no answer of task %s", gold, task_name);
    }
    *out = (esp_grade_result){.correct = g.correct, .reason = g.reason, .extracted = g.extracted};
    return ESP_OK;
}

esp_dpo_result esp_dpo(esp_pair_logps logps, double beta, double alpha) {
    const dpo_options options = {.beta = beta};
    const path_score scores[] = {{.logp = logps.chosen, .reference = logps.ref_chosen},
                                 {.logp = logps.rejected, .reference = logps.ref_rejected}};
    double slopes[2], metrics[OBJECTIVE_METRICS];
    double loss = objective_dpo.value(&options, &(example){.alpha = alpha}, scores, slopes, metrics);
    return (esp_dpo_result){.loss = loss, .margin = metrics[0], .dchosen = slopes[0], .drejected = slopes[1]};
}
