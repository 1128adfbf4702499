/* Where a run stands, in the figures that a person who watches it wants: which phase of which iteration, how
 * good the policy was when it was last evaluated, what was found so far, how long the rest will take by what
 * the phases before took. Told to the run's observer at the beginning of each phase and after each wave;
 * times are kept as metrics, so that a resumed run knows them. */
#ifndef ESPALIER_LOOP_FIGURES_H
#define ESPALIER_LOOP_FIGURES_H

#include "recipe/session.h"
#include "store/store.h"

/* Seconds that the last phase of each kind took; NAN: none was done yet. Evaluations at a run's ends may do
 * more than those between. */
typedef struct {
    double sft, search, learn, evaluate_ends, evaluate_between;
} phase_seconds;

typedef struct {
    phase_seconds took;
    double began;     /* the phase at hand, by the monotonic clock */
    bool from_within; /* it was begun before: its time says nothing */
    run_figures shown;
    run_score *scores;
} figures_state;

struct run_state;
/* Reads what is known of a run that goes on. */
esp_status figures_open(struct run_state *run, esp_error *error);
void figures_close(figures_state *f);
/* Around a phase, and after each wave of a search. */
esp_status figures_begin(struct run_state *run, const store_position *at, esp_error *error);
esp_status figures_wave(struct run_state *run, esp_error *error);
esp_status figures_end(struct run_state *run, const store_position *at, esp_error *error);

/* Seconds of all phases that follow the one at `at`; NAN where the time of one of them is not known. */
double figures_seconds_after(const struct run_state *run, const store_position *at,
                             const phase_seconds *took);

#endif
