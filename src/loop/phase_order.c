#include "loop/phase_order.h"

#include <stdio.h>

static store_phase following(store_phase phase) {
    switch (phase) {
    case STORE_PHASE_SEARCH:
        return STORE_PHASE_LEARN;
    case STORE_PHASE_SFT:
    case STORE_PHASE_LEARN:
        return STORE_PHASE_EVALUATE;
    case STORE_PHASE_EVALUATE:
        return STORE_PHASE_SEARCH; /* of the next iteration */
    case STORE_PHASE_DONE:
        break;
    }
    return STORE_PHASE_DONE;
}

static bool is_evaluated(const recipe *r, int64_t iteration) {
    int64_t every = r->run.eval_every;
    return iteration == 0 || iteration == r->run.iterations || (every > 0 && iteration % every == 0);
}

static bool is_wanted(const recipe *r, int phases, store_phase phase, int64_t iteration) {
    switch (phase) {
    case STORE_PHASE_SFT:
        return phases & RUN_SFT;
    case STORE_PHASE_SEARCH:
        return phases & RUN_SEARCH;
    case STORE_PHASE_LEARN:
        return phases & RUN_LEARN;
    case STORE_PHASE_EVALUATE:
        return (phases & RUN_EVALUATE) && is_evaluated(r, iteration);
    case STORE_PHASE_DONE:
        break;
    }
    return true;
}

store_position phase_after(const recipe *r, int phases, const store_position *at, const char *checkpoint) {
    store_position next = *at;
    next.wave = next.update = 0;
    snprintf(next.checkpoint, sizeof next.checkpoint, "%s", checkpoint);
    if (at->phase == STORE_PHASE_DONE) return next;
    do {
        next.phase = following(next.phase);
        if (next.phase == STORE_PHASE_SEARCH && next.iteration >= r->run.iterations)
            next.phase = STORE_PHASE_DONE;
        next.iteration += next.phase == STORE_PHASE_SEARCH;
    } while (!is_wanted(r, phases, next.phase, next.iteration));
    return next;
}
