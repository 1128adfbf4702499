#include "app/pair_rows.h"

#include "app/output.h"
#include "formats/json.h"

#include <math.h>
#include <string.h>

static const char *const row_forms =
    "a row is {\"prompt\", \"chosen\", \"rejected\"} or {\"prompt_ids\", \"chosen_ids\", \"rejected_ids\"}";

/* One row at work: the three runs of ids, and how to read more. */
typedef struct {
    const pair_reader *reader;
    const json_t *row;
    const char *where;
    token_list prompt, chosen, rejected;
    chat_kind chat;
    bool chat_known;
} row_work;

/* ---- texts and messages ---- */

static esp_status text_ids(row_work *w, const json_t *text, token_list *out, esp_error *error) {
    esp_status status = tokenizer_encode(w->reader->policy->tokenizer, json_string_value(text),
                                         json_string_length(text), false, out, error);
    return status == ESP_OK ? ESP_OK : error_prefix(error, "%s", w->where);
}

static esp_status need_chat(row_work *w, esp_error *error) {
    if (w->chat_known) return ESP_OK;
    const char *name = w->reader->chat_template;
    esp_status status =
        strcmp(name, "auto") == 0
            ? chat_template_detect(tokenizer_chat_template(w->reader->policy->tokenizer), &w->chat, error)
            : chat_kind_parse(name, &w->chat, error);
    w->chat_known = status == ESP_OK;
    return status;
}

/* The content of message i, which must have this role. */
static esp_status message(const row_work *w, const json_t *list, size_t i, const char *role, const char *key,
                          const char **out, esp_error *error) {
    const json_t *object = json_array_get(list, i);
    const char *is = json_string_value(json_object_get(object, "role"));
    *out = json_string_value(json_object_get(object, "content"));
    if (is && *out && strcmp(is, role) == 0) return ESP_OK;
    return error_fail(
        error,
        "a conversation is an optional system message and one user message; chosen and rejected "
        "are one assistant message each. Longer ones: as prompt_ids, chosen_ids, rejected_ids",
        "%s: \"%s\"[%zu] is not a message {\"role\": \"%s\", \"content\": text}", w->where, key, i, role);
}

static esp_status prompt_messages(row_work *w, const json_t *list, esp_error *error) {
    const char *system = NULL, *user;
    size_t first = json_array_size(list) > 1;
    ESP_TRY(need_chat(w, error));
    if (first) ESP_TRY(message(w, list, 0, "system", "prompt", &system, error));
    ESP_TRY(message(w, list, first, "user", "prompt", &user, error));
    if (json_array_size(list) > first + 1)
        return message(w, list, first + 1, "nothing more", "prompt", &user, error);
    return chat_encode(w->chat, w->reader->policy->tokenizer, system, user, &w->prompt, error);
}

static esp_status completion(row_work *w, const char *key, token_list *out, esp_error *error) {
    const tokenizer *t = w->reader->policy->tokenizer;
    const json_t *value = json_object_get(w->row, key);
    int32_t end = tokenizer_eos(t);
    if (json_is_array(value)) {
        const char *text;
        ESP_TRY(need_chat(w, error));
        ESP_TRY(message(w, value, 0, "assistant", key, &text, error));
        if (json_array_size(value) > 1) return message(w, value, 1, "nothing more", key, &text, error);
        ESP_TRY(tokenizer_encode(t, text, strlen(text), false, out, error));
        end = chat_end_token(w->chat, t);
    } else if (json_is_string(value))
        ESP_TRY(text_ids(w, value, out, error));
    else
        return error_fail(error, row_forms, "%s: \"%s\" (a text or a list of messages) is missing", w->where,
                          key);
    if (w->reader->add_eos && end >= 0) MEM_LIST_PUSH(out, end);
    return ESP_OK;
}

static esp_status read_text_form(row_work *w, esp_error *error) {
    const json_t *prompt = json_object_get(w->row, "prompt");
    ESP_TRY(policy_need_tokenizer(w->reader->policy, error));
    const tokenizer *t = w->reader->policy->tokenizer;
    if (json_is_array(prompt))
        ESP_TRY(prompt_messages(w, prompt, error));
    else if (json_is_string(prompt)) {
        if (tokenizer_adds_bos(t) && tokenizer_bos(t) >= 0) MEM_LIST_PUSH(&w->prompt, tokenizer_bos(t));
        ESP_TRY(text_ids(w, prompt, &w->prompt, error));
    } else
        return error_fail(error, row_forms, "%s: \"prompt\" is missing", w->where);
    ESP_TRY(completion(w, "chosen", &w->chosen, error));
    return completion(w, "rejected", &w->rejected, error);
}

static esp_status read_native_form(row_work *w, esp_error *error) {
    int64_t vocab = model_configuration(w->reader->policy->model)->vocab;
    ESP_TRY(json_need_ids(w->row, "prompt_ids", w->where, vocab, &w->prompt, error));
    ESP_TRY(json_need_ids(w->row, "chosen_ids", w->where, vocab, &w->chosen, error));
    return json_need_ids(w->row, "rejected_ids", w->where, vocab, &w->rejected, error);
}

/* ---- numbers beside the ids ---- */

/* Two optional numbers that come together. */
static esp_status number_pair(const row_work *w, const char *first, const char *second, double *a, double *b,
                              esp_error *error) {
    ESP_TRY(json_maybe_number(w->row, first, w->where, a, error));
    ESP_TRY(json_maybe_number(w->row, second, w->where, b, error));
    if (isnan(*a) == isnan(*b)) return ESP_OK;
    return error_fail(error, "give both or neither", "%s: \"%s\" stands without \"%s\"", w->where,
                      isnan(*a) ? second : first, isnan(*a) ? first : second);
}

static esp_status read_numbers(const row_work *w, preference_row *row, esp_error *error) {
    double visits_chosen, visits_rejected;
    ESP_TRY(json_maybe_number(w->row, "alpha", w->where, &row->alpha, error));
    ESP_TRY(
        number_pair(w, "ref_logp_chosen", "ref_logp_rejected", &row->ref_chosen, &row->ref_rejected, error));
    ESP_TRY(number_pair(w, "n_chosen", "n_rejected", &visits_chosen, &visits_rejected, error));
    if (row->alpha < 0 || row->alpha > 1)
        return error_fail(error, "give a share from 0 to 1", "%s: \"alpha\" is %g", w->where, row->alpha);
    if (visits_chosen < 0 || visits_rejected < 0)
        return error_fail(error, "give numbers of visits", "%s: \"n_chosen\" or \"n_rejected\" is below 0",
                          w->where);
    if (isnan(row->alpha))
        row->alpha = isnan(visits_chosen)
                         ? 0
                         : loss_smoothing(visits_chosen, visits_rejected, w->reader->smoothing_cap);
    return ESP_OK;
}

/* ---- rows ---- */

static esp_status check_lengths(const row_work *w, bool *too_long, esp_error *error) {
    int64_t tail = w->chosen.count > w->rejected.count ? w->chosen.count : w->rejected.count;
    int64_t longest = w->prompt.count + tail, context = model_context(w->reader->policy->model);
    *too_long = longest > w->reader->max_length;
    if (w->prompt.count == 0)
        return error_fail(error, "a pair needs at least one token before it", "%s: the prompt is empty",
                          w->where);
    if (w->chosen.count == 0 || w->rejected.count == 0)
        return error_fail(error, "leave such rows out", "%s: the %s step is empty", w->where,
                          w->chosen.count == 0 ? "chosen" : "rejected");
    if (longest > context)
        return error_fail(error, "shorten the row, or take a model with a longer context",
                          "%s: %lld tokens are more than the context of %lld", w->where, (long long)longest,
                          (long long)context);
    return ESP_OK;
}

static esp_status read_row(row_work *w, preference_row *row, bool *too_long, esp_error *error) {
    w->prompt.count = w->chosen.count = w->rejected.count = 0;
    if (!json_is_object(w->row)) return error_fail(error, row_forms, "%s: is not an object", w->where);
    bool native = json_object_get(w->row, "prompt_ids") || json_object_get(w->row, "chosen_ids");
    ESP_TRY(native ? read_native_form(w, error) : read_text_form(w, error));
    ESP_TRY(check_lengths(w, too_long, error));
    return read_numbers(w, row, error);
}

static void keep_row(pair_rows *out, const row_work *w, preference_row row) {
    row.prefix = arena_copy(out->memory, w->prompt.at, (size_t)w->prompt.count * sizeof(int32_t));
    row.chosen = arena_copy(out->memory, w->chosen.at, (size_t)w->chosen.count * sizeof(int32_t));
    row.rejected = arena_copy(out->memory, w->rejected.at, (size_t)w->rejected.count * sizeof(int32_t));
    row.prefix_count = w->prompt.count;
    row.chosen_count = w->chosen.count;
    row.rejected_count = w->rejected.count;
    MEM_LIST_PUSH(&out->rows, row);
}

static esp_status read_all(pair_rows *out, row_work *w, jsonl_reader *file, esp_error *error) {
    for (json_t *json;;) {
        preference_row row = {0};
        bool too_long = false;
        ESP_TRY(jsonl_next(file, &json, error));
        if (!json) return ESP_OK;
        w->row = json;
        w->where = jsonl_where(file);
        ESP_TRY(read_row(w, &row, &too_long, error));
        if (too_long)
            out->too_long++;
        else
            keep_row(out, w, row);
    }
}

esp_status pair_rows_read(pair_rows *out, const pair_reader *reader, const char *path, esp_error *error) {
    jsonl_reader *file;
    *out = (pair_rows){0};
    ESP_TRY(jsonl_open(&file, path, error));
    out->memory = arena_new();
    row_work w = {.reader = reader};
    esp_status status = read_all(out, &w, file, error);
    if (status == ESP_OK && out->rows.count == 0)
        status = out->too_long ? error_fail(error, "raise --max-length",
                                            "%s: all %lld pairs are longer than %lld tokens", path,
                                            (long long)out->too_long, (long long)reader->max_length)
                               : error_fail(error, row_forms, "%s: holds no pairs", path);
    jsonl_close(file);
    MEM_LIST_FREE(&w.prompt);
    MEM_LIST_FREE(&w.chosen);
    MEM_LIST_FREE(&w.rejected);
    if (status != ESP_OK) pair_rows_free(out);
    return status;
}

void pair_rows_free(pair_rows *rows) {
    MEM_LIST_FREE(&rows->rows);
    if (rows->memory) arena_free(rows->memory);
    *rows = (pair_rows){0};
}
