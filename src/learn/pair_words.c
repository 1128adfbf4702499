/* The boundary between a prompt and its completions, and their ends. */
#include "learn/pair_row.h"

#include <string.h>

const char *const pair_completion_keys[COMPLETIONS] = {"chosen", "rejected"};

void pair_row_ids_free(pair_row_ids *ids) {
    MEM_LIST_FREE(&ids->prompt);
    for (int k = 0; k < COMPLETIONS; k++) MEM_LIST_FREE(&ids->completion[k]);
}

void pair_words_free(pair_words *words) {
    marked_text_free(&words->before);
    for (int k = 0; k < COMPLETIONS; k++) marked_text_free(&words->completion[k]);
}

esp_status pair_encode(const pair_reading *r, const char *key, const marked_text *text, bool begins,
                       token_list *out, esp_error *error) {
    const tokenizer *t = r->options->tokenizer;
    const char *at = text->text.at ? text->text.at : "";
    size_t spans = (size_t)text->trusted.count;
    int64_t before = out->count;
    esp_status status =
        begins ? tokenizer_encode_trusted(t, at, text->text.length, text->trusted.at, spans, out, error)
               : tokenizer_encode_more(t, at, text->text.length, text->trusted.at, spans, out, error);
    if (status != ESP_OK) return error_prefix(error, "%s: field \"%s\"", r->where, key);
    for (int64_t i = before; i < out->count; i++)
        if (out->at[i] >= r->options->vocab)
            return error_fail(error, "use the tokenizer that belongs to the model",
                              "%s: field \"%s\": token id %d is not in the model's vocabulary of %lld",
                              r->where, key, out->at[i], (long long)r->options->vocab);
    return ESP_OK;
}

static void append_marked(marked_text *to, const marked_text *from) {
    size_t offset = to->text.length;
    if (from->text.length) text_append(&to->text, from->text.at, from->text.length);
    for (int64_t i = 0; i < from->trusted.count; i++) {
        text_span span = {from->trusted.at[i].start + offset, from->trusted.at[i].end + offset};
        text_span *last = to->trusted.count ? &to->trusted.at[to->trusted.count - 1] : NULL;
        if (last && last->end == span.start)
            last->end = span.end; /* a control token may span the two */
        else
            MEM_LIST_PUSH(&to->trusted, span);
    }
}

static int64_t common_count(const token_list *a, const token_list *b) {
    int64_t n = 0;
    while (n < a->count && n < b->count && a->at[n] == b->at[n]) n++;
    return n;
}

static esp_status encode_joined(const pair_reading *r, const pair_words *words, int k, token_list *out,
                                esp_error *error) {
    marked_text both = {0};
    append_marked(&both, &words->before);
    append_marked(&both, &words->completion[k]);
    esp_status status = pair_encode(r, pair_completion_keys[k], &both, words->begins, out, error);
    marked_text_free(&both);
    return status;
}

/* Takes what follows the first `from` ids of each joined text. */
static void take_joined(const token_list joined[COMPLETIONS], int64_t from, pair_row_ids *out) {
    for (int k = 0; k < COMPLETIONS; k++)
        MEM_LIST_APPEND(&out->completion[k], joined[k].at + from, joined[k].count - from);
}

static esp_status encode_apart(const pair_reading *r, const pair_words *words, pair_row_ids *out,
                               esp_error *error) {
    bool begins = words->begins && words->before.text.length == 0;
    for (int k = 0; k < COMPLETIONS; k++)
        ESP_TRY(pair_encode(r, pair_completion_keys[k], &words->completion[k], begins, &out->completion[k],
                            error));
    return ESP_OK;
}

esp_status pair_words_encode(const pair_reading *r, const pair_words *words, pair_row_ids *out,
                             esp_error *error) {
    token_list alone = {0}, joined[COMPLETIONS] = {{0}};
    esp_status status = pair_encode(r, words->before_key, &words->before, words->begins, &alone, error);
    int64_t kept = alone.count;
    for (int k = 0; k < COMPLETIONS && status == ESP_OK; k++) {
        status = encode_joined(r, words, k, &joined[k], error);
        int64_t common = common_count(&alone, &joined[k]);
        if (common < kept) kept = common;
    }
    if (status == ESP_OK) {
        bool merges = kept < alone.count;
        bool one = r->options->boundary == BOUNDARY_ONE && words->start->count + kept > 0;
        MEM_LIST_APPEND(&out->prompt, words->start->at, words->start->count);
        out->moved = merges && one;
        out->apart = merges && !one && r->options->boundary != BOUNDARY_TWO;
        MEM_LIST_APPEND(&out->prompt, alone.at, one ? kept : alone.count);
        if (one || (!merges && r->options->boundary == BOUNDARY_AUTO))
            take_joined(joined, kept, out);
        else
            status = encode_apart(r, words, out, error);
    }
    MEM_LIST_FREE(&alone);
    for (int k = 0; k < COMPLETIONS; k++) MEM_LIST_FREE(&joined[k]);
    return status;
}

int64_t pair_open_count(const tokenizer *t, const token_list *ids) {
    for (int64_t i = ids->count; i-- > 0;) {
        if (tokenizer_is_special(t, ids->at[i])) return i;
        size_t length;
        const char *piece = tokenizer_piece(t, ids->at[i], &length);
        for (size_t c = 0; c < length; c++)
            if (!strchr(" \t\r\n\v\f", piece[c])) return ids->count;
    }
    return ids->count;
}
