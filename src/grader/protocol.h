/* Questions and answers as JSON (docs/graders.md). */
#ifndef ESPALIER_GRADER_PROTOCOL_H
#define ESPALIER_GRADER_PROTOCOL_H

#include "grader/grader.h"

/* The question as an object without its "id", on one line: {"problem", "question", "answer", "gold", "row"}.
 * Bytes that are no UTF-8 become U+FFFD. Freed by mem_free. */
char *protocol_question(const problem *p, const char *text, size_t length);
/* The same with "id" in front and a newline after it, appended. */
void protocol_line(const char *question, int64_t id, text_buffer *out);

typedef struct {
    int64_t id;
    grader_verdict verdict; /* its reason is borrowed from `from` */
    json_t *from;           /* to be released */
} protocol_answer;

/* Reads an answer. needs_id: without a whole number as "id" it is none. False: *why (appended) says what is
 * wrong with it. */
bool protocol_read(const char *line, size_t length, bool needs_id, protocol_answer *out, text_buffer *why);

#endif
