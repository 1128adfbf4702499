/* What a task is made of; only this folder's files include it. A new task is one such table in a file of its
 * own, and a row in the list of task.c. */
#ifndef ESPALIER_TASK_TASK_OPS_H
#define ESPALIER_TASK_TASK_OPS_H

#include "task/answer.h"

/* The judge's prompt (docs/method.md 3.1): the prefix is `task`, the question, the example after its heading,
 * and the heading of the steps; question and answer follow the steps. */
typedef struct {
    const char *task, *before_question, *before_example, *before_steps;
    const char *question, *answer;
    const char *verdict[2]; /* incorrect, correct: follows `answer` directly, so without a space, and must be
                               one token in ordinary vocabularies: a letter */
} judge_words;
extern const judge_words judge_in_words; /* for a model that reads */

typedef MEM_LIST(problem) problem_list;

struct task_ops {
    const char *name;
    const char *instruction; /* "": the question is the whole prompt, for a model taught this task alone */
    const char *before_question, *cue; /* in a prompt without a chat template, around the question */
    const char *const *markers;        /* task_answer_markers */
    const judge_words *judge;
    const answer_form *answers;
    task_step_unit unit;
    /* task_make_mistake; NULL: the task has no rule for mistakes. */
    bool (*mistake)(const problem *p, const task_mistake_place *place, rng_key_t key, text_buffer *out,
                    size_t *changed);
    /* Reads the fields of a row into *out (id, index and line are filled already), strings into the arena.
     * `where` is "path:line" for errors. */
    esp_status (*read_row)(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error);
    /* Makes the problems that a source "generate:..." asks for (words: what follows the colon); NULL for a
     * task that reads files only. */
    esp_status (*generate)(const char *words, arena *memory, problem_list *out, esp_error *error);
};

/* Rows in GSM8K's form, and what ends an answer in them (worked.c). */
esp_status worked_read_row(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error);
extern const char *const worked_markers[];
/* A number after "####", else where it is stated, else the last number of the text. */
extern const answer_form worked_answers;

/* text[start, start + length) as valid UTF-8 without control characters, at most 100 bytes and "..."; for
 * messages. Freed by mem_free. */
char *task_excerpt(const char *text, size_t start, size_t length);

#endif
