/* How work reports its progress: only app/ prints, so everything below it tells an observer. */
#ifndef ESPALIER_BASE_OBSERVER_H
#define ESPALIER_BASE_OBSERVER_H

#include <stdint.h>

/* Who is told what happens; every member may be NULL. A piece of work begins, steps, and ends; notes may come
 * between. */
typedef struct {
    void *context;
    void (*begin)(void *context, const char *title, int64_t total, const char *unit);
    void (*step)(void *context, int64_t done, const char *detail); /* detail may be NULL */
    void (*end)(void *context);
    void (*note)(void *context, const char *line);
    void (*tokens)(void *context, int64_t done); /* of the current piece of work: sampled or learned from;
                                                    falls where a new piece starts */
} observer;
void observer_begin(const observer *o, const char *title, int64_t total, const char *unit);
void observer_step(const observer *o, int64_t done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void observer_tokens(const observer *o, int64_t done);
void observer_end(const observer *o);
void observer_note(const observer *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
