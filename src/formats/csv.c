#include "formats/csv.h"

#include "base/memory.h"

#include <csv.h>
#include <string.h>

typedef struct {
    int64_t first, count; /* of fields */
    int64_t line;
} table_row;

struct csv_table {
    char *path;
    text_buffer bytes;        /* of all fields, one after the other */
    MEM_LIST(size_t) ends;    /* of each field in `bytes` */
    MEM_LIST(table_row) rows; /* the first one has the names */
    int64_t line;             /* where the reader is */
    table_row now;            /* the row in the making; line 0: none */
};

static void begin_row(csv_table *t) {
    if (t->now.line > 0) return;
    t->now = (table_row){.first = t->ends.count, .line = t->line};
}

static void take_field(void *bytes, size_t length, void *user) {
    csv_table *t = user;
    begin_row(t);
    text_append(&t->bytes, bytes ? bytes : "", length);
    MEM_LIST_PUSH(&t->ends, t->bytes.length);
    t->now.count++;
}

static void take_row(int end, void *user) {
    csv_table *t = user;
    (void)end;
    if (t->now.count > 0) MEM_LIST_PUSH(&t->rows, t->now);
    t->now = (table_row){0};
}

static int no_space(unsigned char c) {
    (void)c;
    return 0; /* white space is part of a field */
}

static const char *field_of(const csv_table *t, int64_t index, size_t *length) {
    size_t start = index > 0 ? t->ends.at[index - 1] : 0;
    *length = t->ends.at[index] - start;
    return t->bytes.at + start;
}

/* Line by line, so that a row's line is known. */
static esp_status parse_lines(csv_table *t, struct csv_parser *parser, const char *text, size_t length,
                              esp_error *error) {
    static const char hint[] =
        "a field with quotes, separators or line ends in it is in double quotes, and quotes in "
        "it are written twice";
    bool broken = false;
    for (size_t i = 0; i < length && !broken;) {
        const char *newline = memchr(text + i, '\n', length - i);
        size_t n = newline ? (size_t)(newline - text) + 1 - i : length - i;
        t->line++;
        bool goes_on = t->now.line > 0; /* a quoted field has a line end */
        broken = csv_parse(parser, text + i, n, take_field, take_row, t) != n;
        if (!goes_on && !broken && parser->entry_pos > 0) begin_row(t);
        i += n;
    }
    if (!broken) broken = csv_fini(parser, take_field, take_row, t) != 0;
    if (!broken) return ESP_OK;
    return error_fail(error, hint, "%s:%lld: not CSV: %s", t->path,
                      (long long)(t->now.line > 0 ? t->now.line : t->line), csv_strerror(csv_error(parser)));
}

static esp_status check_names(const csv_table *t, esp_error *error) {
    if (t->rows.count == 0)
        return error_fail(error, "the first row names the columns", "%s: holds no rows", t->path);
    for (int64_t i = 0; i < t->rows.at[0].count; i++)
        for (int64_t j = 0; j < i; j++) {
            size_t a, b;
            const char *x = field_of(t, i, &a), *y = field_of(t, j, &b);
            if (a == b && memcmp(x, y, a) == 0)
                return error_fail(error, "the first row names the columns; give each a name of its own",
                                  "%s:%lld: two columns are named \"%.*s\"", t->path,
                                  (long long)t->rows.at[0].line, (int)(a < 60 ? a : 60), x);
        }
    return ESP_OK;
}

esp_status csv_read(csv_table **out, const char *path, const char *text, size_t length, char separator,
                    esp_error *error) {
    struct csv_parser parser;
    *out = NULL;
    if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0)
        return error_fail(error, "free some memory", "%s: no memory for CSV", path);
    csv_set_delim(&parser, (unsigned char)separator);
    csv_set_space_func(&parser, no_space);
    csv_table *t = MEM_NEW(csv_table);
    t->path = mem_strdup(path);
    text_puts(&t->bytes, "");
    esp_status status = parse_lines(t, &parser, text, length, error);
    csv_free(&parser);
    if (status == ESP_OK) status = check_names(t, error);
    if (status != ESP_OK) {
        csv_free_table(t);
        return status;
    }
    *out = t;
    return ESP_OK;
}

esp_status csv_row(const csv_table *t, int64_t index, json_t **row, int64_t *line, esp_error *error) {
    *row = NULL;
    if (index + 1 >= t->rows.count) return ESP_OK;
    const table_row *names = &t->rows.at[0], *r = &t->rows.at[index + 1];
    *line = r->line;
    if (r->count != names->count)
        return error_fail(error, "each row has as many fields as the first, which names the columns",
                          "%s:%lld: %lld fields, but %lld columns", t->path, (long long)r->line,
                          (long long)r->count, (long long)names->count);
    json_t *object = json_object();
    for (int64_t i = 0; i < r->count; i++) {
        size_t key_length, length;
        const char *key = field_of(t, names->first + i, &key_length);
        const char *value = field_of(t, r->first + i, &length);
        json_t *text = json_stringn(value, length);
        if (!text || json_object_setn_new(object, key, key_length, text) != 0) {
            json_decref(object);
            return error_fail(error, "save the file as UTF-8", "%s:%lld: column \"%.*s\" is not UTF-8",
                              t->path, (long long)r->line, (int)(key_length < 60 ? key_length : 60), key);
        }
    }
    *row = object;
    return ESP_OK;
}

void csv_free_table(csv_table *t) {
    if (!t) return;
    text_free(&t->bytes);
    MEM_LIST_FREE(&t->ends);
    MEM_LIST_FREE(&t->rows);
    mem_free(t->path);
    mem_free(t);
}
