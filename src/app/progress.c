#include "app/progress.h"

#include "app/terminal.h"
#include "base/clock.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct progress {
    progress_style style;
    char *title, *unit, *status;
    int64_t total, done;
    double began, drawn;
    int drawn_percent; /* of the last plain line */
    bool on_screen;
};

static const double live_pause = 0.1, log_pause = 2, log_longest_pause = 15; /* seconds between drawings */

double progress_now(const progress_style *style) {
    return style->now ? style->now(style->context) : clock_seconds();
}

int progress_width(const progress_style *style) {
    return style->width ? style->width : terminal_width(style->stream, 80);
}

static double now(const progress *p) {
    return progress_now(&p->style);
}

progress_style progress_style_of(FILE *stream) {
    display d = terminal_display(stream, 80);
    return (progress_style){.stream = stream,
                            .live = terminal_is_live(stream),
                            .colour = d.colour,
                            .unicode = terminal_locale_is_utf8()};
}

/* ---- numbers in words ---- */

/* "3.2/s", "12/min" */
static void put_rate(text_buffer *out, double per_second) {
    double rate = per_second;
    const char *unit = "s";
    if (rate < 1) rate *= 60, unit = "min";
    if (rate < 1) rate *= 60, unit = "h";
    text_printf(out, rate < 10 ? "%.1f/%s" : "%.0f/%s", rate, unit);
}

/* "128/256 problems  3.2/s  0:40 left", parts joined by `between`. */
static void put_figures(const progress *p, const char *between, bool with_percent, text_buffer *out) {
    double elapsed = now(p) - p->began;
    double rate = elapsed > 0 ? (double)p->done / elapsed : 0;
    text_printf(out, "%lld", (long long)p->done);
    if (p->total) text_printf(out, "/%lld", (long long)p->total);
    text_printf(out, " %s", p->unit);
    if (with_percent && p->total) text_printf(out, " (%lld%%)", (long long)(100 * p->done / p->total));
    if (rate <= 0) return;
    text_puts(out, between);
    put_rate(out, rate);
    if (!p->total || p->done >= p->total) return;
    text_puts(out, between);
    display_duration(out, (double)(p->total - p->done) / rate);
    text_puts(out, " left");
}

/* ---- drawing ---- */

void progress_put_bar(const progress_style *style, double share, int width, text_buffer *out) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int64_t filled = (int64_t)((share < 1 ? share : 1) * width * 8);
    int used = 0;
    if (style->colour) text_puts(out, "\x1b[32m");
    for (; used < filled / 8; used++) text_puts(out, style->unicode ? "█" : "#");
    if (style->unicode && filled % 8) text_puts(out, eighths[filled % 8]), used++;
    if (style->colour) text_puts(out, "\x1b[90m");
    for (; used < width; used++) text_puts(out, style->unicode ? "░" : "-");
    if (style->colour) text_puts(out, "\x1b[0m");
}

static void draw_live(progress *p) {
    enum { LEAST_BAR = 8, WIDEST_BAR = 32 };
    text_buffer figures = {0}, line = {0};
    put_figures(p, "  ", false, &figures);
    if (p->status && *p->status) text_printf(&figures, "  %s", p->status);
    int width = progress_width(&p->style) - 1; /* the last column would wrap on some terminals */
    int room = width - display_columns(p->title) - display_columns(figures.at) - 4;
    text_puts(&line, "\r");
    if (p->total && room >= LEAST_BAR) {
        text_printf(&line, "%s  ", p->title);
        progress_put_bar(&p->style, (double)p->done / (double)p->total, room < WIDEST_BAR ? room : WIDEST_BAR,
                         &line);
        text_printf(&line, "  %s", figures.at);
    } else {
        text_buffer plain = {0};
        text_printf(&plain, "%s  %s", p->title, figures.at);
        text_append(&line, plain.at, display_fit(plain.at, width));
        text_free(&plain);
    }
    text_puts(&line, "\x1b[K");
    fwrite(line.at, 1, line.length, p->style.stream);
    fflush(p->style.stream);
    p->on_screen = true;
    text_free(&figures);
    text_free(&line);
}

static void draw_plain(progress *p) {
    text_buffer line = {0};
    text_printf(&line, "%s: ", p->title);
    put_figures(p, ", ", true, &line);
    if (p->status && *p->status) text_printf(&line, ", %s", p->status);
    fprintf(p->style.stream, "%s\n", line.at);
    fflush(p->style.stream);
    text_free(&line);
}

static void draw_when_due(progress *p) {
    double since = now(p) - p->drawn;
    int percent = p->total ? (int)(100 * p->done / p->total) : 0;
    if (p->style.live) {
        if (since < live_pause) return;
        draw_live(p);
    } else {
        bool due = since >= log_longest_pause || (since >= log_pause && percent >= p->drawn_percent + 10);
        if (!due || (p->total && p->done >= p->total)) return; /* progress_end prints the last line */
        draw_plain(p);
    }
    p->drawn = now(p);
    p->drawn_percent = percent;
}

static void clear_line(progress *p) {
    if (p->on_screen) fputs("\r\x1b[K", p->style.stream);
    p->on_screen = false;
}

/* ---- the calls ---- */

/* Text without characters that could control the terminal; freed by mem_free. */
static char *cleaned(const progress_style *style, const char *text) {
    text_buffer clean = {0};
    display_clean(&clean, style->unicode || !style->live, text, strlen(text));
    return clean.at;
}

progress *progress_begin_styled(const progress_style *style, const char *title, int64_t total,
                                const char *unit) {
    progress *p = MEM_NEW(progress);
    *p = (progress){
        .style = *style, .title = cleaned(style, title), .unit = cleaned(style, unit), .total = total};
    p->began = now(p);
    p->drawn = p->style.live ? p->began - live_pause : p->began;
    if (p->style.live) draw_when_due(p);
    return p;
}

progress *progress_begin(const char *title, int64_t total, const char *unit) {
    progress_style style = progress_style_of(stderr);
    return progress_begin_styled(&style, title, total, unit);
}

void progress_step(progress *p, int64_t n) {
    p->done += n;
    draw_when_due(p);
}

void progress_set(progress *p, int64_t done) {
    p->done = done;
    draw_when_due(p);
}

void progress_status(progress *p, const char *format, ...) {
    char words[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    mem_free(p->status);
    p->status = cleaned(&p->style, words);
    draw_when_due(p);
}

void progress_note(progress *p, const char *format, ...) {
    FILE *stream = p ? p->style.stream : stderr;
    progress_style style = p ? p->style : progress_style_of(stream);
    char words[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    char *line = cleaned(&style, words);
    if (p) clear_line(p);
    fprintf(stream, "%s\n", line);
    mem_free(line);
    fflush(stream);
    if (p && p->style.live) draw_live(p);
}

void progress_end(progress *p) {
    if (!p) return;
    double elapsed = now(p) - p->began;
    text_buffer line = {0};
    text_printf(&line, "%s: %lld", p->title, (long long)p->done);
    if (p->done < p->total) text_printf(&line, "/%lld", (long long)p->total);
    text_printf(&line, " %s in ", p->unit);
    display_duration(&line, elapsed);
    if (elapsed > 0 && p->done > 0) {
        text_puts(&line, " (");
        put_rate(&line, (double)p->done / elapsed);
        text_puts(&line, ")");
    }
    if (p->status && *p->status) text_printf(&line, ", %s", p->status);
    clear_line(p);
    fprintf(p->style.stream, "%s\n", line.at);
    fflush(p->style.stream);
    text_free(&line);
    mem_free(p->title);
    mem_free(p->unit);
    mem_free(p->status);
    mem_free(p);
}
