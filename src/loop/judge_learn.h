/* The judge, taught in the loop (docs/method.md 3.3, 3.4, 3.7): before the policy's updates of an iteration,
 * a judge with weights of its own learns from rows of the trees; where it shares the policy's weights, the
 * rows join the policy's updates. */
#ifndef ESPALIER_LOOP_JUDGE_LEARN_H
#define ESPALIER_LOOP_JUDGE_LEARN_H

#include "loop/judge_rows_trees.h"
#include "loop/run_state.h"

/* A judge with weights of its own is loaded and, at the phase's beginning, trained: one pass over the rows,
 * updates of their own ("judge"). Later checkpoints of the phase hold it trained. Other judges: nothing is
 * done. */
esp_status judge_learn(run_state *run, const store_position *position, esp_error *error);

/* Rows for the policy's updates. */
typedef struct {
    objective_term term;
    judge_examples rows;
    batches *batches; /* one pass over `updates` updates; NULL: none */
} judge_beside;
/* Without rows where the judge has weights of its own or is not taught. Freed by judge_beside_free, on
 * failure too. Keep it in its place: the rows point into it. */
esp_status judge_beside_make(run_state *run, int64_t iteration, int64_t updates, judge_beside *out,
                             esp_error *error);
void judge_beside_free(judge_beside *b);

#endif
