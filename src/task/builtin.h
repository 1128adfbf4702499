/* The task files src/task/builtin/NAME.yaml, as they are part of the program. */
#ifndef ESPALIER_TASK_BUILTIN_H
#define ESPALIER_TASK_BUILTIN_H

#include <stddef.h>

typedef struct {
    const char *name;
    const char *about; /* its `about` */
    const char *yaml;
    size_t length;
} task_file;

/* In the order in which messages list them; NULL past the last. */
const task_file *task_file_at(int index);
const task_file *task_file_named(const char *name);

#endif
