#include "task/grading.h"

#include <math.h>
#include <stddef.h>

/* The field's type is checked against the option's. */
#define FIELD(c_type, field, name)                                                                           \
    .key = name,                                                                                             \
    .offset = offsetof(task_grading, field) + 0 * sizeof(_Generic(((task_grading *)0)->field, c_type : 1))
#define INT(field, name)   .type = OPTION_INT, FIELD(int64_t, field, name)
#define FLOAT(field, name) .type = OPTION_FLOAT, FIELD(double, field, name)
#define TEXT(field, name)  .type = OPTION_STRING, FIELD(char *, field, name)

/* clang-format off */
static const option options[] = {
    {.type = OPTION_ENUM, .choices = "none|command|http", FIELD(int, grader, "grader"), .initial = "none", .help = "who judges answers: the task itself (none), a program (command), or a server (http)"},
    {TEXT(command, "grader_command"), .marks = OPTION_LIST, .help = "the program that judges answers and its arguments, as a list: [python3, grade.py]; no shell reads it"},
    {TEXT(url, "grader_url"), .help = "address of the server that judges answers"},
    {INT(workers, "grader_workers"), .marks = OPTION_FREE, .initial = "1", .low = 1, .high = 1024, .help = "how many of the program run side by side; of a server: requests at the same time"},
    {INT(in_flight, "grader_in_flight"), .marks = OPTION_FREE, .initial = "16", .low = 1, .high = 4096, .help = "questions that one program is given before it has answered"},
    {FLOAT(seconds, "grader_seconds"), .initial = "10", .low = 0, .high = 86400, .marks = OPTION_ABOVE_LOW | OPTION_FREE, .help = "time limit of an answer; the program is then ended and the question asked once more"},
    {FLOAT(start_seconds, "grader_start_seconds"), .marks = OPTION_FREE, .initial = "60", .low = 0, .high = 86400, .help = "the first answer of a program may take longer by this"},
    {INT(memory_mb, "grader_memory_mb"), .marks = OPTION_FREE, .initial = "4096", .low = 0, .high = 1e9, .help = "memory that each process of the program may take for its data, in megabytes; 0: no limit"},
    {INT(restarts, "grader_restarts"), .marks = OPTION_FREE, .initial = "20", .low = 1, .high = 1e6, .help = "programs that may end or hang one after another, without an answer between them, before the run stops; of a server: tries of one request, and questions in a row without an answer in time"},
};
/* clang-format on */

option_table task_grading_options(void) {
    return (option_table){options, (int)(sizeof options / sizeof *options)};
}
