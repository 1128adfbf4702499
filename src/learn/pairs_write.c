/* The pairs of a run as rows of a file. */
#include "learn/pair_row.h"

#include "formats/json.h"

#include <errno.h>
#include <string.h>

/* ---- ids and numbers ---- */

static json_t *ids_json(const int32_t *ids, int64_t n) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static void put_ids(json_t *row, const store_pair *p) {
    json_object_set_new(row, "prompt_ids", ids_json(p->prefix_ids, p->prefix_count));
    json_object_set_new(row, "chosen_ids", ids_json(p->chosen_ids, p->chosen_count));
    json_object_set_new(row, "rejected_ids", ids_json(p->rejected_ids, p->rejected_count));
}

static void put_numbers(json_t *row, const store_pair *p) {
    json_object_set_new(row, "q_chosen", json_real_or_null(p->q_chosen));
    json_object_set_new(row, "q_rejected", json_real_or_null(p->q_rejected));
    json_object_set_new(row, "n_chosen", json_integer(p->n_chosen));
    json_object_set_new(row, "n_rejected", json_integer(p->n_rejected));
    json_object_set_new(row, "alpha", json_real_or_null(p->alpha));
    json_object_set_new(row, "ref_logp_chosen", json_real_or_null(p->ref_logp_chosen));
    json_object_set_new(row, "ref_logp_rejected", json_real_or_null(p->ref_logp_rejected));
}

/* ---- texts ---- */

/* more: the text follows other text. A beginning-of-sequence that every reader puts before a text is left
 * out: written down, it would be there twice. */
static esp_status decode(const tokenizer *t, const int32_t *ids, int64_t n, bool more, text_buffer *out,
                         esp_error *error) {
    if (!more && tokenizer_adds_bos(t) && n > 0 && ids[0] == tokenizer_bos(t)) ids++, n--;
    return more ? tokenizer_decode_more(t, ids, n, true, out, error)
                : tokenizer_decode(t, ids, n, true, out, error);
}

static esp_status put_text(json_t *row, const char *key, const tokenizer *t, const int32_t *ids, int64_t n,
                           bool more, esp_error *error) {
    text_buffer text = {0};
    esp_status status = decode(t, ids, n, more, &text, error);
    if (status == ESP_OK) json_object_set_new(row, key, json_text(text.at ? text.at : "", text.length));
    text_free(&text);
    return status;
}

static esp_status put_texts(json_t *row, const store_pair *p, const tokenizer *t, esp_error *error) {
    ESP_TRY(put_text(row, "prompt", t, p->prefix_ids, p->prefix_count, false, error));
    ESP_TRY(put_text(row, "chosen", t, p->chosen_ids, p->chosen_count, true, error));
    return put_text(row, "rejected", t, p->rejected_ids, p->rejected_count, true, error);
}

static bool ends(const tokenizer *t, const int32_t *ids, int64_t n) {
    return n > 0 && tokenizer_is_special(t, ids[n - 1]);
}

/* ---- messages ---- */

static void put_message(json_t *list, message_role role, const char *text, size_t length) {
    json_array_append_new(
        list, json_pack("{s:s, s:o}", "role", message_role_name(role), "content", json_text(text, length)));
}

/* The text of an answer, without the space that its template puts before it, and without its end. */
static esp_status put_answer(json_t *list, const pairs_write_options *o, const int32_t *ids, int64_t n,
                             bool first, esp_error *error) {
    text_buffer text = {0};
    n -= ends(o->tokenizer, ids, n);
    esp_status status = decode(o->tokenizer, ids, n, true, &text, error);
    const char *at = text.at ? text.at : "";
    size_t skipped = first && !messages_answer_continues(o->chat) && at[0] == ' ';
    if (status == ESP_OK) put_message(list, MESSAGE_ASSISTANT, at + skipped, text.length - skipped);
    text_free(&text);
    return status;
}

static esp_status put_prompt(json_t *list, const pairs_write_options *o, const store_pair *p,
                             const char *text, arena *memory, bool *answered, esp_error *error) {
    message_list messages = {0};
    size_t answer = 0;
    bool fine = messages_parse(o->chat, o->tokenizer, text, memory, &messages, &answer);
    for (int64_t i = 0; fine && i < messages.count; i++)
        put_message(list, messages.at[i].role, messages.at[i].content, strlen(messages.at[i].content));
    *answered = fine && text[answer] != 0;
    if (*answered) {
        const char *at = text + answer + (!messages_answer_continues(o->chat) && text[answer] == ' ');
        put_message(list, MESSAGE_ASSISTANT, at, strlen(at));
    }
    MEM_LIST_FREE(&messages);
    if (fine) return ESP_OK;
    return error_fail(error, "write its pairs in the format trl",
                      "pair %lld: its prompt does not have the form of the model's chat template",
                      (long long)p->pair);
}

/* The prompt's messages, and the steps before the pair's as an assistant's message that is not closed. */
static esp_status put_messages(json_t *row, const store_pair *p, const pairs_write_options *o,
                               esp_error *error) {
    json_t *prompt = json_array(), *completion[COMPLETIONS] = {json_array(), json_array()};
    json_object_set_new(row, "prompt", prompt);
    for (int k = 0; k < COMPLETIONS; k++) json_object_set_new(row, pair_completion_keys[k], completion[k]);
    int64_t known = p->prompt_count > 0 ? p->prompt_count : p->prefix_count;
    bool answered = known < p->prefix_count, inside = false;
    text_buffer text = {0};
    arena *memory = arena_new();
    esp_status status = decode(o->tokenizer, p->prefix_ids, known, false, &text, error);
    if (status == ESP_OK) status = put_prompt(prompt, o, p, text.at ? text.at : "", memory, &inside, error);
    if (status == ESP_OK && answered)
        status = put_answer(prompt, o, p->prefix_ids + known, p->prefix_count - known, true, error);
    bool first = !answered && !inside;
    if (status == ESP_OK)
        status = put_answer(completion[CHOSEN], o, p->chosen_ids, p->chosen_count, first, error);
    if (status == ESP_OK)
        status = put_answer(completion[REJECTED], o, p->rejected_ids, p->rejected_count, first, error);
    arena_free(memory);
    text_free(&text);
    return status;
}

/* ---- rows ---- */

static bool same_ids(const token_list *a, const int32_t *ids, int64_t n) {
    return a->count == n && (n == 0 || memcmp(a->at, ids, (size_t)n * sizeof *ids) == 0);
}

/* Whether a row of text, read again, gives the pair's ids. */
static bool reads_back(const json_t *row, const store_pair *p, const pairs_write_options *o) {
    pairs_read_options options = {.tokenizer = o->tokenizer,
                                  .vocab = tokenizer_size(o->tokenizer),
                                  .append_end = true,
                                  .end = chat_end_token(o->chat, o->tokenizer),
                                  .chat = o->chat,
                                  .has_chat = true};
    pair_reading r = {&options, "the row"};
    pair_row_ids ids = {0};
    esp_error ignored = {0};
    bool same = pair_row_read(&r, row, &ids, &ignored) == ESP_OK &&
                same_ids(&ids.prompt, p->prefix_ids, p->prefix_count) &&
                same_ids(&ids.completion[CHOSEN], p->chosen_ids, p->chosen_count) &&
                same_ids(&ids.completion[REJECTED], p->rejected_ids, p->rejected_count);
    pair_row_ids_free(&ids);
    return same;
}

static esp_status put_words(json_t *row, const store_pair *p, const pairs_write_options *o,
                            esp_error *error) {
    const tokenizer *t = o->tokenizer;
    ESP_TRY(o->format == PAIRS_TRL ? put_texts(row, p, t, error) : put_messages(row, p, o, error));
    bool both_end = ends(t, p->chosen_ids, p->chosen_count) && ends(t, p->rejected_ids, p->rejected_count);
    json_object_set_new(row, "continues", json_boolean(!both_end));
    if (!reads_back(row, p, o)) put_ids(row, p);
    return ESP_OK;
}

esp_status pairs_row(const store_pair *p, const pairs_write_options *options, json_t **out,
                     esp_error *error) {
    json_t *row = *out = json_object();
    esp_status status = ESP_OK;
    if (options->format == PAIRS_NATIVE) {
        json_object_set_new(row, "problem", json_integer(p->problem));
        json_object_set_new(row, "iteration", json_integer(p->iteration));
        put_ids(row, p);
    } else {
        status = put_words(row, p, options, error);
        json_object_set_new(row, "problem", json_integer(p->problem));
        json_object_set_new(row, "iteration", json_integer(p->iteration));
    }
    put_numbers(row, p);
    if (status == ESP_OK) return ESP_OK;
    json_decref(row);
    *out = NULL;
    return status;
}

static esp_status write_row(const store_pair *p, const pairs_write_options *options, FILE *stream,
                            const char *name, esp_error *error) {
    json_t *row;
    ESP_TRY(pairs_row(p, options, &row, error));
    bool fine = json_dumpf(row, stream, JSON_REAL_PRECISION(17)) == 0 && fputc('\n', stream) != EOF;
    json_decref(row);
    if (fine) return ESP_OK;
    return error_fail(error, "free space or choose another place", "%s: cannot write: %s", name,
                      strerror(errno));
}

esp_status pairs_write(store *s, int64_t iteration, const pairs_write_options *options, FILE *stream,
                       const char *name, int64_t *written, esp_error *error) {
    store_pairs pairs;
    ESP_TRY(store_read_pairs(s, iteration, &pairs, error));
    esp_status status = ESP_OK;
    int64_t i = 0;
    for (; i < pairs.count && status == ESP_OK; i++)
        status = write_row(&pairs.at[i], options, stream, name, error);
    if (status == ESP_OK && fflush(stream) != 0)
        status = error_fail(error, "free space or choose another place", "%s: cannot write: %s", name,
                            strerror(errno));
    if (written) *written = i;
    STORE_LIST_FREE(&pairs);
    return status;
}
