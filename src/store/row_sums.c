/* Sums of tables. The sum of a table is the sum, modulo 2^128, of the hashes of its rows (XXH3-128 of all
 * columns), in whatever order they were added. It is kept in the table `sums` by triggers of the connection
 * that writes, in the transaction that changes the rows: so it covers every table, also one that a later
 * version of the schema adds. It finds what SQLite does not look for: numbers and texts that have changed in
 * a file whose pages are sound. It is no protection from somebody who means to forge a run. */
#include "store/internal.h"

#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct {
    uint64_t low, high;
} row_sum;

static void add_value(XXH3_state_t *state, sqlite3_value *v) {
    int32_t type = sqlite3_value_type(v);
    XXH3_128bits_update(state, &type, sizeof type);
    if (type == SQLITE_INTEGER) {
        int64_t integer = sqlite3_value_int64(v);
        XXH3_128bits_update(state, &integer, sizeof integer);
    } else if (type == SQLITE_FLOAT) {
        double number = sqlite3_value_double(v);
        XXH3_128bits_update(state, &number, sizeof number);
    } else if (type == SQLITE_TEXT || type == SQLITE_BLOB) {
        const void *bytes = sqlite3_value_blob(v);
        int64_t length = sqlite3_value_bytes(v);
        XXH3_128bits_update(state, &length, sizeof length);
        if (length) XXH3_128bits_update(state, bytes, (size_t)length);
    }
}

static row_sum hash_row(int columns, sqlite3_value **row) {
    XXH3_state_t state;
    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    for (int i = 0; i < columns; i++) add_value(&state, row[i]);
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return (row_sum){hash.low64, hash.high64};
}

static void add(row_sum *to, row_sum x) {
    to->low += x.low;
    to->high += x.high + (to->low < x.low);
}

static void take(row_sum *from, row_sum x) {
    from->high -= x.high + (from->low < x.low);
    from->low -= x.low;
}

static void give(sqlite3_context *context, const row_sum *sum) {
    sqlite3_result_blob(context, sum, sizeof *sum, SQLITE_TRANSIENT);
}

/* row_added(sum, columns...) and row_removed(sum, columns...). */
static void change_sum(sqlite3_context *context, int n, sqlite3_value **values) {
    bool added = sqlite3_user_data(context) != NULL;
    row_sum sum, row = hash_row(n - 1, values + 1);
    if (sqlite3_value_bytes(values[0]) != sizeof sum) {
        sqlite3_result_error(context, "the table sums is damaged", -1);
        return;
    }
    memcpy(&sum, sqlite3_value_blob(values[0]), sizeof sum);
    if (added)
        add(&sum, row);
    else
        take(&sum, row);
    give(context, &sum);
}

/* rows_sum(columns...): of all rows of a query. */
static void sum_step(sqlite3_context *context, int n, sqlite3_value **values) {
    row_sum *sum = sqlite3_aggregate_context(context, sizeof *sum);
    if (sum)
        add(sum, hash_row(n, values));
    else
        sqlite3_result_error_nomem(context);
}

static void sum_final(sqlite3_context *context) {
    const row_sum none = {0}, *sum = sqlite3_aggregate_context(context, 0);
    give(context, sum ? sum : &none);
}

esp_status store_sums_define(store *s, esp_error *error) {
    const int kind = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    static const char yes = 1;
    bool made =
        sqlite3_create_function(s->db, "row_added", -1, kind, (void *)(uintptr_t)&yes, change_sum, NULL,
                                NULL) == SQLITE_OK &&
        sqlite3_create_function(s->db, "row_removed", -1, kind, NULL, change_sum, NULL, NULL) == SQLITE_OK &&
        sqlite3_create_function(s->db, "rows_sum", -1, kind, NULL, NULL, sum_step, sum_final) == SQLITE_OK;
    return made ? ESP_OK : store_sql_fail(s, "open", error);
}

/* ---- the tables ---- */

typedef struct {
    char *name;
    sqlite3_str *plain, *before, *after; /* "a", "b" ...; OLD."a" ...; NEW."a" ... */
} summed_table;
typedef MEM_LIST(summed_table) summed_tables;

static void free_tables(summed_tables *tables) {
    for (int64_t i = 0; i < tables->count; i++) {
        mem_free(tables->at[i].name);
        sqlite3_str *lists[] = {tables->at[i].plain, tables->at[i].before, tables->at[i].after};
        for (int k = 0; k < 3; k++) sqlite3_free(sqlite3_str_finish(lists[k]));
    }
    MEM_LIST_FREE(tables);
}

/* Rows come table by table. */
static void take_column(store *s, summed_tables *out, const char *table, const char *column) {
    summed_table *last = out->count ? &out->at[out->count - 1] : NULL;
    if (!last || strcmp(last->name, table) != 0) {
        summed_table next = {mem_strdup(table), sqlite3_str_new(s->db), sqlite3_str_new(s->db),
                             sqlite3_str_new(s->db)};
        MEM_LIST_PUSH(out, next);
        last = &out->at[out->count - 1];
    }
    const char *comma = sqlite3_str_length(last->plain) ? ", " : "";
    sqlite3_str_appendf(last->plain, "%s\"%w\"", comma, column);
    sqlite3_str_appendf(last->before, "%sOLD.\"%w\"", comma, column);
    sqlite3_str_appendf(last->after, "%sNEW.\"%w\"", comma, column);
}

static esp_status list_tables(store *s, summed_tables *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    *out = (summed_tables){0};
    ESP_TRY(store_query(s, "read", &statement, error,
                        "SELECT t.name, c.name FROM main.sqlite_schema t, pragma_table_info(t.name) c"
                        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'sums'"
                        " ORDER BY t.name, c.cid",
                        ""));
    for (;;) {
        esp_status status = store_next(s, "read", statement, &more, error);
        if (status != ESP_OK) free_tables(out);
        if (status != ESP_OK || !more) return status;
        const char *table = (const char *)sqlite3_column_text(statement, 0);
        const char *column = (const char *)sqlite3_column_text(statement, 1);
        if (table && column) take_column(s, out, table, column);
    }
}

/* Runs SQL that was made here, and frees it. */
static esp_status run_made(store *s, const char *doing, char *sql, esp_error *error) {
    int code = sql ? sqlite3_exec(s->db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    sqlite3_free(sql);
    return code == SQLITE_OK ? ESP_OK : store_sql_fail(s, doing, error);
}

/* For each table, by name: makes SQL of it and runs that. */
typedef char *table_sql(const summed_table *t);
static esp_status run_for_all(store *s, table_sql *make, esp_error *error) {
    summed_tables tables;
    ESP_TRY(list_tables(s, &tables, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < tables.count && status == ESP_OK; i++)
        status = run_made(s, "keep the sums", make(&tables.at[i]), error);
    free_tables(&tables);
    return status;
}

static char *fill_sql(const summed_table *t) {
    return sqlite3_mprintf("INSERT OR REPLACE INTO sums SELECT %Q, rows_sum(%s) FROM main.\"%w\";", t->name,
                           sqlite3_str_value(t->plain), t->name);
}

static char *trigger_sql(const summed_table *t) {
    const char *before = sqlite3_str_value(t->before), *after = sqlite3_str_value(t->after);
    return sqlite3_mprintf("CREATE TEMP TRIGGER \"%w added\" AFTER INSERT ON main.\"%w\" BEGIN"
                           " UPDATE sums SET sum = row_added(sum, %s) WHERE name = %Q; END;"
                           "CREATE TEMP TRIGGER \"%w removed\" AFTER DELETE ON main.\"%w\" BEGIN"
                           " UPDATE sums SET sum = row_removed(sum, %s) WHERE name = %Q; END;"
                           "CREATE TEMP TRIGGER \"%w changed\" AFTER UPDATE ON main.\"%w\" BEGIN"
                           " UPDATE sums SET sum = row_added(row_removed(sum, %s), %s) WHERE name = %Q; END;",
                           t->name, t->name, after, t->name, t->name, t->name, before, t->name, t->name,
                           t->name, before, after, t->name);
}

esp_status store_sums_fill(store *s, esp_error *error) {
    return run_for_all(s, fill_sql, error);
}

esp_status store_sums_watch(store *s, esp_error *error) {
    /* A row that is replaced is one that is removed. The triggers are this connection's own. */
    ESP_TRY(run_made(s, "open", sqlite3_mprintf("PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = 1;"),
                     error));
    return run_for_all(s, trigger_sql, error);
}

/* ---- checking ---- */

/* *same: whether the rows of a table have the sum that is kept. */
static esp_status check_table(store *s, const summed_table *t, bool *same, esp_error *error) {
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_mprintf("SELECT (SELECT rows_sum(%s) FROM main.\"%w\") IS"
                                " (SELECT sum FROM sums WHERE name = %Q)",
                                sqlite3_str_value(t->plain), t->name, t->name);
    int code = sql ? sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) : SQLITE_NOMEM;
    if (code == SQLITE_OK) code = sqlite3_step(statement);
    *same = code == SQLITE_ROW && sqlite3_column_int(statement, 0) == 1;
    esp_status status = code == SQLITE_ROW ? ESP_OK : store_sql_fail(s, "read", error);
    sqlite3_finalize(statement);
    sqlite3_free(sql);
    return status;
}

static bool is_listed(const summed_tables *tables, const char *name) {
    for (int64_t i = 0; name && i < tables->count; i++)
        if (strcmp(tables->at[i].name, name) == 0) return true;
    return false;
}

/* Appends the tables that have a sum and are gone. */
static esp_status list_gone(store *s, const summed_tables *tables, text_buffer *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    ESP_TRY(store_query(s, "read", &statement, error, "SELECT name FROM sums", ""));
    for (;;) {
        ESP_TRY(store_next(s, "read", statement, &more, error));
        if (!more) return ESP_OK;
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        if (!is_listed(tables, name))
            text_printf(out, "%s%s", out->length ? ", " : "", name ? name : "(nameless)");
    }
}

esp_status store_sums_differing(store *s, bool *kept, text_buffer *out, esp_error *error) {
    summed_tables tables;
    ESP_TRY(store_has_table(s, "sums", kept, error));
    if (!*kept) return ESP_OK;
    ESP_TRY(list_tables(s, &tables, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < tables.count && status == ESP_OK; i++) {
        bool same;
        status = check_table(s, &tables.at[i], &same, error);
        if (status == ESP_OK && !same) text_printf(out, "%s%s", out->length ? ", " : "", tables.at[i].name);
    }
    if (status == ESP_OK) status = list_gone(s, &tables, out, error);
    free_tables(&tables);
    return status;
}

esp_status store_check_rows(store *s, esp_error *error) {
    bool kept;
    text_buffer differing = {0};
    esp_status status = store_sums_differing(s, &kept, &differing, error);
    if (status == ESP_OK && differing.length > 0)
        status = error_fail(error, "restore run.db from a copy",
                            "%s: rows are not those that were written, in: %.150s", s->file, differing.at);
    text_free(&differing);
    return status;
}

esp_status store_integrity(store *s, void (*found)(void *context, const char *line), void *context,
                           esp_error *error) {
    sqlite3_stmt *statement;
    bool more;
    ESP_TRY(store_query(s, "check", &statement, error, "PRAGMA integrity_check(20)", ""));
    for (;;) {
        ESP_TRY(store_next(s, "check", statement, &more, error));
        if (!more) return ESP_OK;
        const char *says = (const char *)sqlite3_column_text(statement, 0);
        if (!says || strcmp(says, "ok") == 0) continue;
        char *line = mem_printf("run.db: %s", says);
        found(context, line);
        mem_free(line);
    }
}

/* Tables that two runs are not compared by: they hold times, places, and what depends on the way. */
#define NOT_COMPARED "'meta', 'position', 'files', 'verdicts', 'metrics', 'events'"

esp_status store_digest_tables(store *s, uint64_t *out, esp_error *error) {
    sqlite3_stmt *statement;
    bool kept, more = true;
    XXH3_state_t state;
    *out = 0;
    ESP_TRY(store_has_table(s, "sums", &kept, error));
    if (!kept) return ESP_OK;
    XXH3_INITSTATE(&state);
    XXH3_64bits_reset(&state);
    ESP_TRY(store_query(s, "read", &statement, error,
                        "SELECT name, sum FROM sums WHERE name NOT IN (" NOT_COMPARED ") ORDER BY name", ""));
    for (;;) {
        ESP_TRY(store_next(s, "read", statement, &more, error));
        if (!more) break;
        for (int i = 0; i < 2; i++) {
            const void *bytes = sqlite3_column_blob(statement, i);
            int64_t n = sqlite3_column_bytes(statement, i);
            if (n) XXH3_64bits_update(&state, bytes, (size_t)n);
        }
    }
    *out = XXH3_64bits_digest(&state);
    return ESP_OK;
}
