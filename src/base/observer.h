/* How work reports its progress: only app/ prints, so everything below it tells an observer. */
#ifndef ESPALIER_BASE_OBSERVER_H
#define ESPALIER_BASE_OBSERVER_H

#include <stdint.h>

/* How far a run is. Borrowed: valid during the call. */
typedef struct {
    int64_t iteration;
    double accuracy, low, high; /* 95% interval */
} run_score;
typedef struct {
    const char *phase; /* "sft", "search", "learn", "evaluate" */
    int64_t iteration, iterations;
    const run_score *scores; /* [score_count] the recipe's own evaluations so far, by iteration */
    int64_t score_count;
    int64_t trees, pairs; /* committed so far, over all iterations */
    double phase_seconds; /* this phase will take by what it took before; NAN: not known yet */
    double seconds_after; /* and all that follow it; NAN: not known yet */
} run_progress;

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
    void (*progress)(void *context,
                     const run_progress *progress); /* a phase began, or a wave was committed */
} observer;
void observer_begin(const observer *o, const char *title, int64_t total, const char *unit);
void observer_step(const observer *o, int64_t done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void observer_tokens(const observer *o, int64_t done);
void observer_end(const observer *o);
void observer_note(const observer *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
