/* Progress on standard error: on a terminal one live line (bar, count, rate, time left) that fits the window;
 * in a log plain lines, now and then. One bar at a time, used by one thread. */
#ifndef ESPALIER_APP_PROGRESS_H
#define ESPALIER_APP_PROGRESS_H

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct progress progress;

/* Where and how to show; progress_style_of asks the stream and the environment (a terminal that is not
 * "dumb", NO_COLOR, a UTF-8 locale). Tests fill it themselves. */
typedef struct {
    FILE *stream;
    bool live, colour, unicode;
    int width;                    /* columns; 0: asked of the terminal at every drawing */
    double (*now)(void *context); /* seconds; NULL: the monotonic clock */
    void *context;
} progress_style;
progress_style progress_style_of(FILE *stream);

/* A bar of `width` columns; and "3.2/s", "12/min". */
void progress_put_bar(const progress_style *style, double share, int width, text_buffer *out);
void progress_put_rate(text_buffer *out, double per_second);

/* total 0: unknown. unit is a plural word: "problems". progress_begin shows on standard error. */
progress *progress_begin(const char *title, int64_t total, const char *unit);
progress *progress_begin_styled(const progress_style *style, const char *title, int64_t total,
                                const char *unit);
/* Counts n units that were done before (a resumed run): they do not enter the rate. */
void progress_skip(progress *p, int64_t n);
void progress_step(progress *p, int64_t n);   /* n units more */
void progress_set(progress *p, int64_t done); /* done units in all */
/* A few words behind the bar: "loss 0.69". */
void progress_status(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line above the bar (or a plain line, where p is NULL). */
void progress_note(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Replaces the bar by a line that says how much took how long, and frees. */
void progress_end(progress *p);

#endif
