#include "app/progress.h"
#include "base/clock.h"
#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

struct progress {
    progress_style style;
    char *title, *unit, *status;
    int64_t total, done, skipped;
    double began, drawn;
    int drawn_percent; /* of the last plain line */
    bool on_screen;
};

static const double live_pause = 0.1, log_pause = 2, log_longest_pause = 15; /* seconds between drawings */

static double monotonic(void *context) {
    (void)context;
    return clock_seconds();
}

static double now(const progress *p) {
    return p->style.now(p->style.context);
}

static bool locale_is_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value) return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

progress_style progress_style_of(FILE *stream) {
    const char *terminal = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    bool live = isatty(fileno(stream)) == 1 && terminal && strcmp(terminal, "dumb") != 0;
    return (progress_style){.stream = stream,
                            .live = live,
                            .colour = live && !(no_colour && *no_colour),
                            .unicode = locale_is_utf8()};
}

/* ---- numbers in words ---- */

static void put_duration(text_buffer *out, double seconds) {
    int64_t s = seconds > 0 ? (int64_t)(seconds + 0.5) : 0;
    int64_t days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
    if (days)
        text_printf(out, "%lld d %lld h", (long long)days, (long long)hours);
    else if (hours)
        text_printf(out, "%lld:%02lld:%02lld", (long long)hours, (long long)minutes, (long long)(s % 60));
    else
        text_printf(out, "%lld:%02lld", (long long)minutes, (long long)(s % 60));
}

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
    double rate = elapsed > 0 ? (double)(p->done - p->skipped) / elapsed : 0;
    text_printf(out, "%lld", (long long)p->done);
    if (p->total) text_printf(out, "/%lld", (long long)p->total);
    text_printf(out, " %s", p->unit);
    if (with_percent && p->total) text_printf(out, " (%lld%%)", (long long)(100 * p->done / p->total));
    if (rate <= 0) return;
    text_puts(out, between);
    put_rate(out, rate);
    if (!p->total || p->done >= p->total) return;
    text_puts(out, between);
    put_duration(out, (double)(p->total - p->done) / rate);
    text_puts(out, " left");
}

/* ---- drawing ---- */

static int columns(const char *text) {
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80; /* code points */
    return n;
}

/* At most `width` columns of text. */
static void put_cut(text_buffer *out, const char *text, int width) {
    const char *end = text;
    for (int n = 0; *end && (((unsigned char)*end & 0xc0) == 0x80 || n < width); end++)
        n += ((unsigned char)end[0] & 0xc0) != 0x80;
    text_append(out, text, (size_t)(end - text));
}

static int window(const progress *p) {
    struct winsize size;
    if (p->style.width) return p->style.width;
    if (ioctl(fileno(p->style.stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    return 80;
}

static void put_bar(const progress *p, int width, text_buffer *out) {
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double share = (double)p->done / (double)p->total;
    int64_t filled = (int64_t)((share < 1 ? share : 1) * width * 8);
    int used = 0;
    if (p->style.colour) text_puts(out, "\x1b[32m");
    for (; used < filled / 8; used++) text_puts(out, p->style.unicode ? "█" : "#");
    if (p->style.unicode && filled % 8) text_puts(out, eighths[filled % 8]), used++;
    if (p->style.colour) text_puts(out, "\x1b[90m");
    for (; used < width; used++) text_puts(out, p->style.unicode ? "░" : "-");
    if (p->style.colour) text_puts(out, "\x1b[0m");
}

static void draw_live(progress *p) {
    enum { LEAST_BAR = 8, WIDEST_BAR = 32 };
    text_buffer figures = {0}, line = {0};
    put_figures(p, "  ", false, &figures);
    if (p->status && *p->status) text_printf(&figures, "  %s", p->status);
    int width = window(p) - 1; /* the last column would wrap on some terminals */
    int room = width - columns(p->title) - columns(figures.at) - 4;
    text_puts(&line, "\r");
    if (p->total && room >= LEAST_BAR) {
        text_printf(&line, "%s  ", p->title);
        put_bar(p, room < WIDEST_BAR ? room : WIDEST_BAR, &line);
        text_printf(&line, "  %s", figures.at);
    } else {
        text_buffer plain = {0};
        text_printf(&plain, "%s  %s", p->title, figures.at);
        put_cut(&line, plain.at, width);
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
        if (!due || (p->total && p->done >= p->total)) return; /* the end has a line of its own */
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

progress *progress_begin_styled(const progress_style *style, const char *title, int64_t total,
                                const char *unit) {
    progress *p = MEM_NEW(progress);
    *p = (progress){.style = *style, .title = mem_strdup(title), .unit = mem_strdup(unit), .total = total};
    if (!p->style.now) p->style.now = monotonic;
    p->began = now(p);
    p->drawn = p->style.live ? p->began - live_pause : p->began;
    if (p->style.live) draw_when_due(p);
    return p;
}

progress *progress_begin(const char *title, int64_t total, const char *unit) {
    progress_style style = progress_style_of(stderr);
    return progress_begin_styled(&style, title, total, unit);
}

void progress_skip(progress *p, int64_t n) {
    p->done += n;
    p->skipped += n;
    p->drawn_percent = p->total ? (int)(100 * p->done / p->total) : 0;
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
    text_buffer text = {0};
    char words[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    text_puts(&text, words);
    mem_free(p->status);
    p->status = text.at;
    draw_when_due(p);
}

void progress_note(progress *p, const char *format, ...) {
    FILE *stream = p ? p->style.stream : stderr;
    va_list arguments;
    if (p) clear_line(p);
    va_start(arguments, format);
    vfprintf(stream, format, arguments);
    va_end(arguments);
    fputc('\n', stream);
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
    put_duration(&line, elapsed);
    if (elapsed > 0 && p->done > p->skipped) {
        text_puts(&line, " (");
        put_rate(&line, (double)(p->done - p->skipped) / elapsed);
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
