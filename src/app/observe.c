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

/* ---- a panel ---- */

static void run_begin(void *context, const char *title, int64_t total, const char *unit) {
    panel_begin(((observe_context *)context)->panel, title, total, unit);
}

static void run_step(void *context, int64_t done, const char *detail) {
    panel_step(((observe_context *)context)->panel, done, detail);
}

static void run_end(void *context) {
    panel_end(((observe_context *)context)->panel);
}

static void run_note(void *context, const char *line) {
    panel_note(((observe_context *)context)->panel, line);
}

static void run_tokens(void *context, int64_t done) {
    panel_tokens(((observe_context *)context)->panel, done);
}

static void run_tell(void *context, const run_progress *progress) {
    panel_progress(((observe_context *)context)->panel, progress);
}

observer observe_run(observe_context *context, const char *name, const volatile sig_atomic_t *stop) {
    progress_style style = progress_style_of(stderr);
    if (!style.live || !panel_fits(stderr)) return observe(context);
    context->panel = panel_open(&style, name, stop);
    return (observer){.context = context,
                      .begin = run_begin,
                      .step = run_step,
                      .end = run_end,
                      .note = run_note,
                      .tokens = run_tokens,
                      .progress = run_tell};
}

void observe_end(observe_context *context) {
    if (context->bar) progress_end(context->bar);
    panel_close(context->panel);
    *context = (observe_context){0};
}
