/* Between those who ask and the thread that gets the answers: what a kind of grader is made of. */
#ifndef ESPALIER_GRADER_DESK_H
#define ESPALIER_GRADER_DESK_H

#include "grader/grader.h"

typedef struct grader_desk grader_desk;

/* A kind of grader. */
typedef struct {
    /* Whether it can work at all, and what its verdicts are remembered under (appended): other verdicts need
     * another name. */
    esp_status (*check)(const grader_settings *set, text_buffer *name, esp_error *error);
    /* Gets answers until the desk closes; on a thread of its own. A failure fails all that is asked. */
    esp_status (*work)(grader_desk *desk, const grader_settings *set, esp_error *error);
} grader_ops;

extern const grader_ops grader_command, grader_http;

/* The next question that nobody has taken, as protocol_question has it, valid until it is answered; NULL:
 * none now. */
const char *desk_question(grader_desk *desk, int64_t *ticket);
/* The same of a question that was taken. */
const char *desk_question_at(grader_desk *desk, int64_t ticket);
/* Readable when there are new questions or the desk closes; desk_woken empties it. */
int desk_bell(const grader_desk *desk);
void desk_woken(grader_desk *desk);
bool desk_is_closing(grader_desk *desk);
/* An answer, or why there is none: *verdict is then GRADE_UNKNOWN and not remembered beyond this process.
 * Verdicts are given out by the next desk_deliver, which writes them to run.db first, all in one transaction.
 */
void desk_answer(grader_desk *desk, int64_t ticket, const grader_verdict *verdict, bool given_up);
esp_status desk_deliver(grader_desk *desk, esp_error *error);

#endif
