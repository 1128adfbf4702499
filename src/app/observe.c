#include "app/observe.h"

/* ---- a bar ---- */

static void bar_begin(void *context, const char *title, int64_t total, const char *unit) {
    observe_context *c = context;
    if (c->bar) progress_end(c->bar);
    c->bar = progress_begin(title, total, unit);
}

static void bar_step(void *context, int64_t done, const char *detail) {
    observe_context *c = context;
    if (!c->bar) return;
    if (detail) progress_status(c->bar, "%s", detail);
    progress_set(c->bar, done);
}

static void bar_end(void *context) {
    observe_context *c = context;
    if (c->bar) progress_end(c->bar);
    c->bar = NULL;
}

static void bar_note(void *context, const char *line) {
    observe_context *c = context;
    progress_note(c->bar, "%s", line);
}

observer observe(observe_context *context) {
    return (observer){
        .context = context, .begin = bar_begin, .step = bar_step, .end = bar_end, .note = bar_note};
}

/* ---- the live view ---- */

static void run_begin(void *context, const char *title, int64_t total, const char *unit) {
    live_begin(((observe_context *)context)->live, title, total, unit);
}

static void run_step(void *context, int64_t done, const char *detail) {
    live_step(((observe_context *)context)->live, done, detail);
}

static void run_end(void *context) {
    live_end(((observe_context *)context)->live);
}

static void run_note(void *context, const char *line) {
    live_note(((observe_context *)context)->live, line);
}

static void run_tokens(void *context, int64_t done) {
    live_tokens(((observe_context *)context)->live, done);
}

static void run_tell(void *context, const run_progress *progress) {
    live_progress(((observe_context *)context)->live, progress);
}

run_watcher observe_progress(observe_context *context) {
    return context->live ? (run_watcher){.tell = run_tell, .context = context} : (run_watcher){0};
}

observer observe_run(observe_context *context, const char *name, const volatile sig_atomic_t *stop) {
    progress_style style = progress_style_of(stderr);
    if (!style.live || !live_fits(stderr)) return observe(context);
    context->live = live_open(&style, name, stop);
    return (observer){.context = context,
                      .begin = run_begin,
                      .step = run_step,
                      .end = run_end,
                      .note = run_note,
                      .tokens = run_tokens};
}

void observe_end(observe_context *context) {
    if (context->bar) progress_end(context->bar);
    live_close(context->live);
    *context = (observe_context){0};
}
