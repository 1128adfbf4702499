/* A grader from outside: who judges answers is a program of the user's, or a server. Questions are asked
 * and verdicts taken in any order, by any thread; many are under way at once. What was answered once is
 * remembered, in run.db too where there is one: nothing is asked twice, and a resumed run gets the verdicts
 * that it got before.
 *
 * A verdict never depends on time, but for one: a question that nobody answers within its time limit cannot
 * be judged (GRADE_UNKNOWN). Such a verdict is not written to run.db.
 *
 * docs/graders.md has the protocol. */
#ifndef ESPALIER_GRADER_GRADER_H
#define ESPALIER_GRADER_GRADER_H

#include "grade/verdict.h"
#include "task/task.h"

#include <signal.h>

typedef enum { GRADER_TASK, GRADER_COMMAND, GRADER_HTTP } grader_kind; /* TASK: none from outside */

typedef struct {
    grader_kind kind;
    const char *command;  /* COMMAND: the program and its arguments, a line each */
    const char *url;      /* HTTP */
    int64_t workers;      /* programs; HTTP: requests at once */
    int64_t in_flight;    /* questions that a program has at once */
    double seconds;       /* an answer may take */
    double start_seconds; /* a program's first answer may take longer by this; HTTP: not used */
    int64_t memory_mb;    /* of a program's own data; 0: no limit */
    int64_t restarts;     /* programs lost in a row without an answer between them; HTTP: tries of a
                             request, and questions in a row that are not answered in time */
    const volatile sig_atomic_t *stop; /* ends grader_take; may be NULL */
} grader_settings;

/* As the task's keys have them; nobody stops it. command and url are borrowed. */
grader_settings grader_settings_of(const task_grading *g);

typedef struct grader grader;

/* Nothing is started before the first question. Fails on settings that cannot work (no program of that
 * name). settings are copied, but for *stop. */
esp_status grader_open(grader **out, const grader_settings *settings, esp_error *error);
void grader_close(grader *g); /* ends the programs; NULL: nothing */

/* Reads what run.db in `folder` remembers, and writes there from now on, by a connection of its own. A
 * verdict is written before it is given to anybody. Once, before the first question. */
esp_status grader_remember(grader *g, const char *folder, esp_error *error);

typedef struct {
    grade_verdict verdict;
    bool scored; /* the grader gave a reward, which has the verdict's sign */
    double reward;
    const char *reason; /* NULL: none. Valid until the grader is closed */
} grader_verdict;

/* Asks for the verdict on text[0, length), an answer to a problem: its ticket. */
int64_t grader_ask(grader *g, const problem *p, const char *text, size_t length);
/* Waits for the verdict. Fails when the grader is broken, ESP_INTERRUPTED on request. */
esp_status grader_take(grader *g, int64_t ticket, grader_verdict *out, esp_error *error);

typedef struct {
    int64_t asked;      /* questions that went out */
    int64_t remembered; /* that were known already */
    int64_t given_up;   /* that nobody could answer, */
    const char *why;    /* and the reason of the last of them; NULL: none */
} grader_counts;
grader_counts grader_counts_of(grader *g);

#endif
