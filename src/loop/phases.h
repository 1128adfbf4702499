/* The phases of a run, one file each; run.c calls them in order. Each starts at the store's position and
 * moves it to the next phase in the transaction that records its last work. */
#ifndef ESPALIER_LOOP_PHASES_H
#define ESPALIER_LOOP_PHASES_H

#include "loop/phase_order.h"
#include "loop/run_state.h"

esp_status phase_sft(run_state *run, const store_position *position, esp_error *error);
esp_status phase_search(run_state *run, const store_position *position, esp_error *error);
esp_status phase_learn(run_state *run, const store_position *position, esp_error *error);
esp_status phase_evaluate(run_state *run, const store_position *position, esp_error *error);

#endif
