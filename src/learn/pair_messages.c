/* Rows of messages: prompt, chosen and rejected as lists of {"role", "content"}; the prompt may also be a
 * text, or be repeated at the beginning of both completions, or only be there. */
#include "learn/pair_row.h"

#include <ctype.h>
#include <string.h>

typedef struct {
    const pair_reading *r;
    arena *memory;
} message_reading;

static const char message_hint[] =
    "a message is {\"role\": \"system\", \"user\" or \"assistant\", \"content\": a text}";

static esp_status bad_message(const message_reading *m, const char *key, int64_t i, const char *what,
                              esp_error *error) {
    return error_fail(error, message_hint, "%s: field \"%s\": message %lld %s", m->r->where, key,
                      (long long)i + 1, what);
}

/* A text, or a list of parts that are texts. */
static bool read_content(const message_reading *m, const json_t *content, const char **out) {
    if (json_is_string(content)) {
        *out = json_string_value(content);
        return true;
    }
    if (!json_is_array(content)) return false;
    text_buffer joined = {0};
    size_t i;
    const json_t *part;
    bool fine = true;
    json_array_foreach(content, i, part) {
        const char *type = json_string_value(json_object_get(part, "type"));
        const json_t *text = json_object_get(part, "text");
        fine = fine && type && strcmp(type, "text") == 0 && json_is_string(text);
        if (fine) text_puts(&joined, json_string_value(text));
    }
    *out = arena_strdup(m->memory, joined.at ? joined.at : "");
    text_free(&joined);
    return fine;
}

static esp_status read_message(const message_reading *m, const char *key, int64_t i, const json_t *from,
                               message *out, esp_error *error) {
    if (!json_is_object(from)) return bad_message(m, key, i, "is no object", error);
    const json_t *role = json_object_get(from, "role"), *calls = pair_field(from, "tool_calls");
    if (!role && json_object_get(from, "from"))
        return bad_message(m, key, i, "has \"from\" and \"value\" in place of \"role\" and \"content\"",
                           error);
    if (!json_is_string(role)) return bad_message(m, key, i, "has no \"role\"", error);
    if (calls && json_array_size(calls) > 0)
        return bad_message(m, key, i, "calls tools, which is not supported", error);
    const char *const names[] = {message_role_name(MESSAGE_SYSTEM), message_role_name(MESSAGE_USER),
                                 message_role_name(MESSAGE_ASSISTANT)};
    int found = -1;
    for (int k = 0; k < 3; k++)
        if (strcmp(json_string_value(role), names[k]) == 0) found = k;
    if (found < 0) {
        char *what = mem_printf("has the role \"%.40s\"", json_string_value(role));
        bad_message(m, key, i, what, error);
        mem_free(what);
        return ESP_FAILED;
    }
    out->role = (message_role)found;
    if (!read_content(m, json_object_get(from, "content"), &out->content))
        return bad_message(m, key, i, "has no \"content\" that is a text", error);
    return ESP_OK;
}

/* A list of messages, or one message by itself. */
static esp_status read_list(const message_reading *m, const json_t *row, const char *key, message_list *out,
                            esp_error *error) {
    const json_t *list = pair_field(row, key);
    bool one = json_is_object(list);
    if (!one && !json_is_array(list))
        return error_fail(error, "give all three as texts or all three as lists of messages",
                          "%s: field \"%s\" must be a list of messages, as the other completion is",
                          m->r->where, key);
    int64_t n = one ? 1 : (int64_t)json_array_size(list);
    for (int64_t i = 0; i < n; i++) {
        message of = {0};
        ESP_TRY(read_message(m, key, i, one ? list : json_array_get(list, (size_t)i), &of, error));
        MEM_LIST_PUSH(out, of);
    }
    if (n == 0) return error_fail(error, message_hint, "%s: field \"%s\" is empty", m->r->where, key);
    return ESP_OK;
}

/* ---- The prompt ---- */

static bool same_message(const message *a, const message *b) {
    return a->role == b->role && strcmp(a->content, b->content) == 0;
}

static int64_t shared_messages(const message_list *a, const message_list *b) {
    int64_t n = 0;
    while (n < a->count && n < b->count && same_message(&a->at[n], &b->at[n])) n++;
    return n;
}

static void drop_first(message_list *list, int64_t n) {
    memmove(list->at, list->at + n, (size_t)(list->count - n) * sizeof *list->at);
    list->count -= n;
}

/* The prompt is what both completions begin with, except the last message of either. */
static void take_shared(message_list completion[COMPLETIONS], message_list *prompt) {
    int64_t n = shared_messages(&completion[CHOSEN], &completion[REJECTED]);
    for (int k = 0; k < COMPLETIONS; k++)
        if (n > completion[k].count - 1) n = completion[k].count - 1;
    MEM_LIST_APPEND(prompt, completion[CHOSEN].at, n);
    for (int k = 0; k < COMPLETIONS; k++) drop_first(&completion[k], n);
}

static bool same_trimmed(const char *a, const char *b) {
    while (isspace((unsigned char)*a)) a++;
    while (isspace((unsigned char)*b)) b++;
    size_t m = strlen(a), n = strlen(b);
    while (m && isspace((unsigned char)a[m - 1])) m--;
    while (n && isspace((unsigned char)b[n - 1])) n--;
    return m == n && memcmp(a, b, m) == 0;
}

/* A prompt that is a text is the question of completions that begin with an answer; otherwise, as in
 * UltraFeedback, it repeats a question that is in both. */
static esp_status take_text_prompt(const message_reading *m, const json_t *text,
                                   message_list completion[COMPLETIONS], message_list *prompt,
                                   esp_error *error) {
    const char *question = json_string_value(text);
    if (completion[CHOSEN].at[0].role == MESSAGE_ASSISTANT) {
        MEM_LIST_PUSH(prompt, ((message){MESSAGE_USER, question}));
        return ESP_OK;
    }
    take_shared(completion, prompt);
    for (int64_t i = 0; i < prompt->count; i++)
        if (prompt->at[i].role == MESSAGE_USER && same_trimmed(prompt->at[i].content, question))
            return ESP_OK;
    return error_fail(
        error, "leave \"prompt\" out if \"chosen\" and \"rejected\" have it in them",
        "%s: field \"prompt\" is no user's message at the beginning of \"chosen\" and \"rejected\"",
        m->r->where);
}

/* A prompt of messages, which the completions may repeat. */
static esp_status take_list_prompt(const message_reading *m, const json_t *row, const char *key,
                                   message_list completion[COMPLETIONS], message_list *prompt,
                                   esp_error *error) {
    ESP_TRY(read_list(m, row, key, prompt, error));
    for (int k = 0; k < COMPLETIONS; k++)
        if (completion[k].count <= prompt->count || shared_messages(prompt, &completion[k]) < prompt->count)
            return ESP_OK;
    for (int k = 0; k < COMPLETIONS; k++) drop_first(&completion[k], prompt->count);
    return ESP_OK;
}

static esp_status take_prompt(const message_reading *m, const json_t *row,
                              message_list completion[COMPLETIONS], message_list *prompt, esp_error *error) {
    const json_t *given = pair_field(row, "prompt");
    bool one = json_is_object(pair_field(row, "chosen"));
    if (json_is_string(given)) return take_text_prompt(m, given, completion, prompt, error);
    if (given) return take_list_prompt(m, row, "prompt", completion, prompt, error);
    if (one && pair_field(row, "messages"))
        return take_list_prompt(m, row, "messages", completion, prompt, error);
    take_shared(completion, prompt);
    return ESP_OK;
}

/* ---- The order of roles ---- */

static esp_status bad_order(const message_reading *m, const char *what, esp_error *error) {
    return error_fail(
        error,
        "a prompt is a system message or none, then a user's, and may go on with an assistant's "
        "and a user's in turn; a completion begins and ends with an assistant's message",
        "%s: %s", m->r->where, what);
}

/* Whether roles take turns, beginning with `first`. */
static bool take_turns(const message *messages, int64_t n, message_role first) {
    message_role other = first == MESSAGE_USER ? MESSAGE_ASSISTANT : MESSAGE_USER;
    for (int64_t i = 0; i < n; i++)
        if (messages[i].role != (i % 2 ? other : first)) return false;
    return true;
}

static esp_status check_order(const message_reading *m, const message_list *prompt,
                              const message_list completion[COMPLETIONS], esp_error *error) {
    int64_t system = prompt->count > 0 && prompt->at[0].role == MESSAGE_SYSTEM ? 1 : 0;
    if (prompt->count == system)
        return bad_order(
            m, "\"chosen\" and \"rejected\" share no user's message, and there is no other \"prompt\"",
            error);
    if (!take_turns(prompt->at + system, prompt->count - system, MESSAGE_USER))
        return bad_order(m, "the messages of the prompt do not take turns", error);
    for (int k = 0; k < COMPLETIONS; k++) {
        if (take_turns(completion[k].at, completion[k].count, MESSAGE_ASSISTANT) &&
            completion[k].count % 2 == 1)
            continue;
        char *what = mem_printf("field \"%s\": what follows the common prompt is no assistant's message, or "
                                "does not end in one",
                                pair_completion_keys[k]);
        bad_order(m, what, error);
        mem_free(what);
        return ESP_FAILED;
    }
    return ESP_OK;
}

/* ---- Ids ---- */

static esp_status encode(const message_reading *m, const message_list *prompt,
                         const message_list completion[COMPLETIONS], pair_row_ids *out, esp_error *error) {
    const pairs_read_options *o = m->r->options;
    const message *last = &prompt->at[prompt->count - 1];
    bool goes_on = last->role == MESSAGE_ASSISTANT; /* the completions continue this answer */
    token_list start = {0};
    pair_words words = {
        .start = &start, .begins = !messages_answer_continues(o->chat), .before_key = "prompt"};
    message_list whole = {0};
    messages_complete(o->chat, prompt->at, prompt->count - goes_on, &whole);
    esp_status status = messages_encode(o->chat, o->tokenizer, whole.at, whole.count, &start, error);
    MEM_LIST_FREE(&whole);
    if (goes_on) text_puts(&words.before.text, last->content);
    for (int k = 0; k < COMPLETIONS && status == ESP_OK; k++)
        status = messages_answer(o->chat, o->tokenizer, completion[k].at, completion[k].count,
                                 &words.completion[k], error);
    if (status != ESP_OK) error_prefix(error, "%s", m->r->where);
    if (status == ESP_OK) status = pair_words_encode(m->r, &words, out, error);
    pair_words_free(&words);
    MEM_LIST_FREE(&start);
    return status;
}

static esp_status read_messages(const message_reading *m, const json_t *row, message_list *prompt,
                                message_list completion[COMPLETIONS], pair_row_ids *out, esp_error *error) {
    const pairs_read_options *o = m->r->options;
    bool given, continues;
    ESP_TRY(pair_continues(m->r, row, &given, &continues, error));
    for (int k = 0; k < COMPLETIONS; k++)
        ESP_TRY(read_list(m, row, pair_completion_keys[k], &completion[k], error));
    ESP_TRY(take_prompt(m, row, completion, prompt, error));
    ESP_TRY(check_order(m, prompt, completion, error));
    ESP_TRY(encode(m, prompt, completion, out, error));
    for (int k = 0; k < COMPLETIONS; k++)
        if (o->append_end && o->end >= 0 && !continues) MEM_LIST_PUSH(&out->completion[k], o->end);
    return ESP_OK;
}

esp_status pair_messages_read(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error) {
    if (!r->options->has_chat) {
        error_fail(error, "set model.chat_template; plain writes the messages one after another",
                   "%s: rows of messages need a chat template, and the model has none that is known",
                   r->where);
        return error_about(error, ESP_REASON_UNSET, "model.chat_template");
    }
    const json_t *tools = pair_field(row, "tools");
    if (tools && json_array_size(tools) > 0)
        return error_fail(error, "leave such rows out", "%s: field \"tools\" is not supported", r->where);
    message_reading m = {r, arena_new()};
    message_list prompt = {0}, completion[COMPLETIONS] = {{0}};
    esp_status status = read_messages(&m, row, &prompt, completion, out, error);
    MEM_LIST_FREE(&prompt);
    for (int k = 0; k < COMPLETIONS; k++) MEM_LIST_FREE(&completion[k]);
    arena_free(m.memory);
    return status;
}
