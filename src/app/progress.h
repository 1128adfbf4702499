/* Progress on standard error: on a terminal, one live line (bar, count, rate, time left) that fits the
 * window; in a log, plain lines every few seconds. One bar at a time, used by one thread. */
#ifndef ESPALIER_APP_PROGRESS_H
#define ESPALIER_APP_PROGRESS_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct progress progress;

/* Where and how to show progress. progress_style_of fills it from the stream and the environment (TERM,
 * NO_COLOR, the locale); tests fill it themselves. */
typedef struct {
    FILE *stream;
    bool live, colour, unicode;
    int width;                    /* columns; 0: read from the terminal at every drawing */
    double (*now)(void *context); /* seconds; NULL: the monotonic clock */
    void *context;
} progress_style;
progress_style progress_style_of(FILE *stream);

double progress_now(const progress_style *style); /* seconds */
int progress_width(const progress_style *style);  /* columns, now */
/* Appends a bar of `width` columns. */
void progress_put_bar(const progress_style *style, double share, int width, text_buffer *out);

/* total 0: unknown. unit: a plural noun, "problems". progress_begin uses standard error. */
progress *progress_begin(const char *title, int64_t total, const char *unit);
progress *progress_begin_styled(const progress_style *style, const char *title, int64_t total,
                                const char *unit);
void progress_step(progress *p, int64_t n);   /* n units more */
void progress_set(progress *p, int64_t done); /* done units in all */
/* Sets a few words after the bar: "loss 0.69". */
void progress_status(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a line above the bar (a plain line if p is NULL). */
void progress_note(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Replaces the bar with a line that states what was done and how long it took, and frees. */
void progress_end(progress *p);

#endif
