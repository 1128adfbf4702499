/* The live view on a simulated terminal: it stays in place, notes scroll above it, it fits any width, and
 * nothing of it is left at the end. */
#include "support.h"

#include "app/live.h"
#include "app/stop.h"
#include "view/display.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum { ROWS = 4000, COLUMNS = 400 };

/* Rows of bytes; a row that is wider than the terminal continues in the next, as on a real one. */
typedef struct {
    FILE *stream;
    char *text;
    size_t length, read;
    char rows[ROWS][COLUMNS];
    int row, column, width; /* column in characters */
    double time;
    progress_style style;
} stage;

static double tick(void *context) {
    return *(double *)context;
}

static void open_stage(stage *s, bool unicode, int width) {
    memset(s, 0, sizeof *s);
    s->stream = open_memstream(&s->text, &s->length);
    s->width = width;
    s->style = (progress_style){.stream = s->stream,
                                .live = true,
                                .unicode = unicode,
                                .width = width,
                                .now = tick,
                                .context = &s->time};
}

static void put_character(stage *s, const char *bytes, int n) {
    if (s->column >= s->width) s->row++, s->column = 0;
    if (s->column == 0 && !s->rows[s->row][0]) s->rows[s->row][0] = '\0';
    char *row = s->rows[s->row];
    size_t at = strlen(row);
    assert_true(at + (size_t)n < COLUMNS);
    memcpy(row + at, bytes, (size_t)n);
    row[at + (size_t)n] = '\0';
    s->column++;
}

/* Plays what was written since the last call. It knows only the escape sequences that the view uses; others
 * fail. */
static void play(stage *s) {
    fflush(s->stream);
    const char *at = s->text + s->read;
    while (*at) {
        int n, rows;
        char what;
        if (*at == '\n') {
            s->row++, s->column = 0, at++;
        } else if (*at == '\r') {
            s->column = 0, at++;
        } else if (*at == '\x1b') {
            if (sscanf(at, "\x1b[%dA%n", &rows, &n) == 1 && at[n - 1] == 'A') {
                s->row -= rows;
                assert_true(s->row >= 0);
                at += n;
            } else if (strncmp(at, "\x1b[J", 3) == 0) {
                assert_int_equal(s->column, 0);
                for (int i = s->row; i < ROWS; i++) s->rows[i][0] = '\0';
                at += 3;
            } else if (sscanf(at, "\x1b[%*[0-9;]%c%n", &what, &n) == 1 && what == 'm') {
                at += n;
            } else {
                fail_msg("an escape sequence: %.8s", at + 1);
            }
        } else {
            n = 1;
            while (((unsigned char)at[n] & 0xc0) == 0x80) n++;
            put_character(s, at, n);
            at += n;
        }
    }
    s->read = (size_t)(at - s->text);
}

static void close_stage(stage *s) {
    fclose(s->stream);
    free(s->text);
}

static const run_score scores[] = {{0, 0.264, 0.238, 0.292}, {1, 0.5, 0.47, 0.53}, {2, 0.612, 0.581, 0.642}};
static const run_progress figures = {.phase = "search",
                                     .iteration = 3,
                                     .iterations = 10,
                                     .scores = scores,
                                     .score_count = 3,
                                     .trees = 1512,
                                     .pairs = 9893,
                                     .phase_seconds = 20,
                                     .seconds_after = 100};

static void expect_row(const stage *s, int row, const char *wanted) {
    if (strcmp(s->rows[row], wanted) != 0)
        fail_msg("row %d is \"%s\", not \"%s\"", row, s->rows[row], wanted);
}

static void what_it_shows(void **state) {
    (void)state;
    static stage s;
    open_stage(&s, true, 80);
    live_view *p = live_open(&s.style, "runs/x\x1b[2J", NULL);
    live_progress(p, &figures);
    live_begin(p, "iteration 3: search", 128, "problems");
    for (int i = 0; i <= 10; i++) {
        s.time = i;
        live_tokens(p, 4210 * i);
        live_step(p, i, "a\x1b[H word");
    }
    play(&s);
    expect_row(&s, 0, "── runs/x␛[2J ─────────────────────────────────────────────────────────────────");
    expect_row(&s, 1, " iteration 3 of 10 · search  ██▏░░░░░░░░░░░░░░░░░░░░░░░░░  10/128 problems");
    expect_row(&s, 2, " accuracy 61.2% [58.1, 64.2] · start 26.4% [23.8, 29.2]  ▁▆█");
    expect_row(&s, 3, " 4,210 tokens/s · 1,512 trees · 9,893 pairs · a␛[H word");
    expect_row(&s, 4, " 0:10 elapsed · about 1:50 left");
    assert_int_equal(s.row, 5);
    live_note(p, "a line \x1b[31m that is reported");
    play(&s);
    expect_row(&s, 0, "a line ␛[31m that is reported");
    assert_memory_equal(s.rows[1], "── runs/x", strlen("── runs/x"));
    assert_int_equal(s.row, 6);
    live_end(p);
    live_close(p);
    play(&s);
    expect_row(&s, 1, "iteration 3: search: 10/128 problems in 0:10, a␛[H word");
    expect_row(&s, 2, "");
    assert_int_equal(s.row, 2);
    close_stage(&s);
}

static void a_whole_run(stage *s, int width, bool unicode) {
    open_stage(s, unicode, width);
    live_view *p = live_open(&s->style, "runs/a-run-with-a-long-name-that-fits-nowhere", NULL);
    run_progress f = figures;
    for (f.iteration = 0; f.iteration < 4; f.iteration++) {
        f.score_count = f.iteration > 3 ? 3 : f.iteration;
        f.phase_seconds = f.iteration < 2 ? (double)NAN : 3;
        live_progress(p, &f);
        live_begin(p, "iteration 3: search", f.iteration == 2 ? 0 : 100, "problems");
        for (int i = 1; i <= 30; i++) {
            s->time += 0.3;
            live_tokens(p, i % 7 * 1000);
            live_step(p, i, "loss 0.3");
            play(s);
            for (int row = s->row > 5 ? s->row - 5 : 0; row < s->row; row++)
                assert_in_range(display_columns(s->rows[row]), 0, width - 1);
        }
        live_end(p);
        live_note(p, "done with one iteration, in a line that is much longer than a narrow terminal is wide");
    }
    live_close(p);
    play(s);
    int views = 0, notes = 0;
    for (int i = 0; i < ROWS; i++) {
        views += strstr(s->rows[i], "elapsed") != NULL;
        notes += strncmp(s->rows[i], "done with", 9) == 0;
    }
    assert_int_equal(views, 0);
    assert_int_equal(notes, 4);
    for (int i = s->row; i < ROWS; i++) assert_int_equal(s->rows[i][0], 0);
    close_stage(s);
}

static void it_fits_every_width_and_leaves_nothing(void **state) {
    (void)state;
    static stage s;
    for (int width = 20; width <= 130; width++) a_whole_run(&s, width, width % 2);
}

/* The signal's line is below the view: the next drawing removes it with the old view. */
static void a_stop_leaves_one_view(void **state) {
    (void)state;
    static stage s;
    for (int width = 40; width < 100; width += 3) {
        volatile sig_atomic_t stop = 0;
        open_stage(&s, true, width);
        live_view *p = live_open(&s.style, "runs/x", &stop);
        live_progress(p, &figures);
        live_note(p, "before");
        stop = 1;
        fprintf(s.stream, "^C\n%.*s\n", stop_line_columns(),
                "espalier: stopping after the current piece of work (again: quit at once)");
        play(&s);
        s.time += 1;
        live_begin(p, "iteration 3: search", 10, "problems");
        play(&s);
        expect_row(&s, 0, "before");
        assert_int_equal(s.row, 6);
        assert_non_null(strstr(s.rows[5], "stop"));
        s.time += 1;
        live_step(p, 1, NULL);
        play(&s);
        assert_int_equal(s.row, 6);
        live_close(p);
        play(&s);
        assert_int_equal(s.row, 1);
        close_stage(&s);
    }
}

/* What a terminal does when it is made narrower: the rest of a row that is too long becomes a row. */
static void narrow(stage *s, int width) {
    static char old[ROWS][COLUMNS];
    int rows = s->row;
    memcpy(old, s->rows, sizeof old);
    memset(s->rows, 0, sizeof s->rows);
    s->row = s->column = 0;
    s->width = width;
    for (int i = 0; i < rows; i++) {
        for (const char *at = old[i]; *at;) {
            int n = 1;
            while (((unsigned char)at[n] & 0xc0) == 0x80) n++;
            put_character(s, at, n);
            at += n;
        }
        s->row++, s->column = 0;
    }
    char columns[16];
    snprintf(columns, sizeof columns, "%d", width);
    setenv("COLUMNS", columns, 1);
}

static void a_resize_leaves_one_view(void **state) {
    (void)state;
    static stage s;
    for (int width = 30; width < 100; width += 7) {
        setenv("COLUMNS", "100", 1);
        open_stage(&s, true, 100);
        s.style.width = 0; /* asked for at each drawing */
        live_view *p = live_open(&s.style, "runs/x", NULL);
        live_progress(p, &figures);
        live_begin(p, "iteration 3: search", 10, "problems");
        play(&s);
        assert_int_equal(s.row, 5);
        narrow(&s, width);
        s.time += 1;
        live_step(p, 1, NULL);
        play(&s);
        assert_int_equal(s.row, 5);
        assert_non_null(strstr(s.rows[1], "iteration 3"));
        live_close(p);
        play(&s);
        assert_int_equal(s.row, 0);
        close_stage(&s);
    }
    unsetenv("COLUMNS");
}

static void times_are_not_known_before_they_are(void **state) {
    (void)state;
    static stage s;
    open_stage(&s, false, 80);
    live_view *p = live_open(&s.style, "runs/x", NULL);
    run_progress f = figures;
    f.seconds_after = NAN;
    live_progress(p, &f);
    play(&s);
    expect_row(&s, 4, " 0:00 elapsed, time left: after iteration 1");
    f.seconds_after = 100;
    f.phase_seconds = NAN; /* estimated from the current work */
    live_progress(p, &f);
    live_begin(p, "iteration 3: search", 100, "problems");
    s.time = 10;
    live_step(p, 1, NULL);
    s.time = 60;
    live_step(p, 50, NULL);
    play(&s);
    expect_row(&s, 4, " 1:00 elapsed, about 2:40 left");
    live_close(p);
    close_stage(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_shows),
        cmocka_unit_test(it_fits_every_width_and_leaves_nothing),
        cmocka_unit_test(a_stop_leaves_one_view),
        cmocka_unit_test(a_resize_leaves_one_view),
        cmocka_unit_test(times_are_not_known_before_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
