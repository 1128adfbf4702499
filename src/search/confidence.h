/* What the judge's confidence C in a state is worth: the chance that a chain through it ends correct
 * (docs/method.md 3.5). */
#ifndef ESPALIER_SEARCH_CONFIDENCE_H
#define ESPALIER_SEARCH_CONFIDENCE_H

#include <stdbool.h>

/* A logistic map of C's log-odds, and what is known of a problem before its first step. All zero: nothing
 * was fitted, and C is taken as it is. */
typedef struct {
    bool fitted;
    bool off;             /* the judge is asked, but what it says has no weight: C~ is `start` everywhere */
    double slope, offset; /* a, b of sigma(a z + b) */
    double start;         /* C~ of the problem's own state, which has no judgement */
} search_calibration;

/* z = log(C / (1 - C)), between -CONFIDENCE_MOST and CONFIDENCE_MOST, so that a C of 0 or 1 has one too. */
#define CONFIDENCE_MOST 100.0
double confidence_log_odds(double confidence);
/* C~ = sigma(a z + b); C itself where nothing was fitted, and `start` where the judge is off. */
double confidence_calibrated(const search_calibration *c, double confidence);
/* C~ of the problem's own state: 1/2 where nothing was fitted. */
double confidence_at_start(const search_calibration *c);

#endif
