/* Who the library reports to: a progress bar on standard error and notes above it; for a run on a terminal,
 * the live view (app/panel.h). */
#ifndef ESPALIER_APP_OBSERVE_H
#define ESPALIER_APP_OBSERVE_H

#include "app/panel.h"

/* The observer holds its bar or panel in *context (zeroed at first), which outlives it. */
typedef struct {
    progress *bar;
    panel *panel;
} observe_context;
observer observe(observe_context *context);
/* For a run: a panel where standard error is a terminal that can show it, else as observe. */
observer observe_run(observe_context *context, const char *name, const volatile sig_atomic_t *stop);
/* Wipes what is on the screen. */
void observe_end(observe_context *context);

#endif
