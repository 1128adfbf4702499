/* What a task is made of; only the files of this folder see it. A new task is one such table in a file of its
 * own and a line in task.c. */
#ifndef ESPALIER_TASK_KIND_H
#define ESPALIER_TASK_KIND_H

#include "task/task.h"

/* Words of the judge's prompt (METHOD.md 3.1): task, question, the example behind its heading, heading of the
 * steps; then, after the steps, question and answer. */
typedef struct {
    const char *task, *before_question, *example, *steps, *question,
        *suffix; /* suffix: question and answer */
    const char *answer;
} judge_words;
extern const judge_words judge_in_words; /* for a model that reads */

typedef MEM_LIST(problem) problem_list;

struct task {
    const char *name;
    const char
        *instruction; /* "": the question is the whole prompt, as a model taught this task alone has it */
    const char *const *markers;
    const judge_words *judge;
    /* Reads the fields of a row into *out (id, index and line are filled already), strings into the arena.
     * `where` is "path:line" for errors. */
    esp_status (*read_row)(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error);
    /* Makes the problems that a source "generate:..." asks for (words is what stands behind the colon); NULL
     * for a task that reads files only. */
    esp_status (*generate)(const char *words, arena *memory, problem_list *out, esp_error *error);
    /* task_extract and task_grade. */
    task_answer (*extract)(const char *text, size_t length);
    task_grade_result (*grade)(const char *text, size_t length, const char *gold);
};

/* Rows in GSM8K's form (worked.c). */
esp_status worked_read_row(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error);
task_answer worked_extract(const char *text, size_t length);
task_grade_result worked_grade(const char *text, size_t length, const char *gold);
extern const char *const worked_markers[];

extern const task task_gsm8k, task_arith;

#endif
