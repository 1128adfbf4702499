/* Lines out of a stream of bytes that comes in pieces. */
#ifndef ESPALIER_GRADER_LINES_H
#define ESPALIER_GRADER_LINES_H

#include "base/memory.h"

typedef struct {
    text_buffer held;
    size_t from;    /* the next line begins here */
    size_t scanned; /* no newline between `from` and here */
} line_stream;

void lines_add(line_stream *l, const char *bytes, size_t n);
/* The next whole line, without its newline and a carriage return before it, terminated by a zero; valid until
 * the next lines_add. False: there is none yet. */
bool lines_next(line_stream *l, const char **line, size_t *length);
/* Bytes of a line that has no end yet. */
size_t lines_unfinished(const line_stream *l);
void lines_clear(line_stream *l);
void lines_free(line_stream *l);

#endif
