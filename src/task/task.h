/* Tasks: what a problem is, how it is asked, how an answer is found in a text, compared and graded. All that
 * the rest of the program knows of a task is in this header. A task is made of settings (task_settings.h):
 * one of the built-in tasks, a YAML file, or a recipe's section. */
#ifndef ESPALIER_TASK_TASK_H
#define ESPALIER_TASK_TASK_H

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "grade/verdict.h"
#include "task/task_settings.h"

#include <jansson.h>

typedef struct task task;

/* Fails for settings that do not make a task: an unknown place, a pattern that is none, an example without an
 * answer. Errors name the key. */
esp_status task_new(task **out, const task_settings *settings, esp_error *error);
/* A built-in task by its name, or a task file by its path. */
esp_status task_open(task **out, const char *name, esp_error *error);
void task_free(task *t);
const char *task_name(const task *t);
/* Who judges its answers. */
const task_grading *task_grading_of(const task *t);

/* An answer in the task's own form: one block of memory, freed by mem_free. */
typedef struct task_answer task_answer;

/* ---- Problems ---- */

/* One of the answers that a problem offers. */
typedef struct {
    const char *label, *text; /* "B", "the moon" */
} problem_option;

typedef struct {
    int64_t index;  /* place in the file, 0-based; random keys use it */
    int64_t line;   /* line of the file, 1-based */
    const char *id; /* the row's "id", else "train:17": file name without endings, line */
    const char *question;
    const char *gold;      /* the answer as the task shows it: "18", "0.5", "yes"; with options the label of
                              the correct one */
    const char *rationale; /* the solution to learn from, in the task's steps, ending in the answer's line; no
                              newline after it. NULL when the file has none */
    const char *row;       /* the whole row as JSON, for graders from outside; NULL: none */
    const char *raw;       /* the solution as the file has it */
    const char *example;   /* a correct solution to show the judge, where the rationale is a flawed teacher's;
                              NULL: the rationale */
    const problem_option *options;     /* in the order in which they are shown; NULL: the problem has none */
    int32_t option_count, gold_option; /* gold_option: the place of the correct one */
} problem;

typedef struct {
    problem *at;
    int64_t count;
    char *source; /* the path it was read from */
    arena *memory;
} problem_set;

/* Reads a file of rows (formats/rows.h; "-" is standard input). A row that lacks a field or has a gold answer
 * that the task cannot read is an error naming file:line and field; so is a file without rows. On failure
 * *out holds nothing. */
esp_status task_read(const task *t, const char *path, problem_set *out, esp_error *error);
/* Whether that path is no file but a description of problems to make: "generate:level=easy,count=1000" (task
 * arith; arith.c has the words). task_read accepts both. */
bool task_source_is_generated(const char *path);
void problem_set_free(problem_set *set);

/* ---- Asking ---- */

/* Appends the text of the user's turn for a chat model: instruction, question, options. */
void task_prompt_chat(const task *t, const problem *p, text_buffer *out);
/* Appends the whole prompt for a model without a chat template: the solved examples, instruction, question,
 * and the cue to begin. */
void task_prompt_plain(const task *t, const problem *p, text_buffer *out);
/* Appends the question and, below it, the options. */
void task_question(const task *t, const problem *p, text_buffer *out);
/* The solved examples that precede a question (few-shot): problems whose rationale is what is shown, or the
 * answer's line alone. */
int64_t task_example_count(const task *t);
const problem *task_example(const task *t, int64_t i);
/* Appends the system turn, `model_own` being what the chat template has by itself (may be NULL). False: there
 * is none. */
bool task_system(const task *t, const char *model_own, text_buffer *out);
/* Appends the text that a policy is taught to answer (supervised fine-tuning): the rationale, ending in the
 * answer's line without a newline. Fails for a problem without a rationale. */
esp_status task_sft_target(const task *t, const problem *p, text_buffer *out, esp_error *error);
/* The strings whose line ends a chain (docs/method.md 2.0), NULL-terminated: "####", "The answer is". */
const char *const *task_answer_markers(const task *t);

/* ---- Steps ---- */

/* TASK_STEP_LINE: a step is a line; TASK_STEP_SENTENCE: a sentence, or a line that ends before it does. */
task_step_unit task_unit(const task *t);
/* The end of the step of a solution that begins at text + from: after its newline, or after its sentence and
 * before the space that follows. text ends in a zero and is not at its end. */
size_t task_step_end(const task *t, const char *text, size_t from);

/* Where in a correct solution a mistake is to be, in bytes: in the step [from, to). [0, end) is what will be
 * judged; its last step begins at `last`, which is from or later. */
typedef struct {
    size_t from, to, last, end;
} task_mistake_place;
enum {
    TASK_MISTAKE_DRAW = 4
}; /* the first counter of the key that a task draws by; lower ones are the caller's */

/* Whether the task has a rule for mistakes at all. */
bool task_makes_mistakes(const task *t);
/* Appends the solution up to `end` with a mistake in the place, visible in the last step. *changed: where in
 * *out it begins. False, with *out empty, where there can be none. A function of problem, place and key. */
bool task_make_mistake(const task *t, const problem *p, const task_mistake_place *place, rng_key_t key,
                       text_buffer *out, size_t *changed);

/* ---- Self-evaluation (docs/method.md 3.1) ----
 * The judge's prompt is the prefix, the steps so far (as sampled, without end-of-sequence), then question and
 * answer, which are the same for all problems and are tokenized on their own; a chat template's words come
 * between the two (the question ends the user's turn, the answer begins the assistant's). The next token is
 * the verdict. */

/* Appends the prefix. with_example shows the gold rationale (problem.example where there is one); at
 * evaluation it must be false (docs/method.md 3.2). A problem without a rationale gets none either way. */
void task_judge_prefix(const task *t, const problem *p, bool with_example, text_buffer *out);
const char *task_judge_question(const task *t);
const char *task_judge_answer(const task *t);
/* The verdict on steps that are correct so far, or not: the text of a single token. */
const char *task_verdict(const task *t, bool correct);

/* ---- Answers ----
 * `p` is the problem that is answered: where it offers options, an answer may be one of them. NULL where the
 * problem is not known. */

/* The answer in text[0, length), which may hold any bytes; NULL where there is none. Linear time. */
task_answer *task_answer_find(const task *t, const problem *p, const char *text, size_t length);
/* Whether two answers are the same answer; an equivalence. */
bool task_answer_equal(const task *t, const problem *p, const task_answer *a, const task_answer *b);
/* The answer as text, in which task_answer_find finds an equal one. Freed by mem_free. */
char *task_answer_show(const task *t, const problem *p, const task_answer *a);
/* Groups equal answers, as votes need it: group[i] is the place of the first answer that is equal to
 * shown[i], -1 where that is NULL. Texts of task_answer_show. t may be NULL: then equal texts are equal
 * answers. */
void task_answer_group(const task *t, const problem *p, const char *const *shown, int64_t n, int64_t *group);

/* ---- Grading ---- */

typedef struct {
    grade_verdict verdict;
    bool correct;       /* the verdict is GRADE_EQUAL */
    bool bad_gold;      /* the gold holds no answer of this task: the data's mistake */
    const char *reason; /* in the task's words: "equal", "different number", "no answer found"; a constant */
    char *extracted; /* the answer as task_answer_show writes it, or an excerpt of what is in its place; NULL
                        without an answer */
} task_grade_result;

/* Grades text[0, length) against p->gold: an answer by itself, or a text that one is found in. */
task_grade_result task_grade(const task *t, const problem *p, const char *text, size_t length);
void task_grade_free(task_grade_result *g);

/* "equal", "different", "unknown" */
const char *task_verdict_word(grade_verdict verdict);
/* One row of `espalier grade`: {"answer", "gold"} (strings; gold may be a JSON number or boolean), and where
 * answers are options also "options", as `espalier problems` prints them; to a new {"extracted", "verdict",
 * "correct", "reason"}: "extracted" is null without an answer, the verdict "equal", "different" or "unknown".
 * A missing field or a gold without an answer is an error that names `where`. */
esp_status task_grade_row(const task *t, const json_t *row, const char *where, json_t **out,
                          esp_error *error);
/* Such a row as a problem, strings into the arena, and its answer, which is borrowed from it. Only the answer
 * is needed. */
esp_status task_row_problem(const task *t, const json_t *row, const char *where, arena *memory, problem *out,
                            const char **answer, esp_error *error);

#endif
