#include "formats/json.h"

#include "base/file.h"
#include "base/limits.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

enum { CHUNK_BYTES = 1 << 16 };

static const char *const NOT_JSON_HINT = "correct the text at that place; JSON must be valid UTF-8";

/* Python writes integers of any length (a tokenizer_config.json may contain 1000000000000000019884624838656),
 * but jansson refuses integers over 64 bits. Returns a copy of the text in which such integers are real
 * numbers, or where `exact` strings. */
static void widen_integers(const char *text, size_t n, bool exact, text_buffer *out) {
    bool in_string = false;
    for (size_t i = 0; i < n;) {
        size_t from = i;
        if (in_string || text[i] < '0' || text[i] > '9') {
            if (in_string && text[i] == '\\' && i + 1 < n)
                i++;
            else if (text[i] == '"')
                in_string = !in_string;
            i++;
            text_append(out, text + from, i - from);
            continue;
        }
        while (i < n && text[i] >= '0' && text[i] <= '9') i++;
        size_t digits = i - from;
        bool integer = i >= n || (text[i] != '.' && text[i] != 'e' && text[i] != 'E');
        while (i < n && text[i] && strchr("0123456789.eE+-", text[i])) i++;
        bool wide = integer && digits >= 19;
        if (wide && exact && out->length > 0 &&
            out->at[out->length - 1] == '-') { /* the sign is inside too */
            out->length--;
            from--;
        }
        if (wide && exact) text_puts(out, "\"");
        text_append(out, text + from, i - from);
        if (wide) text_puts(out, exact ? "\"" : ".0");
    }
}

static json_t *parse(const char *text, size_t n, bool exact, json_error_t *je) {
    json_t *value = json_loadb(text, n, JSON_DECODE_ANY, je);
    if (value || json_error_code(je) != json_error_numeric_overflow) return value;
    text_buffer widened = {0};
    widen_integers(text, n, exact, &widened);
    value = json_loadb(widened.at, widened.length, JSON_DECODE_ANY, je);
    text_free(&widened);
    return value;
}

json_t *json_parse(const char *text, size_t n, json_error_t *je) {
    return parse(text, n, false, je);
}

json_t *json_parse_row(const char *text, size_t n, json_error_t *je) {
    return parse(text, n, true, je);
}

static size_t byte_order_mark(const char *text, size_t n) {
    return n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

esp_status json_read_file(const char *path, json_t **out, esp_error *error) {
    *out = NULL;
    char *text;
    size_t n;
    ESP_TRY(file_read(path, &text, &n, error));
    size_t skip = byte_order_mark(text, n);
    json_error_t je;
    *out = json_parse(text + skip, n - skip, &je);
    mem_free(text);
    if (!*out)
        return error_fail(error, NOT_JSON_HINT, "%s:%d:%d: not JSON: %s", path, je.line, je.column, je.text);
    return ESP_OK;
}

esp_status json_write_file(const char *path, const json_t *value, bool indented, esp_error *error) {
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(17) | (indented ? JSON_INDENT(2) : JSON_COMPACT);
    char *text = json_dumps(value, flags);
    if (!text)
        return error_fail(error, "this is a bug in espalier: please report it",
                          "%s: the value cannot be written as JSON", path);
    file_writer w;
    esp_status status = file_write_begin(&w, path, error);
    if (status == ESP_OK) {
        fputs(text, w.stream); /* a failed write sets the stream's error flag, which file_write_end checks */
        fputc('\n', w.stream);
        status = file_write_end(&w, error);
    }
    free(text);
    return status;
}

char *json_number_text(const json_t *value) {
    if (json_is_integer(value)) return mem_printf("%lld", (long long)json_integer_value(value));
    char *text = NULL;
    for (int digits = 15; digits <= 17; digits++) {
        mem_free(text);
        text = mem_printf("%.*g", digits, json_real_value(value));
        if (strtod(text, NULL) == json_real_value(value)) break;
    }
    return text;
}

static const char *type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number with a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    default:
        return "null";
    }
}

static esp_status need(const json_t *object, const char *key, const char *where, const char *wanted,
                       json_t **out, esp_error *error) {
    if (!json_is_object(object))
        return error_fail(error, "write an object: {\"key\": value, ...}",
                          "%s: expected an object with the key \"%s\", found %s", where, key,
                          object ? type_name(object) : "nothing");
    *out = json_object_get(object, key);
    if (!*out)
        return error_fail(error, "add the key", "%s: the key \"%s\" (%s) is missing", where, key, wanted);
    return ESP_OK;
}

static esp_status wrong_type(const json_t *value, const char *key, const char *where, const char *wanted,
                             esp_error *error) {
    return error_fail(error, "change the value", "%s: \"%s\" must be %s, found %s", where, key, wanted,
                      type_name(value));
}

esp_status json_need_string(const json_t *object, const char *key, const char *where, const char **out,
                            esp_error *error) {
    json_t *value;
    ESP_TRY(need(object, key, where, "a string", &value, error));
    if (!json_is_string(value)) return wrong_type(value, key, where, "a string", error);
    *out = json_string_value(value);
    return ESP_OK;
}

esp_status json_need_number(const json_t *object, const char *key, const char *where, double *out,
                            esp_error *error) {
    json_t *value;
    ESP_TRY(need(object, key, where, "a number", &value, error));
    if (!json_is_number(value)) return wrong_type(value, key, where, "a number", error);
    *out = json_number_value(value);
    return ESP_OK;
}

esp_status json_need_integer(const json_t *object, const char *key, const char *where, int64_t *out,
                             esp_error *error) {
    json_t *value;
    ESP_TRY(need(object, key, where, "an integer", &value, error));
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return ESP_OK;
    }
    double x = json_real_value(value); /* 0 if it is not a real */
    if (!json_is_real(value) || !(x >= -0x1p53 && x <= 0x1p53) || x != (double)(int64_t)x)
        return wrong_type(value, key, where, "an integer", error);
    *out = (int64_t)x;
    return ESP_OK;
}

json_t *json_real_or_null(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *json_from_text(const char *text, size_t length) {
    text_buffer clean = {0};
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        if (n)
            text_append(&clean, text + i, n);
        else
            text_puts(&clean, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    json_t *out = json_stringn(clean.at ? clean.at : "", clean.length);
    text_free(&clean);
    return out;
}

json_t *json_from_ids(const int32_t *ids, int64_t count) {
    json_t *list = json_array();
    for (int64_t i = 0; i < count; i++) json_array_append_new(list, json_integer(ids[i]));
    return list;
}

struct jsonl_reader {
    char *path;
    gzFile file; /* zlib reads uncompressed files unchanged */
    char *chunk;
    size_t chunk_at, chunk_length;
    bool ended;
    text_buffer text; /* the current line */
    int64_t line;
    char *where;
    json_t *row;
};

static esp_status read_failed(jsonl_reader *r, esp_error *error) {
    int code = Z_OK;
    const char *what = gzerror(r->file, &code);
    if (code == Z_ERRNO)
        return error_fail(error, "check the path and the disk", "%s: cannot read: %s", r->path,
                          strerror(errno));
    return error_fail(error, "the compressed file is damaged or cut off: download it again",
                      "%s: cannot decompress after line %lld: %s", r->path, (long long)r->line,
                      code == Z_BUF_ERROR ? "it ends early" : what);
}

esp_status jsonl_open(jsonl_reader **out, const char *path, esp_error *error) {
    *out = NULL;
    bool standard_input = strcmp(path, "-") == 0;
    int fd = standard_input ? dup(STDIN_FILENO) : -1;
    gzFile file = standard_input ? (fd >= 0 ? gzdopen(fd, "rb") : NULL) : gzopen(path, "rbe");
    if (!file) {
        int e = errno;
        if (fd >= 0) close(fd);
        return error_fail(error, "check the path", "%s: cannot open: %s",
                          standard_input ? "standard input" : path, strerror(e));
    }
    gzbuffer(file, CHUNK_BYTES);
    jsonl_reader *r = MEM_NEW(jsonl_reader);
    r->path = mem_strdup(standard_input ? "standard input" : path);
    r->file = file;
    r->chunk = mem_alloc(CHUNK_BYTES);
    r->where = mem_printf("%s:0", r->path);
    *out = r;
    return ESP_OK;
}

/* The next line, without its end, into r->text; *found false at the end of the file. */
static esp_status next_line(jsonl_reader *r, bool *found, esp_error *error) {
    text_clear(&r->text);
    *found = false;
    while (!r->ended) {
        if (r->chunk_at == r->chunk_length) {
            int n = gzread(r->file, r->chunk, CHUNK_BYTES);
            int code = Z_OK;
            if (n <= 0) gzerror(r->file, &code);
            if (n < 0 || (n == 0 && code != Z_OK && code != Z_STREAM_END)) return read_failed(r, error);
            r->chunk_at = 0;
            r->chunk_length = (size_t)n;
            r->ended = n == 0;
            continue;
        }
        *found = true;
        const char *from = r->chunk + r->chunk_at;
        size_t left = r->chunk_length - r->chunk_at;
        const char *end = memchr(from, '\n', left);
        size_t n = end ? (size_t)(end - from) : left;
        if (r->text.length + n > LIMIT_LINE)
            return error_fail(error, "check that it is the file that was meant",
                              "%s:%lld: the line is longer than %zu MB", r->path, (long long)r->line + 1,
                              LIMIT_LINE >> 20);
        ESP_TRY(text_make_room(&r->text, n, r->path, error));
        text_append(&r->text, from, n);
        r->chunk_at += end ? n + 1 : n;
        if (end) break;
    }
    if (*found) r->line++;
    return ESP_OK;
}

static bool is_blank(const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r') return false;
    return true;
}

bool json_is_parquet(const char *text, size_t length) {
    return length >= 4 && memcmp(text, "PAR1", 4) == 0;
}

esp_status json_refuse_parquet(const char *path, esp_error *error) {
    return error_fail(error,
                      "convert it, for example in Python: pandas.read_parquet(IN).to_json(OUT, "
                      "orient='records', lines=True)",
                      "%s: Parquet files are not read", path);
}

esp_status jsonl_next(jsonl_reader *r, json_t **row, esp_error *error) {
    *row = NULL;
    json_decref(r->row);
    r->row = NULL;
    for (;;) {
        bool found;
        ESP_TRY(next_line(r, &found, error));
        if (!found) return ESP_OK;
        size_t skip = r->line == 1 ? byte_order_mark(r->text.at, r->text.length) : 0;
        const char *text = r->text.at + skip;
        size_t n = r->text.length - skip;
        if (is_blank(text, n)) continue;
        mem_free(r->where);
        r->where = mem_printf("%s:%lld", r->path, (long long)r->line);
        json_error_t je;
        r->row = json_parse_row(text, n, &je);
        if (!r->row && r->line == 1 && json_is_parquet(text, n)) return json_refuse_parquet(r->path, error);
        if (!r->row)
            return error_fail(error, "each line of the file must be one whole JSON value in UTF-8",
                              "%s: the line is not JSON: column %d: %s", r->where, je.column, je.text);
        *row = r->row;
        return ESP_OK;
    }
}

int64_t jsonl_line(const jsonl_reader *r) {
    return r->line;
}

const char *jsonl_where(const jsonl_reader *r) {
    return r->where;
}

void jsonl_close(jsonl_reader *r) {
    if (!r) return;
    json_decref(r->row);
    gzclose(r->file);
    mem_free(r->chunk);
    mem_free(r->path);
    mem_free(r->where);
    text_free(&r->text);
    mem_free(r);
}
