#include "text/marked_text.h"

void marked_text_own(marked_text *out, const char *words, size_t length) {
    size_t start = out->text.length;
    if (length == 0) return;
    text_append(&out->text, words, length);
    text_span *last = out->trusted.count > 0 ? &out->trusted.at[out->trusted.count - 1] : NULL;
    if (last && last->end == start)
        last->end = start + length;
    else
        MEM_LIST_PUSH(&out->trusted, ((text_span){start, start + length}));
}

void marked_text_other(marked_text *out, const char *words, size_t length) {
    text_append(&out->text, words, length);
}

void marked_text_part(marked_text *out, const marked_text *from, size_t start, size_t end) {
    size_t at = start;
    for (int64_t i = 0; i < from->trusted.count; i++) {
        text_span span = from->trusted.at[i];
        if (span.start < start) span.start = start;
        if (span.end > end) span.end = end;
        if (span.start >= span.end) continue;
        marked_text_other(out, from->text.at + at, span.start - at);
        marked_text_own(out, from->text.at + span.start, span.end - span.start);
        at = span.end;
    }
    if (end > at) marked_text_other(out, from->text.at + at, end - at);
}

void marked_text_free(marked_text *text) {
    text_free(&text->text);
    MEM_LIST_FREE(&text->trusted);
}
