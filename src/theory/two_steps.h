/* Two sibling steps that a search visits: each leads to a correct answer with a chance of its own, uniform in
 * 0..1 and unknown. Which one is better, how often the search's order of them is wrong, and how well alpha
 * says so (docs/theory.md 3): exactly, by summing over all courses of the visits, and by simulation with the
 * program's rule. Private to src/theory. */
#ifndef ESPALIER_THEORY_TWO_STEPS_H
#define ESPALIER_THEORY_TWO_STEPS_H

#include "base/random.h"
#include "eval/calibration.h"

#include <stdint.h>

/* c_puct 1, and the prior of each step. */
#define TWO_STEPS_PRIOR 0.9

/* Correct and incorrect answers below the step of larger value, and below the other. */
typedef struct {
    int64_t right_w, wrong_w, right_l, wrong_l;
} two_counts;

/* Alpha of a pair (docs/method.md 4.2), by visits and by evidence, at most the default of smoothing_cap. */
enum { BY_VISITS, BY_EVIDENCE, WAYS };
double two_steps_alpha(int way, const two_counts *counts);

/* Means over pairs: both steps were visited and their values differ. */
typedef struct {
    double alpha, ece, log_loss; /* ece: the calibration error of ten bins, as eval/calibration.h has it */
} alpha_quality;
typedef struct {
    double wrong; /* share of pairs whose order is wrong */
    alpha_quality of[WAYS];
} two_steps_quality;

/* After `visits` visits in all. */
two_steps_quality two_steps_exact(int visits);

/* The same of `pairs` simulated pairs, with four times the standard error of each number: of a mean, that of
 * the mean; of a calibration error, the sum over its bins. */
typedef struct {
    two_steps_quality mean, noise;
    judge_calibration bins[WAYS];
} two_steps_simulation;
two_steps_simulation two_steps_simulate(int visits, int64_t pairs, rng_key_t key);

#endif
