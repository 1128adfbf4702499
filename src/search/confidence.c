#include "search/confidence.h"

#include <math.h>

double confidence_log_odds(double confidence) {
    double z = log(confidence) - log1p(-confidence);
    return fmax(-CONFIDENCE_MOST, fmin(CONFIDENCE_MOST, z));
}

double confidence_calibrated(const search_calibration *c, double confidence) {
    if (c->off) return confidence_at_start(c);
    if (!c->fitted) return confidence;
    return 1 / (1 + exp(-(c->slope * confidence_log_odds(confidence) + c->offset)));
}

double confidence_at_start(const search_calibration *c) {
    return c->fitted || c->off ? c->start : 0.5;
}
