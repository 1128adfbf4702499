/* The order of a run's phases: sft, evaluate, then per iteration search, learn, evaluate (docs/method.md 1).
 */
#ifndef ESPALIER_LOOP_PHASE_ORDER_H
#define ESPALIER_LOOP_PHASE_ORDER_H

#include "recipe/recipe.h"
#include "store/store.h"

/* Which phases a call carries out; the others are skipped. */
enum { RUN_SFT = 1, RUN_SEARCH = 2, RUN_LEARN = 4, RUN_EVALUATE = 8, RUN_ALL = 15 };

/* Where a run continues when the phase at `at` is finished: the next phase in `phases` that the recipe asks
 * for, starting from `checkpoint`. An iteration is evaluated if it is the first (0) or the last one, or
 * run.eval_every divides it. */
store_position phase_after(const recipe *r, int phases, const store_position *at, const char *checkpoint);

#endif
