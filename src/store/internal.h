/* Inside the store: the handle, and how SQL is run. A statement is prepared once and kept, found again by its
 * text; values are bound by a word of letters: i int64_t, d double (NAN is NULL), t const char * (NULL is
 * NULL), b const void * and size_t (a blob). */
#ifndef ESPALIER_STORE_INTERNAL_H
#define ESPALIER_STORE_INTERNAL_H

#include "store/store.h"

#include <sqlite3.h>

#define STORE_APPLICATION_ID 0x4553504c /* "ESPL", in the header of run.db */

typedef struct {
    const char *sql; /* a literal: compared by address first */
    sqlite3_stmt *prepared;
} store_statement;

struct store {
    sqlite3 *db;
    store_mode mode;
    char *folder, *file; /* the run's folder; its run.db */
    int lock, log;       /* file descriptors; -1: not open */
    int place;           /* the folder itself, held while it is written to; -1: not open */
    bool open_transaction;
    bool in_wave;
    int64_t moves; /* how often the open transaction has set the position */
    int64_t moved; /* how often it was set before, as run.db knows */
    int64_t noted; /* the same, as the lock's file says */
    int64_t wave_iteration, wave, wave_trees, wave_nodes, wave_pairs;
    MEM_LIST(store_statement) statements;
};

extern const char store_schema[];
/* Its own statement: a tool that changes rows drops this table, and the next writer makes it again. */
#define STORE_SUMS "CREATE TABLE sums (name TEXT PRIMARY KEY, sum BLOB NOT NULL) WITHOUT ROWID;"
/* [v]: what brings tables of version v to version v + 1. */
extern const char *const store_additions[STORE_SCHEMA_VERSION];

/* Fills error from SQLite's last failure: what was being done, the file, what to do. */
esp_status store_sql_fail(store *s, const char *doing, esp_error *error);

/* Runs a statement that gives no rows. `doing` is for the error message: "add a pair". */
esp_status store_run(store *s, const char *doing, esp_error *error, const char *sql, const char *types, ...);
/* Binds a query; rows come by store_next until *more is false, which also resets it. After an early stop,
 * reset it. */
esp_status store_query(store *s, const char *doing, sqlite3_stmt **out, esp_error *error, const char *sql,
                       const char *types, ...);
esp_status store_next(store *s, const char *doing, sqlite3_stmt *statement, bool *more, esp_error *error);

/* Runs of older schema versions lack some tables. */
esp_status store_has_table(store *s, const char *name, bool *out, esp_error *error);

/* ---- sums of tables (row_sums.c) ---- */
/* Defines the functions that the others need. */
esp_status store_sums_define(store *s, esp_error *error);
/* Takes the rows as they are: for a schema that has just been made or brought up to date. */
esp_status store_sums_fill(store *s, esp_error *error);
/* From here on this connection keeps the sums. */
esp_status store_sums_watch(store *s, esp_error *error);

/* Writes into the lock's file who holds it and how often the position has been set. */
void store_note_moves(store *s);

/* A transaction around several statements, unless one is open already; store_leave commits its own or rolls
 * it back. */
esp_status store_enter(store *s, bool *own, esp_error *error);
esp_status store_leave(store *s, bool own, esp_status so_far, esp_error *error);

#endif
