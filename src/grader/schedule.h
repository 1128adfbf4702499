/* Which question goes to which worker, and when a worker has to be ended: the rules for programs that answer
 * in any order, hang or die. No processes, no pipes, no clock: the caller says what happened and at what
 * time, and does what schedule_next tells it to.
 *
 * A worker has up to `in_flight` questions at once. It hangs when it has given no answer for `seconds`, or
 * when a question has waited for `seconds` times the questions that the worker had then; until its first
 * answer it has the time to start besides. A worker that gave no answer, died or wrote nonsense is ended, and
 * its questions are asked again, each alone: so the one that was the reason is found. A question whose worker
 * was lost twice is given up. Workers lost one after another without one answer between them mean that the
 * program is broken: then the whole fails. */
#ifndef ESPALIER_GRADER_SCHEDULE_H
#define ESPALIER_GRADER_SCHEDULE_H

#include "base/memory.h"

typedef struct {
    int workers;
    int in_flight;        /* questions of one worker at once */
    double seconds;       /* an answer may take */
    double start_seconds; /* the first answer may take longer by this */
    int64_t restarts;     /* workers lost in a row, without an answer between them, before it fails */
} schedule_settings;

typedef enum {
    SCHEDULE_WAIT,    /* for news, or `until` */
    SCHEDULE_START,   /* a worker; it is taken to run from now on */
    SCHEDULE_SEND,    /* a question to a worker */
    SCHEDULE_KILL,    /* a worker */
    SCHEDULE_GIVE_UP, /* a question: nobody can answer it */
    SCHEDULE_FAIL,    /* the program is broken; nothing else will come */
} schedule_kind;

typedef struct {
    schedule_kind kind;
    int worker;
    int64_t question;
    double until;    /* INFINITY: only news can change anything */
    const char *why; /* of KILL, GIVE_UP and FAIL; valid until the next call */
} schedule_action;

typedef struct schedule schedule;

schedule *schedule_new(const schedule_settings *settings);
void schedule_free(schedule *s); /* NULL: nothing */

/* A new question; numbers are the caller's. */
void schedule_add(schedule *s, int64_t question);
/* What to do now; to be asked until it says WAIT or FAIL. Times are seconds of one clock that never goes
 * back. */
void schedule_next(schedule *s, double now, schedule_action *out);
/* False: the worker has not been asked this. */
bool schedule_answered(schedule *s, int worker, int64_t question, double now);
/* The worker has ended by itself. */
void schedule_died(schedule *s, int worker, const char *why);
/* The worker wrote what is no answer: schedule_next will say KILL, or FAIL where no worker has ever given an
 * answer, since the program does not know how to. */
void schedule_wrote_nonsense(schedule *s, int worker, const char *why);
/* Questions that are neither answered nor given up. */
int64_t schedule_open(const schedule *s);

#endif
