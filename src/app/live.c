#include "app/live.h"

#include "app/stop.h"
#include "view/display.h"

#include <math.h>
#include <string.h>
#include <sys/ioctl.h>

enum { LINES = 5, SPEEDS = 32 };

struct live_view {
    progress_style style;
    char *name;
    const volatile sig_atomic_t *stop;
    bool stopping; /* the line that the signal handler wrote has been accounted for */
    double began, drawn;
    int on_screen[LINES], lines; /* columns of each line on the screen */

    /* the run */
    bool known;
    run_progress progress;
    run_score *scores;
    char phase[24];
    double phase_began;

    /* the current piece of work; title NULL: none */
    char *title, *unit, *detail;
    int64_t total, done, skipped; /* skipped: done before this call began */
    bool stepped;
    double work_began;

    /* tokens over time, a ring buffer */
    int64_t tokens, tokens_last;
    struct {
        double time;
        int64_t tokens;
    } speed[SPEEDS];
    int64_t speeds;
};

static const double live_pause = 0.1, speed_pause = 0.5;

static double now(const live_view *p) {
    return progress_now(&p->style);
}

bool live_fits(FILE *stream) {
    enum { LEAST_ROWS = 10 };
    struct winsize size;
    return ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_row >= LEAST_ROWS;
}

/* ---- figures ---- */

/* Tokens per second over the last seconds; 0 if not known yet. */
static double speed_of(const live_view *p) {
    if (p->speeds < 2) return 0;
    int64_t last = p->speeds - 1, first = p->speeds > SPEEDS ? p->speeds - SPEEDS : 0;
    double seconds = p->speed[last % SPEEDS].time - p->speed[first % SPEEDS].time;
    int64_t tokens = p->speed[last % SPEEDS].tokens - p->speed[first % SPEEDS].tokens;
    return seconds > 0 ? (double)tokens / seconds : 0;
}

/* Seconds left of the current work at its own rate so far; NAN if it has no rate yet. */
static double work_left(const live_view *p) {
    int64_t own = p->done - p->skipped;
    if (!p->title || p->total == 0 || own <= 0) return NAN;
    return (now(p) - p->work_began) * (double)(p->total - p->done) / (double)own;
}

/* Seconds to the end of the run; NAN if one of its phases has never been done yet. */
static double seconds_left(const live_view *p) {
    if (!p->known) return NAN;
    double phase = p->progress.phase_seconds - (now(p) - p->phase_began), work = work_left(p);
    if (isnan(phase) || phase < 0) phase = isnan(work) ? (isnan(phase) ? (double)NAN : 0) : work;
    return phase + p->progress.seconds_after;
}

/* An estimate, rounded to the digits that it can have. */
static double rounded(double seconds) {
    double grain = seconds < 120 ? 5 : seconds < 600 ? 10 : seconds < 7200 ? 60 : 600;
    return fmax(5, grain * round(seconds / grain));
}

/* ---- parts of a line ---- */

/* A line made of parts; parts that do not fit are left out. */
typedef struct {
    const live_view *live;
    text_buffer *out;
    int width, used;
} line_maker;

static bool put_part(line_maker *m, const char *between, const char *colour, const char *text) {
    if (m->used == 0) between = "";
    int columns = display_columns(between) + display_columns(text);
    if (m->used + columns > m->width) return false;
    text_puts(m->out, between);
    if (m->live->style.colour && *colour) text_printf(m->out, "\x1b[%sm", colour);
    text_puts(m->out, text);
    if (m->live->style.colour && *colour) text_puts(m->out, "\x1b[0m");
    m->used += columns;
    return true;
}

static const char *dot(const live_view *p) {
    return p->style.unicode ? " · " : ", ";
}

static void put_rule(line_maker *m) {
    const live_view *p = m->live;
    const char *dash = p->style.unicode ? "─" : "-";
    text_buffer line = {0};
    int used = 0;
    for (; used < 2; used++) text_puts(&line, dash);
    text_buffer name = {0};
    display_cut(&name, p->style.unicode, p->name, m->width - 6);
    text_printf(&line, " %s ", name.at ? name.at : "");
    used += 2 + display_columns(name.at ? name.at : "");
    for (; used < m->width; used++) text_puts(&line, dash);
    put_part(m, "", "90", line.at);
    text_free(&name);
    text_free(&line);
}

/* "iteration 3 of 10 · search  ████░░░░  57/128 problems" */
static void put_work(line_maker *m) {
    enum { LEAST_BAR = 6, WIDEST_BAR = 28 };
    const live_view *p = m->live;
    text_buffer where = {0}, count = {0};
    if (p->known && p->progress.iteration > 0)
        text_printf(&where, "iteration %lld of %lld%s", (long long)p->progress.iteration,
                    (long long)p->progress.iterations, dot(p));
    else if (p->known)
        text_printf(&where, "before iteration 1%s", dot(p));
    const char *title = p->title ? p->title : p->phase, *colon = strstr(title, ": ");
    text_puts(&where, colon ? colon + 2 : title);
    put_part(m, "", "1", where.at);
    if (p->title) {
        text_printf(&count, "%lld", (long long)p->done);
        if (p->total) text_printf(&count, "/%lld", (long long)p->total);
        text_printf(&count, " %s", p->unit);
        int room = m->width - m->used - 4 - display_columns(count.at);
        if (p->total && room >= LEAST_BAR) {
            int width = room < WIDEST_BAR ? room : WIDEST_BAR;
            text_puts(m->out, "  ");
            progress_put_bar(&p->style, (double)p->done / (double)p->total, width, m->out);
            m->used += 2 + width;
        }
        put_part(m, "  ", "", count.at);
    }
    text_free(&where);
    text_free(&count);
}

static void score_text(text_buffer *out, const char *word, const run_score *s, bool interval) {
    text_printf(out, "%s%.1f%%", word, 100 * s->accuracy);
    if (interval) text_printf(out, " [%.1f, %.1f]", 100 * s->low, 100 * s->high);
}

/* Accuracies as small bars, scaled between the least and the largest; only the last ones if there are many.
 */
static void put_sparkline(line_maker *m) {
    enum { MOST = 40 };
    static const char *const eighths[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    const live_view *p = m->live;
    int64_t n = p->progress.score_count, room = m->width - m->used - 2, most = room < MOST ? room : MOST;
    if (!p->style.unicode || n < 2 || most < 2) return;
    int64_t first = n > most ? n - most : 0;
    double low = 1, high = 0;
    for (int64_t i = first; i < n; i++) {
        low = fmin(low, p->progress.scores[i].accuracy);
        high = fmax(high, p->progress.scores[i].accuracy);
    }
    double span = fmax(high - low, 0.05); /* so that noise does not fill the height */
    text_buffer line = {0};
    for (int64_t i = first; i < n; i++)
        text_puts(&line, eighths[(int)(7.999 * fmin(1, (p->progress.scores[i].accuracy - low) / span))]);
    put_part(m, "  ", "36", line.at);
    text_free(&line);
}

/* "accuracy 61.2% [58.1, 64.2] · start 26.4% [23.8, 29.2]  ▁▃▅▆" */
static void put_accuracy(line_maker *m) {
    const live_view *p = m->live;
    int64_t n = p->progress.score_count;
    if (!p->known || n == 0) {
        put_part(m, "", "90", "accuracy: not evaluated yet");
        return;
    }
    const run_score *last = &p->progress.scores[n - 1], *first = &p->progress.scores[0];
    text_buffer text = {0};
    score_text(&text, "accuracy ", last, true);
    put_part(m, "", last->low > first->accuracy ? "1;32" : "1", text.at);
    if (n > 1) {
        text_clear(&text);
        score_text(&text, "start ", first, true);
        if (!put_part(m, dot(p), "90", text.at)) {
            text_clear(&text);
            score_text(&text, "start ", first, false);
            put_part(m, dot(p), "90", text.at);
        }
        put_sparkline(m);
    } else {
        put_part(m, dot(p), "90", "the start");
    }
    text_free(&text);
}

static void put_counts(line_maker *m) {
    const live_view *p = m->live;
    text_buffer text = {0};
    double speed = speed_of(p);
    if (speed > 0) {
        display_count(&text, (int64_t)(speed + 0.5));
        text_puts(&text, " tokens/s");
        put_part(m, "", "", text.at);
    }
    if (p->known) {
        text_clear(&text);
        display_count(&text, p->progress.trees);
        text_puts(&text, p->progress.trees == 1 ? " tree" : " trees");
        put_part(m, dot(p), "", text.at);
        text_clear(&text);
        display_count(&text, p->progress.pairs);
        text_puts(&text, p->progress.pairs == 1 ? " pair" : " pairs");
        put_part(m, dot(p), "", text.at);
    }
    if (p->detail && *p->detail) put_part(m, dot(p), "90", p->detail);
    text_free(&text);
}

static void put_times(line_maker *m) {
    const live_view *p = m->live;
    text_buffer text = {0};
    double left = seconds_left(p);
    display_duration(&text, now(p) - p->began);
    text_puts(&text, " elapsed");
    put_part(m, "", "", text.at);
    text_clear(&text);
    if (p->stopping) {
        put_part(m, dot(p), "33", "stopping");
    } else if (isnan(left)) {
        put_part(m, dot(p), "90", "time left: after iteration 1");
    } else {
        text_puts(&text, "about ");
        display_duration(&text, rounded(left));
        text_puts(&text, " left");
        put_part(m, dot(p), "", text.at);
    }
    text_free(&text);
}

/* ---- drawing ---- */

/* Screen rows that the lines take at the present width. */
static int rows_on_screen(const live_view *p, int width) {
    int rows = 0;
    for (int i = 0; i < p->lines; i++)
        rows += p->on_screen[i] > width ? (p->on_screen[i] + width - 1) / width : 1;
    return rows;
}

static void put_erase(live_view *p, text_buffer *out) {
    int width = progress_width(&p->style), rows = rows_on_screen(p, width);
    if (p->stop && *p->stop && !p->stopping) { /* its line was written below the view, after an empty one */
        p->stopping = true;
        if (p->lines) rows += 1 + (stop_line_columns() + width - 1) / width;
    }
    if (rows > 0) text_printf(out, "\x1b[%dA\r\x1b[J", rows);
    p->lines = 0;
}

static void put_lines(live_view *p, text_buffer *out) {
    static void (*const makers[LINES])(line_maker *) = {put_rule, put_work, put_accuracy, put_counts,
                                                        put_times};
    int width = progress_width(&p->style) - 1; /* the last column would wrap on some terminals */
    for (int i = 0; i < LINES; i++) {
        line_maker m = {.live = p, .out = out, .width = width};
        if (i > 0 && width > 20) text_puts(out, " "), m.width--;
        makers[i](&m);
        text_puts(out, "\n");
        p->on_screen[i] = m.used + 1;
    }
    p->lines = LINES;
    p->drawn = now(p);
}

static void flush(live_view *p, text_buffer *out) {
    fwrite(out->at, 1, out->length, p->style.stream);
    fflush(p->style.stream);
    text_free(out);
}

static void draw(live_view *p) {
    text_buffer out = {0};
    put_erase(p, &out);
    put_lines(p, &out);
    flush(p, &out);
}

static void draw_when_due(live_view *p) {
    if (now(p) - p->drawn >= live_pause) draw(p);
}

/* ---- the calls ---- */

static char *cleaned(const live_view *p, const char *text) {
    text_buffer clean = {0};
    display_clean(&clean, p->style.unicode, text, strlen(text));
    return clean.at;
}

live_view *live_open(const progress_style *style, const char *name, const volatile sig_atomic_t *stop) {
    live_view *p = MEM_NEW(live_view);
    p->style = *style;
    p->name = cleaned(p, name);
    p->stop = stop;
    p->began = now(p);
    snprintf(p->phase, sizeof p->phase, "starting");
    draw(p);
    return p;
}

static void end_work(live_view *p) {
    mem_free(p->title);
    mem_free(p->unit);
    mem_free(p->detail);
    p->title = p->unit = p->detail = NULL;
}

void live_begin(live_view *p, const char *title, int64_t total, const char *unit) {
    end_work(p);
    p->title = cleaned(p, title);
    p->unit = cleaned(p, unit);
    p->total = total;
    p->done = p->skipped = p->tokens_last = 0;
    p->stepped = false;
    p->work_began = now(p);
    draw(p);
}

void live_step(live_view *p, int64_t done, const char *detail) {
    if (!p->title) return;
    if (!p->stepped && done > 1) p->skipped = done - 1;
    p->stepped = true;
    p->done = done;
    if (detail) {
        mem_free(p->detail);
        p->detail = cleaned(p, detail);
    }
    draw_when_due(p);
}

void live_tokens(live_view *p, int64_t done) {
    p->tokens += done >= p->tokens_last ? done - p->tokens_last : done;
    p->tokens_last = done;
    int64_t last = p->speeds - 1;
    if (p->speeds > 0 && now(p) - p->speed[last % SPEEDS].time < speed_pause) return;
    p->speed[p->speeds % SPEEDS].time = now(p);
    p->speed[p->speeds % SPEEDS].tokens = p->tokens;
    p->speeds++;
}

void live_progress(live_view *p, const run_progress *progress) {
    bool same =
        p->known && strcmp(p->phase, progress->phase) == 0 && p->progress.iteration == progress->iteration;
    if (!same) p->phase_began = now(p);
    mem_free(p->scores);
    p->progress = *progress;
    p->scores = MEM_ARRAY(run_score, progress->score_count + 1);
    for (int64_t i = 0; i < progress->score_count; i++) p->scores[i] = progress->scores[i];
    p->progress.scores = p->scores;
    snprintf(p->phase, sizeof p->phase, "%s", progress->phase);
    p->known = true;
    draw(p);
}

/* Wrapped at spaces; all lines but the first are indented. */
static void put_note(const live_view *p, const char *line, text_buffer *out) {
    int width = progress_width(&p->style) - 1, indent = 0;
    for (const char *at = line; *at || at == line; indent = 2) {
        size_t skip = 0, n = display_wrap(at, width - indent, &skip);
        text_printf(out, "%*s%.*s\n", indent, "", (int)n, at);
        at += n + skip;
        if (!*at) return;
    }
}

void live_note(live_view *p, const char *line) {
    text_buffer out = {0};
    char *clean = cleaned(p, line);
    put_erase(p, &out);
    put_note(p, clean, &out);
    put_lines(p, &out);
    flush(p, &out);
    mem_free(clean);
}

void live_end(live_view *p) {
    if (!p->title) return;
    double seconds = now(p) - p->work_began;
    text_buffer line = {0};
    text_printf(&line, "%s: %lld", p->title, (long long)p->done);
    if (p->done < p->total) text_printf(&line, "/%lld", (long long)p->total);
    text_printf(&line, " %s in ", p->unit);
    display_duration(&line, seconds);
    if (p->detail && *p->detail) text_printf(&line, ", %s", p->detail);
    end_work(p);
    live_note(p, line.at);
    text_free(&line);
}

void live_close(live_view *p) {
    if (!p) return;
    text_buffer out = {0};
    put_erase(p, &out);
    text_puts(&out, "");
    flush(p, &out);
    end_work(p);
    mem_free(p->name);
    mem_free(p->scores);
    mem_free(p);
}
