/* Built-in tasks for tests, opened once and freed at exit. */
#ifndef ESPALIER_TESTS_TASK_SUPPORT_H
#define ESPALIER_TESTS_TASK_SUPPORT_H

#include "support.h"

#include "task/task.h"

#include <stdlib.h>
#include <string.h>

static struct {
    task *task;
    char name[32];
} test_tasks[32];

static inline void test_tasks_free(void) {
    for (int i = 0; i < 32; i++) task_free(test_tasks[i].task);
}

static inline const task *test_task(const char *name) {
    static esp_error error;
    int i = 0;
    while (i < 31 && test_tasks[i].task && strcmp(test_tasks[i].name, name) != 0) i++;
    if (test_tasks[i].task) return test_tasks[i].task;
    if (i == 0) atexit(test_tasks_free);
    if (task_open(&test_tasks[i].task, name, &error) != ESP_OK)
        fail_msg("task %s: %s (%s)", name, error.message, error.hint);
    snprintf(test_tasks[i].name, sizeof test_tasks[i].name, "%s", name);
    return test_tasks[i].task;
}

#endif
