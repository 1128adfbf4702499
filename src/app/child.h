/* Work in a process of its own: whatever ends it, this process goes on. */
#ifndef ESPALIER_APP_CHILD_H
#define ESPALIER_APP_CHILD_H

#include "base/error.h"

#include <signal.h>
#include <stdbool.h>

/* Requests to stop (Ctrl-C, SIGTERM, SIGHUP) while children work. They are passed on to the child, which ends
 * in its own way; a second one ends it at once. */
typedef struct {
    sigset_t waited, before;
    bool stopped; /* a request has come */
} child_watch;
/* From begin to end this process takes such signals only here. SIGHUP stays ignored under nohup. */
void child_watch_begin(child_watch *w);
void child_watch_end(child_watch *w);
/* Whether a request has come, also since the last child. */
bool child_stopped(child_watch *w);

/* Runs work(context) in a child and waits for it. Its status and error are returned; of a child that could
 * not say them (killed, crashed), ESP_FAILED and how it ended. The child ends at once if this process does.
 * This process must not have started threads. */
esp_status child_run(child_watch *w, esp_status (*work)(void *context, esp_error *error), void *context,
                     esp_error *error);

#endif
