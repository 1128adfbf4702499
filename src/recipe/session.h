/* A session: what every verb that uses a model opens from a recipe, in one place: compute layer, tokenizer,
 * task, chat template and problems. */
#ifndef ESPALIER_RECIPE_SESSION_H
#define ESPALIER_RECIPE_SESSION_H

#include "base/observer.h"
#include "learn/trainer.h"
#include "model/model.h"
#include "policy/lm.h"
#include "prompt/prompt.h"
#include "recipe/convert.h"
#include "search/search.h"
#include "task/task.h"
#include "text/chat.h"
#include "text/tokenizer.h"

#include <signal.h>

typedef struct {
    const recipe *recipe; /* borrowed */
    observer observer;
    const volatile sig_atomic_t
        *stop; /* set from outside: finish the current write, then ESP_INTERRUPTED; may be NULL */
    compute *compute;
    tokenizer *tokenizer;
    chat *chat;
    task *task;
    grader *grader;               /* who judges answers; NULL: the task */
    prompt_words *words;          /* how problems are written for this tokenizer, task and chat template */
    problem_set train, test, dev; /* empty where the recipe names no file; limits applied */
    problem_set sft; /* of data.sft: empty where SFT takes train's worked solutions, or there is no SFT */
} session;

/* The chat template that a recipe chooses. */
esp_status recipe_open_chat(const recipe *r, const tokenizer *t, chat **out, esp_error *error);

/* Opens compute, tokenizer, chat template and task; problems with session_read_problems. */
esp_status session_open(session *out, const recipe *r, const observer *observer,
                        const volatile sig_atomic_t *stop, esp_error *error);
/* train: those to search, dev where it is cut from them, and those of SFT; evaluation: test and dev. */
esp_status session_read_problems(session *s, bool train, bool evaluation, esp_error *error);
void session_close(session *s);
bool session_stopped(const session *s);

/* The policy's weights at path (recipe->model.path where NULL, or new ones where model.init says so). */
esp_status session_open_model(session *s, const char *path, bool trainable, model **out, esp_error *error);
/* The judge beside the policy at path (as above), where that has one with weights of its own: NULL otherwise,
 * and the policy judges. Not trainable. */
#define JUDGE_FOLDER "judge"
esp_status session_open_judge(session *s, const char *path, model **out, esp_error *error);
/* Waves of m's trees that are searched at the same time: run.window; where that is 0, two if they leave the
 * bits of a run free of where it was interrupted, and if m has one engine for all threads: the replicas of a
 * small model end a wave each by itself and gain nothing. */
int64_t session_window(const session *s, const model *m);
/* Settings of the local sampler as the recipe has them (search.*, self_eval.*); the session's adds who stops
 * it.
 */
lm_settings recipe_lm_settings(const recipe *r);
lm_settings session_lm_settings(const session *s);
#endif
