/* A program that answers: its start, its pipes, its end. */
#ifndef ESPALIER_GRADER_PROCESS_H
#define ESPALIER_GRADER_PROCESS_H

#include "grader/lines.h"

#include <sys/types.h>

/* Set by a program that can be executed again as a keeper (src/app/keeper.c), to its own process id: then
 * each program runs below a keeper, which ends it and all that it started as soon as this process is gone,
 * however it ended. Without it, a program and the processes of its group are ended by this process, and what
 * is left after a kill of this process sees the end of its standard input. */
#define PROCESS_KEEPER_VARIABLE "ESPALIER_KEEPER"
/* The first argument of a keeper; the limit of memory, the program and its arguments follow. Descriptor 3 is
 * the end of a pipe that closes when this process wants the end or is gone. */
#define PROCESS_KEEPER_WORD "keep-grader"
enum { PROCESS_LIFELINE = 3 };

typedef struct {
    pid_t pid; /* 0: it does not run */
    int in, out, err, lifeline,
        end; /* its descriptors, not blocking; end: readable when it has ended. -1: none */
    text_buffer to_write;
    size_t written;
    line_stream lines;
    char said[512]; /* the end of what it wrote to standard error */
    size_t said_length;
} process;

/* argv ends in a NULL. memory_mb 0: no limit. */
esp_status process_start(process *p, char *const *argv, int64_t memory_mb, esp_error *error);
/* Reads and writes what there is. False: it has ended, and what it wrote is in p->lines. */
bool process_exchange(process *p);
/* The end of its standard input: it may end by itself now. */
void process_hang_up(process *p);
/* How long a program may take to end by itself after the end of its standard input. */
#define PROCESS_PATIENCE 1.0 /* seconds */
/* Closes its standard input, and ends it and all that it started if it has not ended by itself at the time
 * `until` of clock_seconds; *how (appended) says how it ended, and may be NULL. */
void process_end(process *p, double until, text_buffer *how);
void process_free(process *p); /* one that does not run */

#endif
