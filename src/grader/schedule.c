#include "grader/schedule.h"

#include <math.h>
#include <stdio.h>

/* Workers lost in a row that are enough where none has ever given an answer. */
enum { FIRST_RESTARTS = 6, WHY = 400 };

typedef struct {
    int64_t number;
    int worker;    /* that was asked */
    double due;    /* it should have answered by then */
    int lost;      /* workers lost over it */
    char why[WHY]; /* the last of them */
} question;

typedef MEM_LIST(question) question_list;

typedef struct {
    bool up, answered; /* answered: since it was started */
    bool nonsense;     /* to be ended for `why` */
    int asked;
    bool alone;     /* its question is asked alone */
    double started; /* began, */
    double since;   /* and when it last gave an answer, or was asked something while it had nothing to do */
    char why[WHY];
} worker;

struct schedule {
    schedule_settings set;
    worker *workers;
    MEM_LIST(int64_t) fresh; /* from first_fresh on */
    int64_t first_fresh;
    question_list again, asked, given_up;
    bool answered_ever, failed;
    int64_t lost_in_a_row;
    double start_seconds; /* an upper bound, from what was seen */
    char why[WHY];
};

schedule *schedule_new(const schedule_settings *settings) {
    schedule *s = MEM_NEW(schedule);
    *s = (schedule){.set = *settings,
                    .workers = MEM_ARRAY(worker, settings->workers),
                    .start_seconds = settings->start_seconds};
    return s;
}

void schedule_free(schedule *s) {
    if (!s) return;
    MEM_LIST_FREE(&s->fresh);
    MEM_LIST_FREE(&s->again);
    MEM_LIST_FREE(&s->asked);
    MEM_LIST_FREE(&s->given_up);
    mem_free(s->workers);
    mem_free(s);
}

void schedule_add(schedule *s, int64_t number) {
    if (s->first_fresh == s->fresh.count) s->first_fresh = s->fresh.count = 0;
    MEM_LIST_PUSH(&s->fresh, number);
}

int64_t schedule_open(const schedule *s) {
    return s->fresh.count - s->first_fresh + s->again.count + s->asked.count + s->given_up.count;
}

static question take_at(question_list *list, int64_t i) {
    question q = list->at[i];
    list->count--;
    memmove(list->at + i, list->at + i + 1, (size_t)(list->count - i) * sizeof *list->at);
    return q;
}

/* ---- losing a worker ---- */

static void fail(schedule *s, const char *why) {
    s->failed = true;
    snprintf(s->why, sizeof s->why, "%s", why);
}

static void lose(schedule *s, int w, const char *why) {
    s->workers[w] = (worker){.up = false};
    s->lost_in_a_row++;
    for (int64_t i = 0; i < s->asked.count;) {
        if (s->asked.at[i].worker != w) {
            i++;
            continue;
        }
        question q = take_at(&s->asked, i);
        q.lost++;
        snprintf(q.why, sizeof q.why, "%s", why);
        if (q.lost < 2)
            MEM_LIST_PUSH(&s->again, q);
        else
            MEM_LIST_PUSH(&s->given_up, q);
    }
    int64_t most = s->set.restarts;
    if (!s->answered_ever && most > FIRST_RESTARTS) most = FIRST_RESTARTS;
    if (s->lost_in_a_row > most) fail(s, why);
}

void schedule_died(schedule *s, int w, const char *why) {
    if (s->workers[w].up) lose(s, w, why);
}

void schedule_wrote_nonsense(schedule *s, int w, const char *why) {
    worker *from = &s->workers[w];
    if (!from->up || from->nonsense) return;
    from->nonsense = true;
    snprintf(from->why, sizeof from->why, "%s", why);
    if (!s->answered_ever) fail(s, why);
}

bool schedule_answered(schedule *s, int w, int64_t number, double now) {
    for (int64_t i = 0; i < s->asked.count; i++) {
        if (s->asked.at[i].worker != w || s->asked.at[i].number != number) continue;
        worker *by = &s->workers[w];
        take_at(&s->asked, i);
        if (!by->answered) /* another start will not take much longer than this one did */
            s->start_seconds = fmin(s->start_seconds, 1 + 2 * (now - by->started));
        by->answered = s->answered_ever = true;
        by->since = now;
        by->asked--;
        by->alone = false;
        s->lost_in_a_row = 0;
        return true;
    }
    return false;
}

/* ---- what to do ---- */

/* When the worker has to be ended unless it answers. */
static double worker_due(const schedule *s, int w) {
    const worker *of = &s->workers[w];
    if (!of->up || of->asked == 0) return INFINITY;
    double due = of->since + s->set.seconds + (of->answered ? 0 : s->start_seconds);
    for (int64_t i = 0; i < s->asked.count; i++)
        if (s->asked.at[i].worker == w) due = fmin(due, s->asked.at[i].due);
    return due;
}

/* Ends a worker that hangs or wrote nonsense. */
static bool end_one(schedule *s, double now, schedule_action *out) {
    for (int w = 0; w < s->set.workers; w++) {
        worker *of = &s->workers[w];
        bool late = worker_due(s, w) <= now;
        if (!of->nonsense && !late) continue;
        if (of->nonsense)
            snprintf(s->why, sizeof s->why, "%s", of->why);
        else
            snprintf(s->why, sizeof s->why, "gave no answer within %g s", s->set.seconds);
        char why[WHY];
        memcpy(why, s->why, sizeof why);
        lose(s, w, why);
        *out = (schedule_action){.kind = SCHEDULE_KILL, .worker = w, .why = s->why};
        return true;
    }
    return false;
}

static void send(schedule *s, int w, question q, double now, schedule_action *out) {
    worker *to = &s->workers[w];
    to->asked++;
    if (to->asked == 1) to->since = now;
    to->alone = q.lost > 0;
    q.worker = w;
    q.due = now + s->set.seconds * to->asked + (to->answered ? 0 : s->start_seconds);
    MEM_LIST_PUSH(&s->asked, q);
    *out = (schedule_action){.kind = SCHEDULE_SEND, .worker = w, .question = q.number};
}

static bool start(schedule *s, int w, double now, schedule_action *out) {
    s->workers[w] = (worker){.up = true, .started = now, .since = now};
    *out = (schedule_action){.kind = SCHEDULE_START, .worker = w};
    return true;
}

/* The worker that has fewest questions among those that may be asked `most`, -1 without any; *down: one that
 * does not run, or -1. */
static int freest(const schedule *s, int most, int *down) {
    int best = -1;
    *down = -1;
    for (int w = 0; w < s->set.workers; w++) {
        const worker *of = &s->workers[w];
        if (!of->up) {
            if (*down < 0) *down = w;
        } else if (of->asked < most && !of->alone && (best < 0 || of->asked < s->workers[best].asked)) {
            best = w;
        }
    }
    return best;
}

/* Questions that are asked again go first, each to a worker that has no other. */
static bool ask_one(schedule *s, double now, schedule_action *out) {
    bool again = s->again.count > 0, fresh = s->first_fresh < s->fresh.count;
    if (!again && !fresh) return false;
    int down, w = freest(s, again ? 1 : s->set.in_flight, &down);
    if (down >= 0 && (w < 0 || s->workers[w].asked > 0)) return start(s, down, now, out);
    if (w < 0) return false;
    question q = {.number = 0};
    if (again)
        q = take_at(&s->again, 0);
    else
        q.number = s->fresh.at[s->first_fresh++];
    send(s, w, q, now, out);
    return true;
}

/* A question is given up once some answer has shown that the program works at all. Where nothing is left that
 * could show it, one question may be the exception, and several mean that the program is broken. */
static bool give_up_one(schedule *s, schedule_action *out) {
    bool last = schedule_open(s) == s->given_up.count;
    if (s->given_up.count == 0 || !(s->answered_ever || last)) return false;
    if (!s->answered_ever && s->given_up.count > 1) {
        fail(s, s->given_up.at[0].why);
        *out = (schedule_action){.kind = SCHEDULE_FAIL, .why = s->why};
        return true;
    }
    question q = take_at(&s->given_up, 0);
    snprintf(s->why, sizeof s->why, "%s", q.why);
    *out = (schedule_action){.kind = SCHEDULE_GIVE_UP, .question = q.number, .why = s->why};
    return true;
}

void schedule_next(schedule *s, double now, schedule_action *out) {
    if (s->failed) {
        *out = (schedule_action){.kind = SCHEDULE_FAIL, .why = s->why};
        return;
    }
    if (end_one(s, now, out) || give_up_one(s, out) || ask_one(s, now, out)) return;
    *out = (schedule_action){.kind = SCHEDULE_WAIT, .until = INFINITY};
    for (int w = 0; w < s->set.workers; w++) out->until = fmin(out->until, worker_due(s, w));
}
