/* What the judge's confidence C in a state is worth: the chance that a chain through it ends correct
 * (docs/method.md 3.5). */
#ifndef ESPALIER_SEARCH_CONFIDENCE_H
#define ESPALIER_SEARCH_CONFIDENCE_H

#include <stdbool.h>

/* A logistic map of C's log-odds, and what is known of a problem before its first step. All zero: nothing
 * was fitted, and C is taken as it is. */
typedef struct {
    bool fitted;
    double slope, offset; /* a, b of sigma(a z + b) */
    double start;         /* C~ of the problem's own state, which has no judgement */
} search_calibration;

/* C~ = sigma(a z + b) with z = log(C / (1 - C)); C itself where nothing was fitted. */
double confidence_calibrated(const search_calibration *c, double confidence);
/* C~ of the problem's own state: 1/2 where nothing was fitted. */
double confidence_at_start(const search_calibration *c);

#endif
