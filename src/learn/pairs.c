/* Reading a file of pairs: its rows one after another, their numbers, and what is left out. */
#include "learn/pairs.h"

#include "formats/json.h"
#include "learn/pair_row.h"
#include "search/harvest.h"

#include <math.h>
#include <string.h>

/* A number that may be absent or null: then *out stays. */
static esp_status read_number(const pair_reading *r, const json_t *row, const char *key, double low,
                              double high, double *out, esp_error *error) {
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
static esp_status read_alpha(const pair_reading *r, const json_t *row, double *out, esp_error *error) {
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

static esp_status read_references(const pair_reading *r, const json_t *row, example *out, esp_error *error) {
    double *chosen = &out->path[0].reference, *rejected = &out->path[1].reference;
    *chosen = *rejected = NAN;
    ESP_TRY(read_number(r, row, "ref_logp_chosen", -1e9, 0, chosen, error));
    ESP_TRY(read_number(r, row, "ref_logp_rejected", -1e9, 0, rejected, error));
    bool has_chosen = !isnan(*chosen), has_rejected = !isnan(*rejected);
    if (has_chosen == has_rejected) return ESP_OK;
    return error_fail(error, "give both or neither", "%s: field \"%s\" is missing beside \"%s\"", r->where,
                      has_chosen ? "ref_logp_rejected" : "ref_logp_chosen",
                      has_chosen ? "ref_logp_chosen" : "ref_logp_rejected");
}

/* ---- ids ---- */

static const int32_t *keep_ids(arena *memory, const token_list *ids) {
    return arena_copy(memory, ids->count ? (const void *)ids->at : "", (size_t)ids->count * sizeof *ids->at);
}

static void keep_paths(arena *memory, const pair_row_ids *ids, example *out) {
    const int32_t *prefix = keep_ids(memory, &ids->prompt);
    for (int k = 0; k < COMPLETIONS; k++)
        out->path[k] = (learn_path){.prefix = prefix,
                                    .tail = keep_ids(memory, &ids->completion[k]),
                                    .prefix_count = ids->prompt.count,
                                    .tail_count = ids->completion[k].count,
                                    .reference = out->path[k].reference};
}

static esp_status check_not_empty(const pair_reading *r, const json_t *row, const pair_row_ids *ids,
                                  esp_error *error) {
    bool lists = pair_field(row, "chosen_ids") != NULL;
    const char *const keys[] = {lists ? "prompt_ids" : "prompt", lists ? "chosen_ids" : "chosen",
                                lists ? "rejected_ids" : "rejected"};
    const int64_t counts[] = {ids->prompt.count, ids->completion[CHOSEN].count,
                              ids->completion[REJECTED].count};
    for (int i = 0; i < 3; i++)
        if (counts[i] == 0)
            return error_fail(error, "each part of a pair needs at least one token",
                              "%s: field \"%s\" is empty", r->where, keys[i]);
    return ESP_OK;
}

static int64_t longer_path(const pair_row_ids *ids) {
    int64_t a = ids->completion[CHOSEN].count, b = ids->completion[REJECTED].count;
    return ids->prompt.count + (a > b ? a : b);
}

static bool are_identical(const pair_row_ids *ids) {
    const token_list *a = &ids->completion[CHOSEN], *b = &ids->completion[REJECTED];
    return a->count == b->count && memcmp(a->at, b->at, (size_t)a->count * sizeof *a->at) == 0;
}

/* ---- the file ---- */

void pairs_set_template(pairs_read_options *options, const chat *chat, bool chosen) {
    options->chat = chat ? chat : chat_builtin(CHAT_PLAIN);
    options->has_chat = chat && (chosen || chat_kind_of(chat) != CHAT_PLAIN);
    options->end = options->tokenizer ? chat_end_token(options->chat, options->tokenizer) : -1;
}

typedef struct {
    jsonl_reader *file;
    const pairs_read_options *options;
    pairs_file *out;
    example_list rows;
} pairs_reading;

static esp_status take_row(pairs_reading *p, const json_t *json, const pair_row_ids *ids, example *row,
                           bool *kept, esp_error *error) {
    pair_reading r = {p->options, jsonl_where(p->file)};
    int64_t line = jsonl_line(p->file);
    ESP_TRY(check_not_empty(&r, json, ids, error));
    ESP_TRY(read_alpha(&r, json, &row->alpha, error));
    ESP_TRY(read_references(&r, json, row, error));
    *kept = false;
    if (p->options->longest > 0 && longer_path(ids) > p->options->longest) {
        pairs_count_row(&p->out->counts.too_long, line);
        return ESP_OK;
    }
    if (are_identical(ids)) {
        pairs_count_row(&p->out->counts.identical, line);
        return ESP_OK;
    }
    pairs_count_decisions(&p->out->counts, ids, line);
    keep_paths(p->out->memory, ids, row);
    *kept = true;
    return ESP_OK;
}

static esp_status read_all(pairs_reading *p, esp_error *error) {
    for (;;) {
        json_t *json;
        ESP_TRY(jsonl_next(p->file, &json, error));
        if (!json) return ESP_OK;
        p->out->counts.rows++;
        pair_reading r = {p->options, jsonl_where(p->file)};
        pair_row_ids ids = {0};
        example row = {.term = p->options->term};
        bool kept = false;
        esp_status status = pair_row_read(&r, json, &ids, error);
        if (status == ESP_OK) status = take_row(p, json, &ids, &row, &kept, error);
        pair_row_ids_free(&ids);
        ESP_TRY(status);
        row.group = p->rows.count;
        if (kept) MEM_LIST_PUSH(&p->rows, row);
    }
}

/* A file of which no row is left. */
static esp_status nothing_left(const pairs_counts *pairs, const char *path, int64_t longest,
                               esp_error *error) {
    if (pairs->rows == 0) return error_fail(error, pair_form_hint, "%s: holds no pairs", path);
    if (pairs->too_long.rows == 0)
        return error_fail(error, "a pair is learned from by what its completions do not have in common",
                          "%s: chosen and rejected are the same in all %lld pairs", path,
                          (long long)pairs->rows);
    if (pairs->identical.rows == 0)
        return error_fail(error, "allow longer pairs, or use a model with a longer context",
                          "%s: all %lld pairs are longer than %lld tokens", path, (long long)pairs->rows,
                          (long long)longest);
    return error_fail(
        error, "allow longer pairs, or use a model with a longer context",
        "%s: no pair is left: %lld are longer than %lld tokens, and %lld have identical completions", path,
        (long long)pairs->too_long.rows, (long long)longest, (long long)pairs->identical.rows);
}

esp_status pairs_read(pairs_file *out, const char *path, const pairs_read_options *options,
                      esp_error *error) {
    *out = (pairs_file){0};
    pairs_reading p = {.options = options, .out = out};
    ESP_TRY(jsonl_open(&p.file, path, error));
    out->memory = arena_new();
    esp_status status = read_all(&p, error);
    jsonl_close(p.file);
    out->at = p.rows.at;
    out->count = p.rows.count;
    if (status == ESP_OK && out->count == 0)
        status = nothing_left(&out->counts, path, options->longest, error);
    if (status != ESP_OK) pairs_file_free(out);
    return status;
}

void pairs_file_free(pairs_file *pairs) {
    mem_free(pairs->at);
    arena_free(pairs->memory);
    *pairs = (pairs_file){0};
}
