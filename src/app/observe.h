/* Who the library reports to: a progress bar on standard error and notes above it. */
#ifndef ESPALIER_APP_OBSERVE_H
#define ESPALIER_APP_OBSERVE_H

#include "run/session.h"

/* The observer holds its bar in *context (zeroed at first), which outlives it. */
typedef struct {
    void *bar;
} observe_context;
observer observe(observe_context *context);

#endif
