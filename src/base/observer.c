#include "base/observer.h"

#include <stdarg.h>
#include <stdio.h>

void observer_begin(const observer *o, const char *title, int64_t total, const char *unit) {
    if (o->begin) o->begin(o->context, title, total, unit);
}

void observer_step(const observer *o, int64_t done, const char *format, ...) {
    if (!o->step) return;
    char detail[256] = "";
    if (format) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(detail, sizeof detail, format, arguments);
        va_end(arguments);
    }
    o->step(o->context, done, format ? detail : NULL);
}

void observer_tokens(const observer *o, int64_t done) {
    if (o->tokens) o->tokens(o->context, done);
}

void observer_end(const observer *o) {
    if (o->end) o->end(o->context);
}

void observer_note(const observer *o, const char *format, ...) {
    if (!o->note) return;
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    o->note(o->context, line);
}
