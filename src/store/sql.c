/* How SQL is run: statements prepared once, values bound by letters, SQLite's failures turned into
 * esp_errors. */
#include "store/internal.h"

#include <math.h>
#include <string.h>

esp_status store_sql_fail(store *s, const char *doing, esp_error *error) {
    int code = sqlite3_extended_errcode(s->db);
    if ((code & 0xff) == SQLITE_FULL) {
        error_fail(error, "free some space; what was committed before is intact",
                   "%s: cannot %s: the disk is full", s->file, doing);
        return error_because(error, ESP_REASON_DISK_FULL);
    }
    if (code ==
        SQLITE_IOERR_WRITE) /* SQLite keeps ENOSPC apart (above); what is left is a limit, or the disk */
    {
        error_fail(error,
                   "check the quota, the limit on file sizes (ulimit -f) and the disk's health; what was "
                   "committed before is intact",
                   "%s: cannot %s: the system refused a write", s->file, doing);
        return error_because(error, ESP_REASON_DISK_FULL);
    }
    const char *hint = "";
    switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        hint = "another program holds the database: end it";
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        hint = "the file is damaged or is no run database; restore it from a copy";
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        hint = "check the permissions of the run's folder";
        break;
    case SQLITE_IOERR:
        hint = "check the disk";
        break;
    default:
        break;
    }
    return error_fail(error, hint, "%s: cannot %s: %s", s->file, doing, sqlite3_errmsg(s->db));
}

static sqlite3_stmt *find_statement(store *s, const char *sql) {
    for (int64_t i = 0; i < s->statements.count; i++) {
        if (s->statements.at[i].sql == sql) return s->statements.at[i].prepared;
    }
    for (int64_t i = 0; i < s->statements.count; i++) {
        if (strcmp(s->statements.at[i].sql, sql) == 0) return s->statements.at[i].prepared;
    }
    return NULL;
}

static int bind_one(sqlite3_stmt *statement, int at, char type, va_list *arguments) {
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(statement, at, va_arg(*arguments, int64_t));
    case 'd':
        return sqlite3_bind_double(statement, at, va_arg(*arguments, double)); /* NAN becomes NULL */
    case 't':
        return sqlite3_bind_text(statement, at, va_arg(*arguments, const char *), -1, SQLITE_STATIC);
    default: {
        const void *bytes = va_arg(*arguments, const void *);
        size_t length = va_arg(*arguments, size_t);
        if (!bytes && length == 0) return sqlite3_bind_zeroblob(statement, at, 0);
        return sqlite3_bind_blob64(statement, at, bytes, (sqlite3_uint64)length, SQLITE_STATIC);
    }
    }
}

static esp_status bind_all(store *s, const char *doing, sqlite3_stmt **out, esp_error *error, const char *sql,
                           const char *types, va_list *arguments) {
    sqlite3_stmt *statement = find_statement(s, sql);
    if (!statement) {
        if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
            return store_sql_fail(s, doing, error);
        store_statement kept = {sql, statement};
        MEM_LIST_PUSH(&s->statements, kept);
    }
    for (int i = 0; types[i]; i++) {
        if (bind_one(statement, i + 1, types[i], arguments) != SQLITE_OK)
            return store_sql_fail(s, doing, error);
    }
    *out = statement;
    return ESP_OK;
}

esp_status store_run(store *s, const char *doing, esp_error *error, const char *sql, const char *types, ...) {
    sqlite3_stmt *statement;
    va_list arguments;
    va_start(arguments, types);
    esp_status status = bind_all(s, doing, &statement, error, sql, types, &arguments);
    va_end(arguments);
    ESP_TRY(status);
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE && code != SQLITE_ROW) status = store_sql_fail(s, doing, error);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement); /* what was bound is the caller's, and ends with the call */
    return status;
}

esp_status store_query(store *s, const char *doing, sqlite3_stmt **out, esp_error *error, const char *sql,
                       const char *types, ...) {
    va_list arguments;
    va_start(arguments, types);
    esp_status status = bind_all(s, doing, out, error, sql, types, &arguments);
    va_end(arguments);
    return status;
}

esp_status store_next(store *s, const char *doing, sqlite3_stmt *statement, bool *more, esp_error *error) {
    int code = sqlite3_step(statement);
    *more = code == SQLITE_ROW;
    if (*more) return ESP_OK;
    esp_status status = code == SQLITE_DONE ? ESP_OK : store_sql_fail(s, doing, error);
    sqlite3_reset(statement);
    return status;
}

/* ---- transactions ---- */

static esp_status begin(store *s, const char *how, esp_error *error) {
    if (s->open_transaction)
        return error_fail(error, "report this: it is a fault of the program",
                          "%s: a transaction is open already", s->file);
    ESP_TRY(store_run(s, "begin a transaction", error, how, ""));
    s->open_transaction = true;
    return ESP_OK;
}

esp_status store_begin(store *s, esp_error *error) {
    return begin(s, "BEGIN IMMEDIATE", error);
}

esp_status store_begin_read(store *s, esp_error *error) {
    return begin(s, "BEGIN", error);
}

void store_rollback(store *s) {
    if (!s->open_transaction) return;
    /* SQLite has rolled back by itself after some failures (a full disk) */
    if (!sqlite3_get_autocommit(s->db)) (void)store_run(s, "roll back", NULL, "ROLLBACK", "");
    s->open_transaction = s->in_wave = false;
    s->moves = 0;
}

esp_status store_commit(store *s, esp_error *error) {
    if (!s->open_transaction || sqlite3_get_autocommit(s->db)) {
        store_rollback(s);
        return error_fail(error, "what was committed before is intact",
                          "%s: nothing to commit: the transaction was rolled back", s->file);
    }
    esp_status status = store_check_place(s, error);
    if (status == ESP_OK) status = store_run(s, "commit", error, "COMMIT", "");
    if (status != ESP_OK) store_rollback(s);
    s->open_transaction = s->in_wave = false;
    if (s->moves > 0) store_note_moves(s);
    return status;
}

esp_status store_enter(store *s, bool *own, esp_error *error) {
    *own = !s->open_transaction;
    return *own ? store_begin(s, error) : ESP_OK;
}

esp_status store_leave(store *s, bool own, esp_status so_far, esp_error *error) {
    if (!own) return so_far;
    if (so_far == ESP_OK) return store_commit(s, error);
    store_rollback(s);
    return so_far;
}
