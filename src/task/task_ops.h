/* A task from inside; only this folder's files, and its tests, include this header. */
#ifndef ESPALIER_TASK_TASK_OPS_H
#define ESPALIER_TASK_TASK_OPS_H

#include "task/answer.h"
#include "task/pattern.h"
#include "task/task.h"

typedef MEM_LIST(problem) problem_list;
typedef MEM_LIST(const char *) text_list;

enum { TASK_MOST_PLACES = 16 };

struct task {
    task_settings s;
    arena *memory;     /* of what follows */
    text_list ends;    /* task_answer_markers, NULL-terminated */
    text_list options; /* the fields of s.options */
    answer_form answers;
    const answer_place *places[TASK_MOST_PLACES + 1];
    pattern *rationale_remove, *options_pattern, *answer_pattern; /* NULL: none */
    problem_list examples;
};

/* Reads a row into *out (index and line are filled already), strings into the arena. `where` is "path:line"
 * and `stem` the file's name without endings. */
esp_status task_read_row(const task *t, const json_t *row, const char *where, const char *stem, arena *memory,
                         problem *out, esp_error *error);
/* The options of a row that is graded, a list of texts or of {"label", "text"}, as options of *out. */
esp_status task_read_options(const task *t, const json_t *value, const char *where, arena *memory,
                             problem *out, esp_error *error);
/* The worked solution to learn from: its steps, then the answer's line. NULL: the text has none. */
const char *task_rationale(const task *t, const problem *p, const char *raw, arena *memory);
/* Appends s.answer_line with the gold answer. */
void task_answer_line(const task *t, const problem *p, text_buffer *out);

/* Makes the problems that a source "generate:..." asks for; words: what follows the colon. */
esp_status arith_generate(const char *words, arena *memory, problem_list *out, esp_error *error);
/* task_make_mistake for solutions whose steps have results that are numbers (numeric_mistake.c). The result
 * of a step is the first number after its last "=", else its last number. It becomes another number (off by a
 * little, another number of the problem, a digit changed, another operation's result), and so does every
 * later number of the same value. */
bool numeric_mistake(const problem *p, const task_mistake_place *place, rng_key_t key, text_buffer *out,
                     size_t *changed);

/* text[start, start + length) as valid UTF-8 without control characters, at most 100 bytes and "..."; for
 * messages. Freed by mem_free. */
char *task_excerpt(const char *text, size_t start, size_t length);

#endif
