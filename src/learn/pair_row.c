/* Which form a row has, its lists of ids, and whether its texts say the same. */
#include "learn/pair_row.h"

#include "formats/json.h"

#include <string.h>

const char pair_form_hint[] =
    "a pair has \"prompt\", \"chosen\", \"rejected\" (texts or lists of messages), or \"prompt_ids\", "
    "\"chosen_ids\", \"rejected_ids\" (lists of token ids)";

const json_t *pair_field(const json_t *row, const char *key) {
    const json_t *value = json_object_get(row, key);
    return json_is_null(value) ? NULL : value;
}

esp_status pair_continues(const pair_reading *r, const json_t *row, bool *given, bool *out,
                          esp_error *error) {
    const json_t *value = pair_field(row, "continues");
    *given = value != NULL;
    *out = json_is_true(value);
    if (!value || json_is_boolean(value)) return ESP_OK;
    return error_fail(error, "true: no end-of-sequence follows the row's completions",
                      "%s: field \"continues\" must be true or false", r->where);
}

/* ---- ids ---- */

static esp_status read_ids(const pair_reading *r, const json_t *row, const char *key, token_list *out,
                           esp_error *error) {
    const json_t *list = pair_field(row, key);
    if (!list) return error_fail(error, pair_form_hint, "%s: field \"%s\" is missing", r->where, key);
    if (!json_is_array(list))
        return error_fail(error, pair_form_hint, "%s: field \"%s\" must be a list of token ids", r->where,
                          key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *id = json_array_get(list, i);
        int64_t value = json_is_integer(id) ? (int64_t)json_integer_value(id) : -1;
        if (value < 0 || value >= r->options->vocab) {
            char *shown = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
            error_fail(error, "the pairs must come from a model with the same tokenizer",
                       "%s: field \"%s\": item %lld, %.40s, is no token id of the model (0 to %lld)",
                       r->where, key, (long long)i, shown ? shown : "?", (long long)r->options->vocab - 1);
            free(shown);
            return ESP_FAILED;
        }
        MEM_LIST_PUSH(out, (int32_t)value);
    }
    return ESP_OK;
}

static esp_status read_id_lists(const pair_reading *r, const json_t *row, pair_row_ids *out,
                                esp_error *error) {
    ESP_TRY(read_ids(r, row, "prompt_ids", &out->prompt, error));
    ESP_TRY(read_ids(r, row, "chosen_ids", &out->completion[CHOSEN], error));
    return read_ids(r, row, "rejected_ids", &out->completion[REJECTED], error);
}

/* ---- texts ---- */

/* Rows of other kinds of training, by their fields. */
static const struct {
    const char *field, *second, *what, *hint;
} other_kinds[] = {
    {"completion", "label", "unpaired (\"completion\" and \"label\"), as for KTO",
     "join each good completion of a prompt with a bad one as \"chosen\" and \"rejected\""},
    {"completions", "labels", "of stepwise supervision (\"completions\" and \"labels\")", pair_form_hint},
    {"completion", NULL, "of supervised learning (\"prompt\" and \"completion\")", pair_form_hint},
    {"conversations", NULL, "a conversation (\"conversations\") without two completions", pair_form_hint},
    {"messages", NULL, "a conversation (\"messages\") without two completions", pair_form_hint},
    {"text", NULL, "a text (\"text\") without two completions", pair_form_hint},
};

static esp_status missing_completion(const pair_reading *r, const json_t *row, const char *key,
                                     esp_error *error) {
    bool neither = !pair_field(row, "chosen") && !pair_field(row, "rejected");
    for (size_t i = 0; neither && i < sizeof other_kinds / sizeof *other_kinds; i++)
        if (pair_field(row, other_kinds[i].field) &&
            (!other_kinds[i].second || json_object_get(row, other_kinds[i].second)))
            return error_fail(error, other_kinds[i].hint, "%s: the row is %s, and no pair", r->where,
                              other_kinds[i].what);
    return error_fail(error, pair_form_hint, "%s: field \"%s\" is missing", r->where, key);
}

static esp_status read_texts(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error) {
    const json_t *chosen = pair_field(row, "chosen"), *rejected = pair_field(row, "rejected");
    if (!chosen) return missing_completion(r, row, "chosen", error);
    if (!rejected) return missing_completion(r, row, "rejected", error);
    if (!r->options->tokenizer)
        return error_fail(
            error,
            "give rows with \"prompt_ids\", \"chosen_ids\", \"rejected_ids\", or a model folder "
            "with a tokenizer",
            "%s: rows of text need a tokenizer", r->where);
    if (json_is_string(chosen) && json_is_string(rejected)) return pair_texts_read(r, row, out, error);
    const char *key =
        json_is_string(chosen) || !(json_is_array(chosen) || json_is_object(chosen)) ? "chosen" : "rejected";
    const json_t *other = key[0] == 'c' ? chosen : rejected;
    if (!json_is_array(other) && !json_is_object(other))
        return error_fail(error, pair_form_hint,
                          json_is_string(other)
                              ? "%s: field \"%s\" is a text, and the other completion is none"
                              : "%s: field \"%s\" must be a text or a list of messages",
                          r->where, key);
    return pair_messages_read(r, row, out, error);
}

/* ---- both ---- */

/* Ids as a text that JSON can hold; joined: with the prompt before them. */
static esp_status completion_text(const pair_reading *r, const pair_row_ids *ids,
                                  const token_list *completion, int64_t n, bool joined, json_t **out,
                                  esp_error *error) {
    const tokenizer *t = r->options->tokenizer;
    text_buffer text = {0};
    esp_status status = ESP_OK;
    if (joined) status = tokenizer_decode(t, ids->prompt.at, ids->prompt.count, true, &text, error);
    if (status == ESP_OK) status = tokenizer_decode_more(t, completion->at, n, true, &text, error);
    if (status == ESP_OK) *out = json_from_text(text.at ? text.at : "", text.length);
    text_free(&text);
    return status;
}

/* The content of the last of a list of messages, or of the one message; NULL where there is none. */
static const char *last_content(const json_t *messages) {
    size_t n = json_array_size(messages);
    const json_t *last = n > 0 ? json_array_get(messages, n - 1) : messages;
    return json_string_value(json_object_get(last, "content"));
}

/* Whether a completion's ids can be what the row's words say: of texts, the whole path or the completion
 * alone, with an end or without one; of messages, the last answer. */
static bool says_the_same(const json_t *row, int k, const char *joined, const char *alone) {
    const json_t *prompt = pair_field(row, "prompt"), *completion = pair_field(row, pair_completion_keys[k]);
    const char *words = json_is_string(completion) ? json_string_value(completion) : last_content(completion);
    if (!words) return true;
    if (!json_is_string(completion)) return text_ends_with(alone, words);
    if (strcmp(alone, words) == 0) return true;
    char *both = mem_printf("%s%s", prompt ? json_string_value(prompt) : "", words);
    bool same = text_ends_with(joined, both);
    mem_free(both);
    return same;
}

/* A row of ids may have texts too. If somebody has changed one of the two, neither is what he means. */
static esp_status check_words(const pair_reading *r, const json_t *row, const pair_row_ids *ids,
                              esp_error *error) {
    for (int k = 0; k < COMPLETIONS; k++) {
        const token_list *completion = &ids->completion[k];
        const int64_t counts[] = {completion->count, pair_open_count(r->options->tokenizer, completion)};
        bool same = false;
        for (int i = 0; i < 2 && !same; i++) {
            json_t *joined = NULL, *alone = NULL;
            esp_status status = completion_text(r, ids, completion, counts[i], true, &joined, error);
            if (status == ESP_OK)
                status = completion_text(r, ids, completion, counts[i], false, &alone, error);
            if (status == ESP_OK)
                same = says_the_same(row, k, json_string_value(joined), json_string_value(alone));
            json_decref(joined);
            json_decref(alone);
            if (status != ESP_OK) return error_prefix(error, "%s", r->where);
        }
        if (!same)
            return error_fail(error, "take the fields out that are not meant",
                              "%s: the ids in \"%s_ids\" are not those of the words in \"%s\"", r->where,
                              pair_completion_keys[k], pair_completion_keys[k]);
    }
    return ESP_OK;
}

esp_status pair_row_read(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error) {
    if (!json_is_object(row))
        return error_fail(error, pair_form_hint, "%s: the row is no JSON object", r->where);
    if (!pair_field(row, "prompt_ids") && !pair_field(row, "chosen_ids") && !pair_field(row, "rejected_ids"))
        return read_texts(r, row, out, error);
    ESP_TRY(read_id_lists(r, row, out, error));
    bool words = pair_field(row, "chosen") && pair_field(row, "rejected");
    return words && r->options->tokenizer ? check_words(r, row, out, error) : ESP_OK;
}
