/* What happened to a run: started, resumed, changed. Part of no digest. */
#include "store/internal.h"

static void take_event(sqlite3_stmt *row, arena *memory, store_event_row *e) {
    const char *text = (const char *)sqlite3_column_text(row, 1);
    e->iteration = sqlite3_column_int64(row, 0);
    e->text = text ? arena_strdup(memory, text) : NULL;
    e->time = sqlite3_column_double(row, 2);
}

esp_status store_read_events(store *s, const char *kind, store_events *out, esp_error *error) {
    sqlite3_stmt *statement;
    MEM_LIST(store_event_row) list = {0};
    bool more;
    *out = (store_events){0};
    ESP_TRY(store_query(s, "read", &statement, error,
                        "SELECT iteration, text, time FROM events WHERE kind = ? ORDER BY id", "t", kind));
    out->memory = arena_new();
    esp_status status;
    while ((status = store_next(s, "read", statement, &more, error)) == ESP_OK && more) {
        store_event_row e = {0};
        take_event(statement, out->memory, &e);
        MEM_LIST_PUSH(&list, e);
    }
    out->at = list.count ? arena_copy(out->memory, list.at, (size_t)list.count * sizeof *list.at) : NULL;
    out->count = list.count;
    MEM_LIST_FREE(&list);
    if (status != ESP_OK) STORE_LIST_FREE(out);
    return status;
}
