/* A session: what every verb that uses a model opens from a recipe, in one place: compute layer, tokenizer,
 * task, chat template, problems; and how work reports its progress, since only app/ prints. */
#ifndef ESPALIER_RUN_SESSION_H
#define ESPALIER_RUN_SESSION_H

#include "learn/trainer.h"
#include "model/model.h"
#include "policy/lm.h"
#include "run/recipe_parts.h"
#include "search/search.h"
#include "task/task.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#include <signal.h>

/* Where a run stands (run/figures.h). Borrowed: valid during the call. */
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
} run_figures;

/* Who is told what happens; every member may be NULL. A piece of work begins, steps, and ends; notes may come
 * between. */
typedef struct {
    void *context;
    void (*begin)(void *context, const char *title, int64_t total, const char *unit);
    void (*step)(void *context, int64_t done, const char *detail); /* detail may be NULL */
    void (*end)(void *context);
    void (*note)(void *context, const char *line);
    void (*tokens)(void *context, int64_t done); /* of the work at hand: sampled or learned from; falls where
                                                    the work starts anew */
    void (*figures)(void *context, const run_figures *figures); /* where the run stands has changed */
} observer;
void observer_begin(const observer *o, const char *title, int64_t total, const char *unit);
void observer_step(const observer *o, int64_t done, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void observer_tokens(const observer *o, int64_t done);
void observer_end(const observer *o);
void observer_note(const observer *o, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct {
    const recipe *recipe; /* borrowed */
    observer observer;
    const volatile sig_atomic_t
        *stop; /* set from outside: finish the write in hand, then ESP_INTERRUPTED; may be NULL */
    compute *compute;
    tokenizer *tokenizer;
    chat_kind chat;
    const task *task;
    problem_set train, test, dev; /* empty where the recipe names no file; limits applied */
} session;

/* Opens compute, tokenizer, chat template and task; problems with session_read_problems. */
esp_status session_open(session *out, const recipe *r, const observer *observer,
                        const volatile sig_atomic_t *stop, esp_error *error);
esp_status session_read_problems(session *s, bool train, bool evaluation, esp_error *error);
void session_close(session *s);
bool session_stopped(const session *s);

/* The policy's weights at path (recipe->model.path where NULL, or new ones where model.init says so). */
esp_status session_open_model(session *s, const char *path, bool trainable, model **out, esp_error *error);
/* Settings of an lm_policy as the recipe has them (search.*, self_eval.*). */
lm_settings session_lm_settings(const session *s);
#endif
