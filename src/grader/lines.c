#include "grader/lines.h"

void lines_add(line_stream *l, const char *bytes, size_t n) {
    if (l->from > 0) {
        memmove(l->held.at, l->held.at + l->from, l->held.length - l->from);
        l->held.length -= l->from;
        l->scanned -= l->from;
        l->from = 0;
    }
    text_append(&l->held, bytes, n);
}

bool lines_next(line_stream *l, const char **line, size_t *length) {
    if (l->scanned == l->held.length) return false;
    char *begin = l->held.at + l->from;
    char *end = memchr(l->held.at + l->scanned, '\n', l->held.length - l->scanned);
    l->scanned = end ? (size_t)(end - l->held.at) + 1 : l->held.length;
    if (!end) return false;
    l->from = l->scanned;
    if (end > begin && end[-1] == '\r') end--;
    *end = '\0';
    *line = begin;
    *length = (size_t)(end - begin);
    return true;
}

size_t lines_unfinished(const line_stream *l) {
    return l->held.length - l->from;
}

void lines_clear(line_stream *l) {
    text_clear(&l->held);
    l->from = l->scanned = 0;
}

void lines_free(line_stream *l) {
    text_free(&l->held);
    l->from = l->scanned = 0;
}
