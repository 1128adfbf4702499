/* Receives what the library reports and shows it on standard error: a progress bar with notes above it, or,
 * for a run on a terminal, the live view (app/live.h). */
#ifndef ESPALIER_APP_OBSERVE_H
#define ESPALIER_APP_OBSERVE_H

#include "app/live.h"

/* The observer keeps its bar or live view in *context, which is zeroed at first and must outlive the
 * observer. */
typedef struct {
    progress *bar;
    live_view *live;
} observe_context;
observer observe(observe_context *context);
/* For a run: the live view if standard error is a terminal that can show it; otherwise the same as observe.
 */
observer observe_run(observe_context *context, const char *name, const volatile sig_atomic_t *stop);
/* For the same run, after observe_run: how far it is, for the live view if there is one. */
run_watcher observe_progress(observe_context *context);
/* Removes the bar or the live view from the screen. */
void observe_end(observe_context *context);

#endif
