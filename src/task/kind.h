/* What a task is made of; only the files of this folder see it. A new task is one such table in a file of its
 * own and a line in task.c. */
#ifndef ESPALIER_TASK_KIND_H
#define ESPALIER_TASK_KIND_H

#include "task/task.h"

struct task {
    const char *name;
    const char *instruction;
    const char *const *markers;
    /* Reads the fields of a row into *out (id, index and line are filled already), strings into the arena.
     * `where` is "path:line" for errors. */
    esp_status (*read_row)(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error);
    /* task_extract and task_grade. */
    task_answer (*extract)(const char *text, size_t length);
    task_grade_result (*grade)(const char *text, size_t length, const char *gold);
};

extern const task task_gsm8k;

#endif
