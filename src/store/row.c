#include "store/row.h"

#include "base/limits.h"

#include <math.h>
#include <string.h>

int64_t row_in(row *r, int64_t low, int64_t high) {
    int at = r->column++;
    int64_t value = sqlite3_column_int64(r->statement, at);
    if (sqlite3_column_type(r->statement, at) == SQLITE_INTEGER && value >= low && value <= high)
        return value;
    r->damaged = true;
    return low;
}

int64_t row_count(row *r) {
    return row_in(r, 0, LIMIT_ROW_NUMBER);
}

int64_t row_iteration(row *r) {
    return row_in(r, 0, LIMIT_ITERATIONS);
}

int64_t row_node(row *r) {
    return row_in(r, -1, INT32_MAX);
}

int64_t row_int(row *r) {
    return sqlite3_column_int64(r->statement, r->column++);
}

double row_double(row *r) {
    int at = r->column++;
    return sqlite3_column_type(r->statement, at) == SQLITE_NULL ? (double)NAN
                                                                : sqlite3_column_double(r->statement, at);
}

const char *row_text(row *r) {
    const char *text = (const char *)sqlite3_column_text(r->statement, r->column++);
    return text ? arena_strdup(r->memory, text) : NULL;
}

const char *row_words(row *r) {
    const char *text = row_text(r);
    r->damaged = r->damaged || !text;
    return text ? text : "";
}

const void *row_numbers(row *r, int64_t *count) {
    const void *bytes = sqlite3_column_blob(r->statement, r->column);
    int64_t n = sqlite3_column_bytes(r->statement, r->column++) / 4;
    if (count) *count = n;
    return n ? arena_copy(r->memory, bytes, (size_t)n * 4) : NULL;
}

bool row_has_more(const row *r) {
    return r->column < sqlite3_column_count(r->statement);
}

esp_status row_damaged(store *s, sqlite3_stmt *statement, const char *type, esp_error *error) {
    sqlite3_reset(statement);
    return error_fail(error, "restore run.db from a copy",
                      "%s: a %s has a value that no run writes: text that is missing, or a number out of its "
                      "range",
                      s->file, type + (strncmp(type, "store_", 6) == 0 ? 6 : 0));
}
