/* How far a run is, read from its folder, whether or not a process works on it. */
#ifndef ESPALIER_LOOP_RUN_STATUS_H
#define ESPALIER_LOOP_RUN_STATUS_H

#include "loop/run.h"
#include "store/store.h"

typedef struct {
    store_position at;
    int64_t iterations; /* of the recipe */
    int64_t process;    /* that works on it; 0: none */
    int64_t done, of;   /* of this phase: problems searched, updates made; of 0: not known */
    bool tokens_end;    /* a budget of tokens ends the search, so `of` is only the most */
    store_totals totals;
    run_score first, last; /* the recipe's own evaluations; their iteration is -1: none yet */
    double seconds_left;   /* of this phase and all after it, by the phases before; NAN: not known */
    char *recipe_file;     /* the recipe that the run goes by, below its folder */
} run_status;

esp_status run_status_read(run_status *out, const char *folder, esp_error *error);
void run_status_free(run_status *s);

#endif
