#include "app/observe.h"

#include "app/progress.h"

static void begin(void *context, const char *title, int64_t total, const char *unit) {
    observe_context *c = context;
    if (c->bar) progress_end(c->bar);
    c->bar = progress_begin(title, total, unit);
}

static void step(void *context, int64_t done, const char *detail) {
    observe_context *c = context;
    if (!c->bar) return;
    if (detail) progress_status(c->bar, "%s", detail);
    progress_set(c->bar, done);
}

static void end(void *context) {
    observe_context *c = context;
    if (c->bar) progress_end(c->bar);
    c->bar = NULL;
}

static void note(void *context, const char *line) {
    observe_context *c = context;
    progress_note(c->bar, "%s", line);
}

observer observe(observe_context *context) {
    return (observer){.context = context, .begin = begin, .step = step, .end = end, .note = note};
}
