#include "search/confidence.h"

#include <math.h>

double confidence_calibrated(const search_calibration *c, double confidence) {
    if (!c->fitted) return confidence;
    double z = log(confidence) - log1p(-confidence);
    return 1 / (1 + exp(-(c->slope * z + c->offset)));
}

double confidence_at_start(const search_calibration *c) {
    return c->fitted ? c->start : 0.5;
}
