/* One row of a query, column by column; for the files that read run.db. */
#ifndef ESPALIER_STORE_ROW_H
#define ESPALIER_STORE_ROW_H

#include "store/internal.h"

/* A row that is being read. A run may come from a stranger: what no run writes (text that is missing, a
 * number out of its range) makes the row a damaged one, and no caller sees it. */
typedef struct {
    sqlite3_stmt *statement;
    arena *memory;
    int column; /* the next one */
    bool damaged;
} row;

/* Each takes the next column. */

/* low where it is no such number. */
int64_t row_in(row *r, int64_t low, int64_t high);
/* A number that counts or numbers something: from 0. */
int64_t row_count(row *r);
int64_t row_iteration(row *r);
/* A node; -1: none. */
int64_t row_node(row *r);
/* Any whole number; a sum of SQL is a real one. */
int64_t row_int(row *r);
double row_double(row *r);
/* NULL where there is none. */
const char *row_text(row *r);
/* "" where there is none, which no run writes. */
const char *row_words(row *r);
/* A blob of 4-byte numbers; NULL where it is empty. */
const void *row_numbers(row *r, int64_t *count);

/* Runs of older schema versions lack the last columns of some tables. */
bool row_has_more(const row *r);
/* The error for it; type: "store_node". */
esp_status row_damaged(store *s, sqlite3_stmt *statement, const char *type, esp_error *error);

/* The rows of `query` (a bound statement) into *out, a STORE_LIST of `type`, by take_TYPE. */
#define READ_ALL(type, take, out, query)                                                                     \
    do {                                                                                                     \
        *(out) = (__typeof__(*(out))){0};                                                                    \
        row r_ = {0};                                                                                        \
        sqlite3_stmt *statement;                                                                             \
        ESP_TRY(query);                                                                                      \
        r_.statement = statement;                                                                            \
        r_.memory = arena_new();                                                                             \
        MEM_LIST(type) list_ = {0};                                                                          \
        bool more_ = true;                                                                                   \
        esp_status status_;                                                                                  \
        while ((status_ = store_next(s, "read", statement, &more_, error)) == ESP_OK && more_) {             \
            type one_ = {0};                                                                                 \
            r_.column = 0;                                                                                   \
            take(&r_, &one_);                                                                                \
            if (r_.damaged) break;                                                                           \
            MEM_LIST_PUSH(&list_, one_);                                                                     \
        }                                                                                                    \
        if (r_.damaged) status_ = row_damaged(s, statement, #type, error);                                   \
        if (status_ == ESP_OK) {                                                                             \
            size_t bytes_ = (size_t)list_.count * sizeof(type);                                              \
            out->at = list_.count ? arena_copy(r_.memory, list_.at, bytes_) : NULL;                          \
            out->count = list_.count;                                                                        \
            out->memory = r_.memory;                                                                         \
        } else {                                                                                             \
            arena_free(r_.memory);                                                                           \
        }                                                                                                    \
        MEM_LIST_FREE(&list_);                                                                               \
        return status_;                                                                                      \
    } while (0)
#define QUERY(...) store_query(s, "read", &statement, error, __VA_ARGS__)

#endif
