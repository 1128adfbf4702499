/* Tasks: what a problem is, how it is asked, how an answer is found in a text and graded. A task is found by
 * name; GSM8K is the first. Everything the rest of the program knows of a task goes through this header. */
#ifndef ESPALIER_TASK_TASK_H
#define ESPALIER_TASK_TASK_H

#include "base/error.h"
#include "base/memory.h"

#include <jansson.h>

typedef struct task task;

/* The task of that name; NULL with an error that lists the names. */
const task *task_find(const char *name, esp_error *error);
/* "gsm8k, ..." for messages and help. */
const char *task_names(void);
const char *task_name(const task *t);

/* ---- Problems ---- */

typedef struct {
    int64_t index;  /* place in the file, 0-based; random keys use it */
    int64_t line;   /* line of the file, 1-based */
    const char *id; /* the row's "id", else "train:17": file name without endings, line */
    const char *question;
    const char *gold;      /* the answer in its one spelling: "18", "0.5" */
    const char *rationale; /* the solution to learn from, one step a line, ending in the answer line; no
                              newline behind it. NULL when the file has none */
    const char *raw;       /* the solution as the file has it */
    const char *example;   /* a right solution to show the judge, where the rationale is a flawed teacher's;
                              NULL: the rationale */
} problem;

typedef struct {
    problem *at;
    int64_t count;
    char *source; /* the path it was read from */
    arena *memory;
} problem_set;

/* Reads a JSONL file (.gz too, "-" is standard input). A row that is not JSON, lacks a field or has a gold
 * answer that is none is an error naming file:line and field; so is a file without rows. On failure *out
 * holds nothing. */
esp_status task_read(const task *t, const char *path, problem_set *out, esp_error *error);
/* Whether that path is no file but a description of problems to make: "generate:level=easy,count=1000" (task
 * arith; arith.h has the words). task_read takes both. */
bool task_source_is_generated(const char *path);
void problem_set_free(problem_set *set);

/* ---- Asking ---- */

/* What the model is told to do; the same for all problems. */
const char *task_instruction(const task *t);
/* Appends the text of the user's turn for a chat model: instruction, question. */
void task_prompt_chat(const task *t, const problem *p, text_buffer *out);
/* Appends the whole prompt for a model without a chat template: instruction, question, and the cue to begin.
 */
void task_prompt_plain(const task *t, const problem *p, text_buffer *out);
/* Appends the text that a policy is taught to answer (supervised fine-tuning): the rationale, ending in the
 * answer line without a newline. Fails for a problem without a rationale. */
esp_status task_sft_target(const task *t, const problem *p, text_buffer *out, esp_error *error);
/* The strings whose line ends a chain (METHOD.md 2.0), NULL-terminated: "####", "The answer is". */
const char *const *task_answer_markers(const task *t);

/* ---- Self-evaluation (METHOD.md 3.1) ----
 * The judge's prompt is prefix, then the steps so far (as sampled, without end-of-sequence), then the suffix,
 * which is the same for all and is tokenized on its own. The token behind the suffix is the verdict: "A"
 * incorrect, "B" correct. The suffix comes whole, and as its two parts for a chat template to stand between
 * (question: the end of the user's turn, answer: the beginning of the assistant's). */

/* Appends the prefix. with_example shows the gold rationale (problem.example where there is one); at
 * evaluation it must be false (METHOD.md 3.2). A problem without a rationale gets none either way. */
void task_judge_prefix(const task *t, const problem *p, bool with_example, text_buffer *out);
const char *task_judge_suffix(const task *t);
const char *task_judge_question(const task *t);
const char *task_judge_answer(const task *t);
#define TASK_VERDICT_INCORRECT "A"
#define TASK_VERDICT_CORRECT   "B"

/* ---- Grading ---- */

typedef enum {
    ANSWER_NONE,        /* nothing in the text is an answer */
    ANSWER_MARK,        /* behind "####" */
    ANSWER_PHRASE,      /* behind "The answer is" or the like */
    ANSWER_BOX,         /* in \boxed{} */
    ANSWER_LAST_NUMBER, /* the last number of the text */
} answer_source;

typedef struct {
    answer_source source;
    size_t start, length; /* where in the text */
    char *value; /* in its one spelling, the same for equal answers (votes compare it); NULL when there is no
                    answer or it is not of the task's kind */
} task_answer;

/* Finds the answer in text[0, length), which may hold any bytes. Linear time. Freed by task_answer_free. */
task_answer task_extract(const task *t, const char *text, size_t length);
void task_answer_free(task_answer *a);

typedef enum {
    GRADE_EQUAL,
    GRADE_DIFFERENT,
    GRADE_NO_ANSWER,
    GRADE_NOT_A_NUMBER, /* an answer is there but is not of the task's kind, or too large to look at */
    GRADE_BAD_GOLD,     /* the gold itself is not of the task's kind: the data's mistake, not the answer's */
} grade_reason;

typedef struct {
    bool correct;
    grade_reason reason;
    answer_source source;
    char *extracted; /* value in its one spelling, or an excerpt of what stands there instead; NULL without
                        answer */
} task_grade_result;

/* "equal", "different number", "no answer found", "not a number", "gold is not a number". */
const char *grade_reason_text(grade_reason reason);

/* Grades text[0, length) against a gold answer: a number by itself, or a text that one is found in. */
task_grade_result task_grade(const task *t, const char *text, size_t length, const char *gold);
void task_grade_free(task_grade_result *g);

/* One row of `espalier grade`: {"answer", "gold"} (strings, gold may be a JSON number) to a new {"extracted",
 * "correct", "reason"}, "extracted" null without an answer. A missing field or a gold that is none is an
 * error that names `where`. */
esp_status task_grade_row(const task *t, const json_t *row, const char *where, json_t **out,
                          esp_error *error);

#endif
