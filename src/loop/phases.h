/* The phases of a run, one file each; run.c calls them in order. Each starts at the store's position and
 * moves it to the next phase in the transaction that records its last work. */
#ifndef ESPALIER_LOOP_PHASES_H
#define ESPALIER_LOOP_PHASES_H

#include "learn/objective.h"
#include "loop/phase_order.h"
#include "loop/run_state.h"

esp_status phase_sft(run_state *run, const store_position *position, esp_error *error);
esp_status phase_search(run_state *run, const store_position *position, esp_error *error);
esp_status phase_learn(run_state *run, const store_position *position, esp_error *error);
esp_status phase_evaluate(run_state *run, const store_position *position, esp_error *error);

/* Rows that SFT learns from, in the order of the problems. Freed by sft_rows_free. */
typedef struct {
    learn_path *at;
    int64_t count, capacity, rationales, judge, too_long;
    arena *memory;
} sft_rows;
/* p: the policy that own chains are sampled from; NULL where sft.judge_source is not own. */
esp_status sft_rows_build(session *s, sampler *p, sft_rows *out, esp_error *error);
void sft_rows_free(sft_rows *rows);

#endif
