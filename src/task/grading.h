/* How a task's answers are judged where the task does not do it itself: keys of the recipe's `task` section.
 * The grader that they name is in grader/grader.h. */
#ifndef ESPALIER_TASK_GRADING_H
#define ESPALIER_TASK_GRADING_H

#include "base/options.h"

typedef enum { TASK_GRADES, TASK_GRADED_BY_COMMAND, TASK_GRADED_BY_HTTP } task_grader;

typedef struct {
    int grader;    /* task_grader */
    char *command; /* the program and its arguments, a line each */
    char *url;
    int64_t workers, in_flight, memory_mb, restarts;
    double seconds, start_seconds;
} task_grading;

option_table task_grading_options(void);

#endif
