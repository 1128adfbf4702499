/* The task of a verb that works with answers and no model: --task NAME|FILE, or --recipe FILE. */
#ifndef ESPALIER_APP_TASK_FLAGS_H
#define ESPALIER_APP_TASK_FLAGS_H

#include "base/options.h"
#include "task/task.h"

typedef struct {
    char *task, *recipe;
} task_flags;

/* Rows of an option table, of a struct that begins with task_flags. */
#define TASK_FLAG_ROWS(default_task)                                                                         \
    {.flag = "--task",                                                                                       \
     .type = OPTION_STRING,                                                                                  \
     .initial = default_task,                                                                                \
     .offset = offsetof(task_flags, task),                                                                   \
     .help = "built-in task, or a task file: whose rules read problems, find and compare answers"},          \
    {                                                                                                        \
        .flag = "--recipe", .type = OPTION_PATH, .offset = offsetof(task_flags, recipe),                     \
        .help = "the task of this recipe instead"                                                            \
    }

esp_status task_flags_open(const task_flags *flags, task **out, esp_error *error);

#endif
