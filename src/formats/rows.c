#include "formats/rows.h"

#include "base/limits.h"
#include "base/memory.h"
#include "formats/csv.h"
#include "formats/json.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

struct rows_reader {
    char *path;
    jsonl_reader *lines; /* JSON lines; else the whole text: */
    text_buffer text;
    bool array;       /* of a JSON array, */
    csv_table *table; /* or as CSV */
    size_t at;
    int64_t line, next_line; /* of the last row; where `at` is */
    int64_t row_number;      /* of a table */
    char *where;
    json_t *row;
};

/* Whether the name ends so, before ".gz". */
static bool named(const char *path, const char *ending) {
    size_t n = strlen(path), e = strlen(ending);
    if (text_ends_with(path, ".gz")) n -= 3;
    return n > e && strncmp(path + n - e, ending, e) == 0;
}

static esp_status read_all(const char *path, text_buffer *out, esp_error *error) {
    enum { CHUNK = 1 << 16 };
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? dup(STDIN_FILENO) : -1, n = -1, code = Z_OK;
    const char *shown = standard_input ? "standard input" : path;
    gzFile file = standard_input ? (fd >= 0 ? gzdopen(fd, "rb") : NULL) : gzopen(path, "rbe");
    if (!file) return error_fail(error, "check the path", "%s: cannot open: %s", shown, strerror(errno));
    char *chunk = mem_alloc(CHUNK);
    text_puts(out, "");
    esp_status status = ESP_OK;
    while (status == ESP_OK && (n = gzread(file, chunk, CHUNK)) > 0) {
        status = out->length + (size_t)n <= LIMIT_ROWS
                     ? text_make_room(out, (size_t)n, shown, error)
                     : error_fail(error, "write the rows as JSON lines, which are read one by one",
                                  "%s: has more than %zu GB of rows in one text", shown, LIMIT_ROWS >> 30);
        if (status == ESP_OK) text_append(out, chunk, (size_t)n);
    }
    const char *what = gzerror(file, &code);
    bool bad = n < 0 || (code != Z_OK && code != Z_STREAM_END);
    char *why = mem_strdup(code == Z_ERRNO ? strerror(errno) : code == Z_BUF_ERROR ? "it ends early" : what);
    gzclose(file);
    mem_free(chunk);
    if (status == ESP_OK && bad)
        status = error_fail(error,
                            code == Z_ERRNO ? "check the path and the disk"
                                            : "the compressed file is damaged or cut off: download it again",
                            "%s: cannot %s: %s", shown, code == Z_ERRNO ? "read" : "decompress", why);
    mem_free(why);
    return status;
}

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Moves past white space, and counts lines. */
static void skip_space(rows_reader *r) {
    for (; r->at < r->text.length && is_space(r->text.at[r->at]); r->at++)
        r->next_line += r->text.at[r->at] == '\n';
}

static esp_status begin_text(rows_reader *r, const char *path, esp_error *error) {
    ESP_TRY(read_all(path, &r->text, error));
    if (json_is_parquet(r->text.at, r->text.length)) return json_refuse_parquet(r->path, error);
    if (r->text.length >= 3 && memcmp(r->text.at, "\xef\xbb\xbf", 3) == 0) r->at = 3;
    if (named(path, ".csv") || named(path, ".tsv"))
        return csv_read(&r->table, r->path, r->text.at + r->at, r->text.length - r->at,
                        named(path, ".tsv") ? '\t' : ',', error);
    skip_space(r);
    r->array = r->at < r->text.length && r->text.at[r->at] == '[';
    r->at += r->array;
    return ESP_OK;
}

esp_status rows_open(rows_reader **out, const char *path, esp_error *error) {
    *out = NULL;
    if (named(path, ".parquet")) return json_refuse_parquet(path, error);
    rows_reader *r = MEM_NEW(rows_reader);
    r->path = mem_strdup(strcmp(path, "-") == 0 ? "standard input" : path);
    r->where = mem_printf("%s:0", r->path);
    r->next_line = 1;
    esp_status status =
        named(path, ".jsonl") ? jsonl_open(&r->lines, path, error) : begin_text(r, path, error);
    if (status != ESP_OK) {
        rows_close(r);
        return status;
    }
    *out = r;
    return ESP_OK;
}

/* The end of the value of an array that begins at r->at: the comma or bracket after it, outside of strings.
 */
static size_t value_end(const rows_reader *r, int64_t *lines) {
    int depth = 0;
    bool quoted = false;
    size_t i = r->at;
    for (; i < r->text.length; i++) {
        char c = r->text.at[i];
        *lines += c == '\n';
        if (quoted) {
            if (c == '\\' && i + 1 < r->text.length)
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (depth == 0 && (c == ',' || c == ']')) {
            break;
        } else {
            depth += (c == '{' || c == '[') - (c == '}' || c == ']');
        }
    }
    return i;
}

static esp_status parse_row(rows_reader *r, size_t end, const char *hint, esp_error *error) {
    mem_free(r->where);
    r->where = mem_printf("%s:%lld", r->path, (long long)r->line);
    json_error_t at;
    r->row = json_parse_row(r->text.at + r->at, end - r->at, &at);
    if (r->row) return ESP_OK;
    return error_fail(error, hint, "%s: not JSON: line %lld, column %d: %s", r->where,
                      (long long)r->line + at.line - 1, at.column, at.text);
}

static esp_status next_in_array(rows_reader *r, bool *found, esp_error *error) {
    static const char hint[] = "the file must be one JSON array in UTF-8: [{...}, {...}]";
    skip_space(r);
    *found = false;
    if (r->at < r->text.length && r->text.at[r->at] == ']') {
        r->at++;
        skip_space(r);
        if (r->at < r->text.length)
            return error_fail(error, hint, "%s:%lld: text after the end of the array", r->path,
                              (long long)r->next_line);
        r->array = false;
        return ESP_OK;
    }
    if (r->at >= r->text.length)
        return error_fail(error, hint, "%s:%lld: the array has no end", r->path, (long long)r->next_line);
    r->line = r->next_line;
    int64_t lines = 0;
    size_t end = value_end(r, &lines);
    ESP_TRY(parse_row(r, end, hint, error));
    r->next_line += lines;
    r->at = end + (end < r->text.length && r->text.at[end] == ',');
    *found = true;
    return ESP_OK;
}

static esp_status next_line(rows_reader *r, bool *found, esp_error *error) {
    skip_space(r);
    *found = r->at < r->text.length;
    if (!*found) return ESP_OK;
    const char *newline = memchr(r->text.at + r->at, '\n', r->text.length - r->at);
    size_t end = newline ? (size_t)(newline - r->text.at) : r->text.length;
    r->line = r->next_line;
    ESP_TRY(parse_row(r, end, "each line of the file must be one whole JSON value in UTF-8", error));
    r->at = end;
    return ESP_OK;
}

static esp_status next_in_table(rows_reader *r, bool *found, esp_error *error) {
    ESP_TRY(csv_row(r->table, r->row_number++, &r->row, &r->line, error));
    *found = r->row != NULL;
    if (!*found) return ESP_OK;
    mem_free(r->where);
    r->where = mem_printf("%s:%lld", r->path, (long long)r->line);
    return ESP_OK;
}

esp_status rows_next(rows_reader *r, json_t **row, esp_error *error) {
    *row = NULL;
    if (r->lines) return jsonl_next(r->lines, row, error);
    json_decref(r->row);
    r->row = NULL;
    bool found = false;
    if (r->table)
        ESP_TRY(next_in_table(r, &found, error));
    else if (r->array)
        ESP_TRY(next_in_array(r, &found, error));
    else
        ESP_TRY(next_line(r, &found, error));
    if (found) *row = r->row;
    return ESP_OK;
}

int64_t rows_line(const rows_reader *r) {
    return r->lines ? jsonl_line(r->lines) : r->line;
}

const char *rows_where(const rows_reader *r) {
    return r->lines ? jsonl_where(r->lines) : r->where;
}

void rows_close(rows_reader *r) {
    if (!r) return;
    json_decref(r->row);
    jsonl_close(r->lines);
    csv_free_table(r->table);
    text_free(&r->text);
    mem_free(r->path);
    mem_free(r->where);
    mem_free(r);
}
