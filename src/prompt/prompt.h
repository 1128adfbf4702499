/* From a problem to token ids: the prompt that an answer follows, the judge's prompt, and what the two share.
 * Needs a task, a chat template and a tokenizer; knows no model and no cache, so that training, search,
 * planning and evaluation write the same ids. */
#ifndef ESPALIER_PROMPT_PROMPT_H
#define ESPALIER_PROMPT_PROMPT_H

#include "search/search.h"
#include "task/task.h"
#include "text/chat.h"
#include "text/steps.h"
#include "text/tokenizer.h"

/* The two prefixes that a step is computed in: the policy's prompt, and the judge's (docs/method.md 3.1). */
enum { PREFIX_POLICY, PREFIX_JUDGE, PREFIXES };

typedef struct prompt_words prompt_words;

/* tokens, task and chat are borrowed. Fails for a tokenizer without an end-of-sequence token, and for a chat
 * template that cannot render the task's system turn and examples. */
esp_status prompt_words_new(prompt_words **out, const tokenizer *tokens, const task *t, const chat *chat,
                            esp_error *error);
void prompt_words_free(prompt_words *w);
const tokenizer *prompt_tokenizer(const prompt_words *w);
const task *prompt_task(const prompt_words *w);

/* Appends the generation prompt of a problem: an answer's ids follow directly. */
esp_status prompt_ids(const prompt_words *w, const problem *p, token_list *out, esp_error *error);
/* Appends the ids of an answer as it is taught: the text's own, then end-of-sequence. */
esp_status prompt_answer_ids(const prompt_words *w, const char *text, size_t length, token_list *out,
                             esp_error *error);

/* A judge row (docs/method.md 3.1) is the judge's prefix, the ids of the steps without end-of-sequence, the
 * suffix, and the verdict. with_example as task_judge_prefix: at evaluation it must be false (3.2). */
esp_status prompt_judge_prefix(const prompt_words *w, const problem *p, bool with_example, token_list *out,
                               esp_error *error);
const token_list *prompt_judge_suffix(const prompt_words *w);
int32_t prompt_verdict_id(const prompt_words *w, bool correct); /* -1: the tokenizer has no such token */
int32_t prompt_eos(const prompt_words *w);                      /* with a chat template, its end of turn */
bool prompt_is_end(const prompt_words *w,
                   int32_t id); /* ends an answer: prompt_eos or one of tokenizer_ends */

/* Both prompts of a problem, and how many tokens of a chain fit after each of them (and before the judge's
 * suffix) in `context` positions. room below 1: the problem can be neither searched nor answered. */
typedef struct {
    token_list of[PREFIXES]; /* of[PREFIX_JUDGE] is empty where no judge was asked for */
    int64_t room;
} prompt_pair;
/* with_example: the judge sees the gold rationale; otherwise neither gold nor rationale is looked at at all
 * (docs/method.md 3.2). Freed by prompt_pair_free, on failure too. */
esp_status prompt_pair_make(const prompt_words *w, const problem *p, bool judge, bool with_example,
                            int64_t context, prompt_pair *out, esp_error *error);
void prompt_pair_free(prompt_pair *pair);
/* The room of prompt_pair_make alone. */
esp_status prompt_room(const prompt_words *w, const problem *p, bool judge, bool with_example,
                       int64_t context, int64_t *room, esp_error *error);

/* A problem's options as answers that follow its prompt (docs/method.md 7). In a chat they are the words of
 * the assistant's turn; after a plain prompt that does not end in white space, each begins with a space.
 * There, prompt and option are tokenized as one text, and an option's ids are those from the place where the
 * prompt alone ends, as lm-evaluation-harness has it; where options differ before, those from where they
 * part. */
typedef struct {
    token_list prompt;
    token_list *of; /* [count]: the ids of each option, after the prompt; none is empty */
    int32_t count;
} prompt_choices;
/* labels: the options' labels in place of their texts. What is gold is not looked at. Fails for a problem
 * without options and for an option without text. Freed by prompt_choices_free, on failure too. */
esp_status prompt_choices_make(const prompt_words *w, const problem *p, bool labels, prompt_choices *out,
                               esp_error *error);
void prompt_choices_free(prompt_choices *o);

/* Appends the text of ids as the continuation of a text, without control tokens; out->at is never NULL. */
esp_status prompt_text(const prompt_words *w, const int32_t *ids, int64_t n, text_buffer *out,
                       esp_error *error);
/* The text of the steps from a search's root to `node`. */
esp_status prompt_path_text(const prompt_words *w, const search *s, int32_t node, text_buffer *out,
                            esp_error *error);

/* Where steps and answers end: the task's markers and the ids that end an answer. Sizes and limits are the
 * caller's: one line or sentence per step and no limit until he sets them. */
step_rules prompt_step_rules(const prompt_words *w);

/* ---- A text of the user's own, to be continued ---- */

typedef struct {
    const chat *chat; /* of a user's turn; of kind CHAT_PLAIN: the text is continued as it is */
    const char
        *system;  /* system turn; NULL: the one that the model's chat template has by itself; "": none */
    bool bos;     /* CHAT_PLAIN: begins with beginning-of-sequence where the model expects one */
    bool special; /* CHAT_PLAIN: control tokens in the text are those tokens */
} prompt_form;
esp_status prompt_of_text(const tokenizer *t, const prompt_form *form, const char *text, size_t length,
                          token_list *out, esp_error *error);
/* Checks ids that are to be continued: at least one, each within a vocabulary of `vocab`, and fewer than
 * `context`. *room: how many tokens may follow. */
esp_status prompt_check(const int32_t *ids, int64_t n, int64_t vocab, int64_t context, int64_t *room,
                        esp_error *error);

#endif
