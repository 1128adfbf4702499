/* The live view of a run: a few lines at the bottom of the terminal, drawn anew in place, with what is
 * reported scrolling above them. They end above an empty line, where the cursor rests, so that whatever ends
 * the program leaves the terminal clean. Used by one thread. */
#ifndef ESPALIER_APP_PANEL_H
#define ESPALIER_APP_PANEL_H

#include "app/progress.h"
#include "recipe/session.h"

typedef struct panel panel;

/* name: of the run, foreign text. stop: the flag that a signal sets (app/stop.h); may be NULL. */
panel *panel_open(const progress_style *style, const char *name, const volatile sig_atomic_t *stop);
/* Whether the terminal is high enough for it. */
bool panel_fits(FILE *stream);
/* As the members of an observer. */
void panel_begin(panel *p, const char *title, int64_t total, const char *unit);
void panel_step(panel *p, int64_t done, const char *detail);
void panel_tokens(panel *p, int64_t done);
void panel_progress(panel *p, const run_progress *progress);
void panel_note(panel *p, const char *line);
void panel_end(panel *p);
/* Wipes it and frees; NULL is fine. */
void panel_close(panel *p);

#endif
