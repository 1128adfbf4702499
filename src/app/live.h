/* The live view of a run: a few lines at the bottom of the terminal, redrawn in place; notes scroll above
 * them. The cursor rests on the empty line below them, so the terminal is clean however the program ends.
 * Used by one thread. */
#ifndef ESPALIER_APP_LIVE_H
#define ESPALIER_APP_LIVE_H

#include "app/progress.h"
#include "loop/run.h"

typedef struct live_view live_view;

/* name: the run's name, untrusted text. stop: the flag that a signal sets (app/stop.h); may be NULL. */
live_view *live_open(const progress_style *style, const char *name, const volatile sig_atomic_t *stop);
/* Whether the terminal has enough rows for it. */
bool live_fits(FILE *stream);
/* The same as the members of an observer (base/observer.h) and of a run_watcher (loop/run.h). */
void live_begin(live_view *p, const char *title, int64_t total, const char *unit);
void live_step(live_view *p, int64_t done, const char *detail);
void live_tokens(live_view *p, int64_t done);
void live_progress(live_view *p, const run_progress *progress);
void live_note(live_view *p, const char *line);
void live_end(live_view *p);
/* Removes the view from the screen and frees it; NULL is permitted. */
void live_close(live_view *p);

#endif
