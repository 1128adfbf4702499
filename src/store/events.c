/* What happened to a run: started, resumed, changed. Part of no digest. */
#include "store/row.h"

static void take_event(row *r, store_event_row *e) {
    e->iteration = row_int(r);
    e->text = row_text(r);
    e->time = row_double(r);
}

esp_status store_read_events(store *s, const char *kind, store_events *out, esp_error *error) {
    READ_ALL(store_event_row, take_event, out,
             QUERY("SELECT iteration, text, time FROM events WHERE kind = ? ORDER BY id", "t", kind));
}
