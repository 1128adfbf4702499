/* Rows of text: {"prompt", "chosen", "rejected"}, or the two with the prompt at the beginning of both. */
#include "learn/pair_row.h"

#include <string.h>

static void mark_all(marked_text *out, const json_t *text) {
    size_t length = json_string_length(text);
    text_append(&out->text, json_string_value(text), length);
    text_span all = {0, length};
    MEM_LIST_PUSH(&out->trusted, all);
}

static bool ends_in_line_break(const json_t *text) {
    size_t length = json_string_length(text);
    return length > 0 && json_string_value(text)[length - 1] == '\n';
}

/* Appends end-of-sequence where the texts end. A row that does not say whether it continues does if each of
 * its completions ends in a line break, unless a template has closed it: then another line is to follow. */
static esp_status end_completions(const pair_reading *r, const json_t *row, pair_row_ids *out,
                                  esp_error *error) {
    const pairs_read_options *o = r->options;
    bool given, continues, closed[COMPLETIONS], open = true;
    ESP_TRY(pair_continues(r, row, &given, &continues, error));
    for (int k = 0; k < COMPLETIONS; k++) {
        closed[k] = pair_open_count(o->tokenizer, &out->completion[k]) < out->completion[k].count;
        open = open && (closed[k] || ends_in_line_break(pair_field(row, pair_completion_keys[k])));
    }
    open = open && !(closed[CHOSEN] && closed[REJECTED]);
    out->open = !given && open && o->append_end;
    for (int k = 0; k < COMPLETIONS; k++)
        if (o->append_end && o->end >= 0 && !closed[k] && !(given ? continues : open))
            MEM_LIST_PUSH(&out->completion[k], o->end);
    return ESP_OK;
}

/* Beginning-of-sequence where the model expects it and the text does not begin with it. */
static void put_start(const tokenizer *t, const json_t *text, token_list *out) {
    size_t length;
    const char *name = tokenizer_piece(t, tokenizer_bos(t), &length);
    bool written = length > 0 && json_string_length(text) >= length &&
                   memcmp(json_string_value(text), name, length) == 0;
    if (tokenizer_adds_bos(t) && !written) MEM_LIST_PUSH(out, tokenizer_bos(t));
}

static esp_status read_explicit(const pair_reading *r, const json_t *row, const json_t *prompt,
                                pair_row_ids *out, esp_error *error) {
    token_list start = {0};
    put_start(r->options->tokenizer, prompt, &start);
    pair_words words = {.start = &start, .begins = true, .before_key = "prompt"};
    mark_all(&words.before, prompt);
    for (int k = 0; k < COMPLETIONS; k++)
        mark_all(&words.completion[k], pair_field(row, pair_completion_keys[k]));
    esp_status status = pair_words_encode(r, &words, out, error);
    pair_words_free(&words);
    MEM_LIST_FREE(&start);
    return status == ESP_OK ? end_completions(r, row, out, error) : status;
}

/* Moves what both completions begin with to the prompt; each completion keeps at least one id. */
static void share_beginning(pair_row_ids *out) {
    token_list *a = &out->completion[CHOSEN], *b = &out->completion[REJECTED];
    int64_t n = 0, most = (a->count < b->count ? a->count : b->count) - 1;
    while (n < most && a->at[n] == b->at[n]) n++;
    MEM_LIST_APPEND(&out->prompt, a->at, n);
    for (int k = 0; k < COMPLETIONS && n > 0; k++) {
        token_list *completion = &out->completion[k];
        memmove(completion->at, completion->at + n, (size_t)(completion->count - n) * sizeof *completion->at);
        completion->count -= n;
    }
}

/* The prompt is what the ids of the two texts begin with, so that no word is cut. */
static esp_status read_implicit(const pair_reading *r, const json_t *row, pair_row_ids *out,
                                esp_error *error) {
    put_start(r->options->tokenizer, pair_field(row, "chosen"), &out->prompt);
    int64_t start = out->prompt.count;
    for (int k = 0; k < COMPLETIONS; k++) {
        marked_text text = {0};
        mark_all(&text, pair_field(row, pair_completion_keys[k]));
        esp_status status = pair_encode(r, pair_completion_keys[k], &text, true, &out->completion[k], error);
        marked_text_free(&text);
        ESP_TRY(status);
    }
    ESP_TRY(end_completions(r, row, out, error));
    share_beginning(out);
    if (out->prompt.count > start) return ESP_OK;
    return error_fail(error, "add the field \"prompt\"",
                      "%s: field \"prompt\" is missing, and \"chosen\" and \"rejected\" do not begin alike",
                      r->where);
}

/* Data sets have prompts under other names, too. Without it, any common beginning would pass for the prompt.
 */
static esp_status check_no_other_prompt(const pair_reading *r, const json_t *row, esp_error *error) {
    static const char *const others[] = {"question", "instruction", "input", "query", "messages"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (pair_field(row, others[i]))
            return error_fail(error, "rename the field that has the prompt to \"prompt\"",
                              "%s: field \"prompt\" is missing; the row has a field \"%s\"", r->where,
                              others[i]);
    return ESP_OK;
}

esp_status pair_texts_read(const pair_reading *r, const json_t *row, pair_row_ids *out, esp_error *error) {
    const json_t *prompt = pair_field(row, "prompt");
    if (pair_field(row, "system"))
        return error_fail(error, "give the row as messages, or put the system text into \"prompt\"",
                          "%s: field \"system\" is not read in a row of texts", r->where);
    if (prompt && !json_is_string(prompt))
        return error_fail(error, "give all three as texts or all three as lists of messages",
                          "%s: field \"prompt\" must be a text, since \"chosen\" and \"rejected\" are texts",
                          r->where);
    if (prompt) return read_explicit(r, row, prompt, out, error);
    ESP_TRY(check_no_other_prompt(r, row, error));
    return read_implicit(r, row, out, error);
}
