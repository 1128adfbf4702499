/* How far a run is, for whoever watches it: the phase, the iteration, the evaluations so far, what was found,
 * and how long the rest will take by the times of the phases before. The run's watcher is told at the
 * beginning of each phase and after each wave. Times are kept as metrics of the store, so that a resumed run
 * knows them. */
#ifndef ESPALIER_LOOP_RUN_PROGRESS_H
#define ESPALIER_LOOP_RUN_PROGRESS_H

#include "loop/run.h"
#include "store/store.h"

/* Seconds that the last phase of each kind took; NAN: none was done yet. Evaluations before the first and
 * after the last iteration may do more than those between. */
typedef struct {
    double sft, search, learn, evaluate_ends, evaluate_between;
} phase_seconds;

typedef struct {
    phase_seconds took;
    double began; /* the current phase, by the monotonic clock */
    bool resumed; /* the current phase was begun by an earlier process: its time is not kept */
    run_progress shown;
    run_score *scores;
} run_progress_state;

/* The times of the phases that are done. */
esp_status run_progress_read_times(store *s, const recipe *r, phase_seconds *out, esp_error *error);
/* Seconds that the phase at `at` will take as a whole; NAN: none like it was timed. */
double run_progress_seconds_of(const phase_seconds *took, const recipe *r, const store_position *at);

struct run_state;
/* Reads the times of the phases that are done. */
esp_status run_progress_open(struct run_state *run, esp_error *error);
void run_progress_close(run_progress_state *f);
/* Around a phase, and after each wave of a search. */
esp_status run_progress_begin(struct run_state *run, const store_position *at, esp_error *error);
/* trees and pairs: committed so far, over all iterations. */
void run_progress_tell(struct run_state *run, int64_t trees, int64_t pairs);
esp_status run_progress_end(struct run_state *run, const store_position *at, esp_error *error);

/* Seconds that all phases after the one at `at` will take; NAN where one of them was never timed. */
double run_progress_seconds_after(const recipe *r, int phases, const store_position *at,
                                  const phase_seconds *took);

#endif
