/* Whether everything of a run is there and as it was written: files, database, rows, trees. */
#ifndef ESPALIER_VIEW_RUN_CHECK_H
#define ESPALIER_VIEW_RUN_CHECK_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Who is told of each finding. A fault is something that is missing or has changed; other findings are what
 * cannot be known (a run of an earlier version) or does no harm. `line` is valid during the call. */
typedef struct {
    void (*found)(void *context, bool fault, const char *line);
    void *context;
} run_check_listener;

typedef struct {
    int64_t faults, notes;
    int64_t files, bytes;           /* compared with their sums */
    int64_t trees, replayed;        /* trees searched again from their rows, and how many gave the same */
    uint64_t digest, digest_tables; /* store_digest, store_digest_tables */
} run_check_result;

/* Compares, in one state of the run.db: SQLite's own check; the sum of each table's rows; every file that
 * run.db knows; the position with the checkpoints; each tree by searching it again. ESP_OK whatever was
 * found: fails only where no check is possible. Changes nothing, and works while another process writes the
 * run. */
esp_status run_check(const char *folder, const run_check_listener *listener, run_check_result *out,
                     esp_error *error);

#endif
