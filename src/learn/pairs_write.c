/* The pairs of a run as rows of a file. */
#include "learn/pair_row.h"

#include "formats/json.h"

#include <errno.h>
#include <string.h>

/* ---- ids and numbers ---- */

static void put_ids(json_t *row, const store_pair *p) {
    json_object_set_new(row, "prompt_ids", json_from_ids(p->prefix_ids, p->prefix_count));
    json_object_set_new(row, "chosen_ids", json_from_ids(p->chosen_ids, p->chosen_count));
    json_object_set_new(row, "rejected_ids", json_from_ids(p->rejected_ids, p->rejected_count));
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
    if (status == ESP_OK) json_object_set_new(row, key, json_from_text(text.at ? text.at : "", text.length));
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
    json_array_append_new(list, json_pack("{s:s, s:o}", "role", message_role_name(role), "content",
                                          json_from_text(text, length)));
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

static esp_status put_prompt(json_t *list, const pairs_write_options *o, const char *text, arena *memory,
                             bool *answered, esp_error *error) {
    message_list messages = {0};
    size_t answer = 0;
    bool fine = messages_parse(o->chat, o->tokenizer, text, memory, &messages, &answer);
    /* An empty system message says that there is none where the template would put its own. */
    bool bare = fine && (messages.count == 0 || messages.at[0].role != MESSAGE_SYSTEM);
    if (bare && chat_own_system(o->chat) && chat_kind_of(o->chat) != CHAT_OWN)
        put_message(list, MESSAGE_SYSTEM, "", 0);
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
                      "its prompt does not have the form of the model's chat template");
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
    if (status == ESP_OK) status = put_prompt(prompt, o, text.at ? text.at : "", memory, &inside, error);
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

static esp_status write_failed(const char *name, esp_error *error) {
    return error_fail(error, "free space or choose another place", "%s: cannot write: %s", name,
                      strerror(errno));
}

/* Writes a line, and lets go of the row. */
static esp_status write_row(json_t *row, FILE *stream, const char *name, esp_error *error) {
    bool fine = json_dumpf(row, stream, JSON_REAL_PRECISION(17)) == 0 && fputc('\n', stream) != EOF;
    json_decref(row);
    return fine ? ESP_OK : write_failed(name, error);
}

esp_status pairs_write(store *s, int64_t iteration, const pairs_write_options *options, FILE *stream,
                       const char *name, int64_t *written, esp_error *error) {
    store_pairs pairs;
    ESP_TRY(store_read_pairs(s, iteration, &pairs, error));
    esp_status status = ESP_OK;
    int64_t i = 0;
    for (; i < pairs.count && status == ESP_OK; i++) {
        json_t *row;
        status = pairs_row(&pairs.at[i], options, &row, error);
        if (status == ESP_OK)
            status = write_row(row, stream, name, error);
        else
            error_prefix(error, "pair %lld", (long long)pairs.at[i].pair);
    }
    if (status == ESP_OK && fflush(stream) != 0) status = write_failed(name, error);
    if (written) *written = i;
    STORE_LIST_FREE(&pairs);
    return status;
}

/* ---- from one form to another ---- */

/* The members of a row that are not its pair. */
static void copy_others(const json_t *from, json_t *to) {
    static const char *const own[] = {"prompt",     "chosen",     "rejected",     "messages",
                                      "prompt_ids", "chosen_ids", "rejected_ids", "continues"};
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)from, key, value) {
        bool ours = false;
        for (size_t i = 0; i < sizeof own / sizeof *own; i++) ours = ours || strcmp(key, own[i]) == 0;
        if (!ours) json_object_set(to, key, value);
    }
}

static esp_status convert_row(const pair_reading *r, const json_t *from, const pairs_write_options *to,
                              pair_row_ids *ids, json_t **out, esp_error *error) {
    ESP_TRY(pair_row_read(r, from, ids, error));
    const token_list *chosen = &ids->completion[CHOSEN], *rejected = &ids->completion[REJECTED];
    store_pair p = {.prefix_ids = ids->prompt.at,
                    .prefix_count = ids->prompt.count,
                    .chosen_ids = chosen->at,
                    .chosen_count = chosen->count,
                    .rejected_ids = rejected->at,
                    .rejected_count = rejected->count};
    json_t *row = *out = json_object();
    esp_status status = ESP_OK;
    if (to->format == PAIRS_NATIVE)
        put_ids(row, &p);
    else
        status = put_words(row, &p, to, error);
    if (status != ESP_OK) {
        json_decref(row);
        return error_prefix(error, "%s", r->where);
    }
    copy_others(from, row);
    return ESP_OK;
}

static esp_status convert_all(jsonl_reader *file, const pairs_read_options *from,
                              const pairs_write_options *to, FILE *stream, const char *name,
                              pairs_counts *counts, esp_error *error) {
    for (;;) {
        json_t *json, *row;
        ESP_TRY(jsonl_next(file, &json, error));
        if (!json) return fflush(stream) == 0 ? ESP_OK : write_failed(name, error);
        counts->rows++;
        pair_reading r = {from, jsonl_where(file)};
        pair_row_ids ids = {0};
        esp_status status = convert_row(&r, json, to, &ids, &row, error);
        pairs_count_decisions(counts, &ids, jsonl_line(file));
        if (status == ESP_OK) status = write_row(row, stream, name, error);
        pair_row_ids_free(&ids);
        ESP_TRY(status);
    }
}

esp_status pairs_convert(const char *path, const pairs_read_options *from, const pairs_write_options *to,
                         FILE *stream, const char *name, pairs_counts *counts, esp_error *error) {
    jsonl_reader *file;
    *counts = (pairs_counts){0};
    ESP_TRY(jsonl_open(&file, path, error));
    esp_status status = convert_all(file, from, to, stream, name, counts, error);
    jsonl_close(file);
    if (status == ESP_OK && counts->rows == 0)
        return error_fail(error, pair_form_hint, "%s: holds no pairs", path);
    return status;
}
