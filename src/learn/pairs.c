#include "learn/pairs.h"

#include "formats/json.h"
#include "search/harvest.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* ---- out ---- */

static json_t *ids_json(const int32_t *ids, int64_t n) {
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_integer(ids[i]));
    return list;
}

static json_t *native_row(const store_pair *p) {
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o}", "problem", (json_int_t)p->problem,
        "iteration", (json_int_t)p->iteration, "prompt_ids", ids_json(p->prefix_ids, p->prefix_count),
        "chosen_ids", ids_json(p->chosen_ids, p->chosen_count), "rejected_ids",
        ids_json(p->rejected_ids, p->rejected_count), "q_chosen", json_real_or_null(p->q_chosen),
        "q_rejected", json_real_or_null(p->q_rejected), "n_chosen", (json_int_t)p->n_chosen, "n_rejected",
        (json_int_t)p->n_rejected, "alpha", json_real_or_null(p->alpha), "ref_logp_chosen",
        json_real_or_null(p->ref_logp_chosen), "ref_logp_rejected", json_real_or_null(p->ref_logp_rejected));
}

/* Text of ids as JSON; bytes that are no UTF-8 (half a character at a step's end) become U+FFFD. */
static json_t *text_json(const char *text, size_t length) {
    json_t *value = json_stringn(text, length);
    if (value) return value;
    text_buffer b = {0};
    for (size_t i = 0; i < length;) {
        size_t n = 0;
        for (size_t k = 1; k <= 4 && i + k <= length && n == 0; k++) {
            json_t *one = json_stringn(text + i, k);
            if (one) n = k;
            json_decref(one);
        }
        text_append(&b, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
        i += n ? n : 1;
    }
    value = json_stringn(b.at, b.length);
    text_free(&b);
    return value;
}

/* more: the text follows other text. */
static esp_status decode(const tokenizer *t, const int32_t *ids, int64_t n, bool more, json_t **out,
                         esp_error *error) {
    text_buffer text = {0};
    esp_status status = more ? tokenizer_decode_more(t, ids, n, true, &text, error)
                             : tokenizer_decode(t, ids, n, true, &text, error);
    if (status == ESP_OK) *out = text_json(text.at ? text.at : "", text.length);
    text_free(&text);
    return status;
}

static esp_status trl_row(const store_pair *p, const tokenizer *t, json_t **out, esp_error *error) {
    json_t *prompt = NULL, *chosen = NULL, *rejected = NULL;
    esp_status status = decode(t, p->prefix_ids, p->prefix_count, false, &prompt, error);
    if (status == ESP_OK) status = decode(t, p->chosen_ids, p->chosen_count, true, &chosen, error);
    if (status == ESP_OK) status = decode(t, p->rejected_ids, p->rejected_count, true, &rejected, error);
    if (status == ESP_OK) {
        *out = json_pack("{s:O, s:O, s:O}", "prompt", prompt, "chosen", chosen, "rejected", rejected);
    }
    json_decref(prompt);
    json_decref(chosen);
    json_decref(rejected);
    return status;
}

esp_status pairs_row(const store_pair *p, pairs_format format, const tokenizer *t, json_t **out,
                     esp_error *error) {
    *out = NULL;
    if (format == PAIRS_TRL) return trl_row(p, t, out, error);
    *out = native_row(p);
    return ESP_OK;
}

static esp_status write_row(const store_pair *p, pairs_format format, const tokenizer *t, FILE *stream,
                            const char *name, esp_error *error) {
    json_t *row;
    ESP_TRY(pairs_row(p, format, t, &row, error));
    bool fine = json_dumpf(row, stream, JSON_REAL_PRECISION(17)) == 0 && fputc('\n', stream) != EOF;
    json_decref(row);
    if (fine) return ESP_OK;
    return error_fail(error, "free space or choose another place", "%s: cannot write: %s", name,
                      strerror(errno));
}

esp_status pairs_write(store *s, int64_t iteration, pairs_format format, const tokenizer *t, FILE *stream,
                       const char *name, int64_t *written, esp_error *error) {
    store_pairs pairs;
    ESP_TRY(store_read_pairs(s, iteration, &pairs, error));
    esp_status status = ESP_OK;
    int64_t i = 0;
    for (; i < pairs.count && status == ESP_OK; i++)
        status = write_row(&pairs.at[i], format, t, stream, name, error);
    if (status == ESP_OK && fflush(stream) != 0)
        status = error_fail(error, "free space or choose another place", "%s: cannot write: %s", name,
                            strerror(errno));
    if (written) *written = i;
    STORE_LIST_FREE(&pairs);
    return status;
}

/* ---- in ---- */

typedef struct {
    const pairs_read_options *options;
    const char *where;
    arena *memory;
} reading;

static const char form_hint[] =
    "a pair has \"prompt_ids\", \"chosen_ids\", \"rejected_ids\" (lists of token ids) or "
    "\"prompt\", \"chosen\", \"rejected\" (texts)";

static esp_status read_ids(const reading *r, const json_t *row, const char *key, const int32_t **out,
                           int64_t *count, esp_error *error) {
    const json_t *list = json_object_get(row, key);
    if (!list) return error_fail(error, form_hint, "%s: field \"%s\" is missing", r->where, key);
    if (!json_is_array(list))
        return error_fail(error, form_hint, "%s: field \"%s\" must be a list of token ids", r->where, key);
    *count = (int64_t)json_array_size(list);
    int32_t *ids = ARENA_ARRAY(r->memory, int32_t, *count + 1);
    for (int64_t i = 0; i < *count; i++) {
        const json_t *id = json_array_get(list, (size_t)i);
        int64_t value = json_is_integer(id) ? (int64_t)json_integer_value(id) : -1;
        if (value < 0 || value >= r->options->vocab) {
            char *shown = json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT);
            error_fail(error, "the pairs must come from a model with the same tokenizer",
                       "%s: field \"%s\": item %lld, %.40s, is no token id of the model (0 to %lld)",
                       r->where, key, (long long)i, shown ? shown : "?", (long long)r->options->vocab - 1);
            free(shown);
            return ESP_FAILED;
        }
        ids[i] = (int32_t)value;
    }
    *out = ids;
    return ESP_OK;
}

static esp_status need_text(const reading *r, const json_t *row, const char *key, const json_t **out,
                            esp_error *error) {
    const json_t *value = *out = json_object_get(row, key);
    if (!value) return error_fail(error, form_hint, "%s: field \"%s\" is missing", r->where, key);
    if (json_is_array(value))
        return error_fail(error, "apply the chat template first: a pair's texts are strings",
                          "%s: field \"%s\" is a list of messages, not a text", r->where, key);
    if (!json_is_string(value))
        return error_fail(error, form_hint, "%s: field \"%s\" must be a text", r->where, key);
    return ESP_OK;
}

static esp_status encode(const reading *r, const char *key, const char *text, size_t length, token_list *out,
                         esp_error *error) {
    if (tokenizer_encode(r->options->tokenizer, text, length, true, out, error) != ESP_OK)
        return error_prefix(error, "%s: field \"%s\"", r->where, key);
    for (int64_t i = 0; i < out->count; i++)
        if (out->at[i] >= r->options->vocab)
            return error_fail(error, "use the tokenizer that belongs to the model",
                              "%s: field \"%s\": token id %d is not in the model's vocabulary of %lld",
                              r->where, key, out->at[i], (long long)r->options->vocab);
    return ESP_OK;
}

/* The ids of `text` as it continues the prompt: those after the prompt's own in the ids of both
 * together, or its own where a token would span the two. */
static esp_status encode_completion(const reading *r, const char *key, const json_t *prompt,
                                    const token_list *before, const json_t *text, token_list *out,
                                    esp_error *error) {
    text_buffer both = {0};
    token_list ids = {0};
    text_append(&both, json_string_value(prompt), json_string_length(prompt));
    text_append(&both, json_string_value(text), json_string_length(text));
    esp_status status = encode(r, key, both.at ? both.at : "", both.length, &ids, error);
    bool continues =
        ids.count >= before->count &&
        (before->count == 0 || memcmp(ids.at, before->at, (size_t)before->count * sizeof *ids.at) == 0);
    if (status == ESP_OK && continues)
        for (int64_t i = before->count; i < ids.count; i++) MEM_LIST_PUSH(out, ids.at[i]);
    else if (status == ESP_OK)
        status = encode(r, key, json_string_value(text), json_string_length(text), out, error);
    MEM_LIST_FREE(&ids);
    text_free(&both);
    const pairs_read_options *o = r->options;
    bool ends = out->count > 0 && out->at[out->count - 1] == o->end;
    if (o->append_end && !ends) MEM_LIST_PUSH(out, o->end);
    return status;
}

static const int32_t *keep_ids(const reading *r, const token_list *ids, int64_t *count) {
    *count = ids->count;
    return arena_copy(r->memory, ids->count ? (const void *)ids->at : "",
                      (size_t)ids->count * sizeof *ids->at);
}

/* The paths of an example: prefixes and tails. */
static void set_paths(example *out, const int32_t *const ids[3], const int64_t count[3]) {
    for (int k = 0; k < 2; k++)
        out->path[k] = (learn_path){.prefix = ids[0],
                                    .tail = ids[1 + k],
                                    .prefix_count = count[0],
                                    .tail_count = count[1 + k],
                                    .reference = NAN};
}

static esp_status read_id_lists(const reading *r, const json_t *row, example *out, esp_error *error) {
    const int32_t *ids[3];
    int64_t count[3];
    ESP_TRY(read_ids(r, row, "prompt_ids", &ids[0], &count[0], error));
    ESP_TRY(read_ids(r, row, "chosen_ids", &ids[1], &count[1], error));
    ESP_TRY(read_ids(r, row, "rejected_ids", &ids[2], &count[2], error));
    set_paths(out, ids, count);
    return ESP_OK;
}

static esp_status read_texts(const reading *r, const json_t *row, example *out, esp_error *error) {
    const json_t *prompt, *chosen, *rejected;
    ESP_TRY(need_text(r, row, "prompt", &prompt, error));
    ESP_TRY(need_text(r, row, "chosen", &chosen, error));
    ESP_TRY(need_text(r, row, "rejected", &rejected, error));
    if (!r->options->tokenizer)
        return error_fail(
            error,
            "give rows with \"prompt_ids\", \"chosen_ids\", \"rejected_ids\", or a model folder with "
            "a tokenizer",
            "%s: rows of text need a tokenizer", r->where);
    token_list ids[3] = {{0}};
    esp_status status =
        encode(r, "prompt", json_string_value(prompt), json_string_length(prompt), &ids[0], error);
    if (status == ESP_OK) status = encode_completion(r, "chosen", prompt, &ids[0], chosen, &ids[1], error);
    if (status == ESP_OK)
        status = encode_completion(r, "rejected", prompt, &ids[0], rejected, &ids[2], error);
    const int32_t *kept[3];
    int64_t count[3];
    for (int i = 0; i < 3; i++) kept[i] = keep_ids(r, &ids[i], &count[i]);
    if (status == ESP_OK) set_paths(out, kept, count);
    for (int i = 0; i < 3; i++) MEM_LIST_FREE(&ids[i]);
    return status;
}

/* A number that may be absent or null: then *out stays. */
static esp_status read_number(const reading *r, const json_t *row, const char *key, double low, double high,
                              double *out, esp_error *error) {
    const json_t *value = json_object_get(row, key);
    if (!value || json_is_null(value)) return ESP_OK;
    double x = json_number_value(value);
    if (!json_is_number(value) || !(x >= low && x <= high))
        return error_fail(error, "correct it or leave it out",
                          "%s: field \"%s\" must be a number from %g to %g", r->where, key, low, high);
    *out = x;
    return ESP_OK;
}

/* Alpha as given, else from the visits (4.2), else 0. */
static esp_status read_alpha(const reading *r, const json_t *row, double *out, esp_error *error) {
    double alpha = NAN, chosen = NAN, rejected = NAN;
    ESP_TRY(read_number(r, row, "alpha", 0, 1, &alpha, error));
    ESP_TRY(read_number(r, row, "n_chosen", 0, 1e18, &chosen, error));
    ESP_TRY(read_number(r, row, "n_rejected", 0, 1e18, &rejected, error));
    if (isnan(chosen) != isnan(rejected))
        return error_fail(error, "give both or neither", "%s: field \"%s\" is missing beside \"%s\"",
                          r->where, isnan(chosen) ? "n_chosen" : "n_rejected",
                          isnan(chosen) ? "n_rejected" : "n_chosen");
    if (isnan(alpha))
        alpha =
            isnan(chosen) ? 0 : fmin(harvest_doubt_by_visits(chosen, rejected), r->options->smoothing_cap);
    *out = alpha;
    return ESP_OK;
}

static esp_status read_references(const reading *r, const json_t *row, example *out, esp_error *error) {
    double *chosen = &out->path[0].reference, *rejected = &out->path[1].reference;
    ESP_TRY(read_number(r, row, "ref_logp_chosen", -1e9, 0, chosen, error));
    ESP_TRY(read_number(r, row, "ref_logp_rejected", -1e9, 0, rejected, error));
    bool has_chosen = !isnan(*chosen), has_rejected = !isnan(*rejected);
    if (has_chosen == has_rejected) return ESP_OK;
    return error_fail(error, "give both or neither", "%s: field \"%s\" is missing beside \"%s\"", r->where,
                      has_chosen ? "ref_logp_rejected" : "ref_logp_chosen",
                      has_chosen ? "ref_logp_chosen" : "ref_logp_rejected");
}

/* Tokens of the longer path. */
static int64_t length_of(const example *e) {
    int64_t a = e->path[0].tail_count, b = e->path[1].tail_count;
    return e->path[0].prefix_count + (a > b ? a : b);
}

static esp_status check_lengths(const reading *r, const example *e, bool ids, esp_error *error) {
    struct {
        const char *key, *text;
        int64_t count;
    } parts[] = {{"prompt_ids", "prompt", e->path[0].prefix_count},
                 {"chosen_ids", "chosen", e->path[0].tail_count},
                 {"rejected_ids", "rejected", e->path[1].tail_count}};
    for (int i = 0; i < 3; i++)
        if (parts[i].count == 0)
            return error_fail(error, "each part of a pair needs at least one token",
                              "%s: field \"%s\" is empty", r->where, ids ? parts[i].key : parts[i].text);
    if (r->options->context > 0 && length_of(e) > r->options->context)
        return error_fail(error, "leave the row out, or use a model with a longer context",
                          "%s: the pair is %lld tokens long, more than the context of %lld", r->where,
                          (long long)length_of(e), (long long)r->options->context);
    return ESP_OK;
}

static esp_status read_row(const reading *r, const json_t *row, example *out, esp_error *error) {
    *out = (example){.term = r->options->term};
    if (!json_is_object(row)) return error_fail(error, form_hint, "%s: the row is no JSON object", r->where);
    bool ids = json_object_get(row, "prompt_ids") || json_object_get(row, "chosen_ids") ||
               json_object_get(row, "rejected_ids");
    ESP_TRY(ids ? read_id_lists(r, row, out, error) : read_texts(r, row, out, error));
    ESP_TRY(check_lengths(r, out, ids, error));
    ESP_TRY(read_alpha(r, row, &out->alpha, error));
    return read_references(r, row, out, error);
}

static esp_status read_all(jsonl_reader *file, const pairs_read_options *options, pairs_file *out,
                           example_list *rows, esp_error *error) {
    for (;;) {
        json_t *json;
        example row;
        ESP_TRY(jsonl_next(file, &json, error));
        if (!json) return ESP_OK;
        reading r = {.options = options, .where = jsonl_where(file), .memory = out->memory};
        ESP_TRY(read_row(&r, json, &row, error));
        if (options->max_length > 0 && length_of(&row) > options->max_length) {
            out->too_long++;
            continue;
        }
        row.group = rows->count;
        MEM_LIST_PUSH(rows, row);
    }
}

esp_status pairs_read(pairs_file *out, const char *path, const pairs_read_options *options,
                      esp_error *error) {
    *out = (pairs_file){0};
    jsonl_reader *file;
    ESP_TRY(jsonl_open(&file, path, error));
    out->memory = arena_new();
    example_list rows = {0};
    esp_status status = read_all(file, options, out, &rows, error);
    jsonl_close(file);
    out->at = rows.at;
    out->count = rows.count;
    if (status == ESP_OK && out->count == 0 && out->too_long > 0)
        status = error_fail(error, "allow longer pairs", "%s: all %lld pairs are longer than %lld tokens",
                            path, (long long)out->too_long, (long long)options->max_length);
    else if (status == ESP_OK && out->count == 0)
        status = error_fail(error, form_hint, "%s: holds no pairs", path);
    if (status != ESP_OK) pairs_file_free(out);
    return status;
}

void pairs_file_free(pairs_file *pairs) {
    mem_free(pairs->at);
    arena_free(pairs->memory);
    *pairs = (pairs_file){0};
}
