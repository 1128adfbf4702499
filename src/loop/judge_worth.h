/* What the judge of a run is worth (docs/method.md 3): the figures of each iteration's trees, kept when all
 * of them are there, and what the next iteration's searches make of its confidence (3.5). */
#ifndef ESPALIER_LOOP_JUDGE_WORTH_H
#define ESPALIER_LOOP_JUDGE_WORTH_H

#include "loop/run_state.h"
#include "search/confidence.h"

/* Keeps the figures of the last iteration whose trees are complete at this position, once. It is called
 * before each phase, so that a kill in between loses nothing. */
esp_status judge_keep_figures(run_state *run, const store_position *at, esp_error *error);

/* How the searches of an iteration read the judge's confidence, with self_eval.calibrate: fitted on the trees
 * of the iteration before, kept in run.db and said; of a first iteration, or without the key, all zero. */
esp_status judge_confidence_for(run_state *run, int64_t iteration, search_calibration *out, esp_error *error);

#endif
