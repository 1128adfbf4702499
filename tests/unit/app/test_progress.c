/* Progress: the live line fits its window and is not drawn too often; a log gets few plain lines. */
#include "support.h"

#include "app/progress.h"

#include <stdbool.h>
#include <string.h>

static double tick(void *context) {
    return *(double *)context;
}

typedef struct {
    FILE *stream;
    char *text;
    size_t length;
    double time;
    progress_style style;
} stage;

static void open_stage(stage *s, bool live, bool unicode, int width) {
    *s = (stage){0};
    s->stream = open_memstream(&s->text, &s->length);
    s->style = (progress_style){.stream = s->stream,
                                .live = live,
                                .unicode = unicode,
                                .width = width,
                                .now = tick,
                                .context = &s->time};
}

static void close_stage(stage *s) {
    fclose(s->stream);
    free(s->text);
}

static int count(const char *text, const char *part) {
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)) != NULL; at += strlen(part)) n++;
    return n;
}

static void a_log_gets_few_lines(void **state) {
    (void)state;
    stage s;
    open_stage(&s, false, true, 80);
    progress *p = progress_begin_styled(&s.style, "search", 200, "problems");
    for (int i = 0; i < 200; i++) {
        s.time += 0.5;
        progress_step(p, 1);
    }
    progress_note(p, "a word");
    progress_end(p);
    fflush(s.stream);
    assert_null(strchr(s.text, '\r'));
    assert_null(strchr(s.text, '\x1b'));
    assert_non_null(strstr(s.text, "search: 20/200 problems (10%), 2.0/s, 1:30 left\n"));
    assert_non_null(strstr(s.text, "a word\n"));
    assert_non_null(strstr(s.text, "search: 200 problems in 1:40 (2.0/s)\n"));
    assert_int_equal(count(s.text, "\n"), 9 + 2);
    close_stage(&s);
}

static void the_live_line_fits(void **state) {
    (void)state;
    for (int width = 5; width <= 120; width++) {
        stage s;
        open_stage(&s, true, true, width);
        progress *p = progress_begin_styled(&s.style, "süche", 1000, "problems");
        for (int i = 0; i < 50; i++) {
            s.time += 0.2;
            progress_step(p, 13);
            progress_status(p, "loss %.2f", 0.5);
        }
        fflush(s.stream);
        int drawings = 0;
        char *save, *copy = strdup(s.text);
        for (char *line = strtok_r(copy, "\r", &save); line; line = strtok_r(NULL, "\r", &save), drawings++) {
            int columns = 0;
            for (char *c = line; *c && *c != '\x1b'; c++) columns += ((unsigned char)*c & 0xc0) != 0x80;
            if (columns >= width) fail_msg("%d columns of %d: %s", columns, width, line);
        }
        assert_int_equal(drawings, 51);
        free(copy);
        progress_end(p);
        fflush(s.stream);
        assert_null(strstr(s.text, "\x1b[3")); /* no colour was asked for */
        close_stage(&s);
    }
}

static void the_live_line_is_drawn_ten_times_a_second_at_most(void **state) {
    (void)state;
    stage s;
    open_stage(&s, true, false, 80);
    progress *p = progress_begin_styled(&s.style, "train", 100000, "pairs");
    for (int i = 0; i < 10000; i++) {
        s.time += 0.001;
        progress_step(p, 1);
    }
    fflush(s.stream);
    assert_in_range(count(s.text, "\r"), 80, 101);
    assert_non_null(strstr(s.text, "#"));
    assert_non_null(strstr(s.text, "1000/s  1:30 left"));
    size_t before = s.length;
    progress_note(p, "%s", "above");
    fflush(s.stream);
    assert_non_null(strstr(s.text + before, "\r\x1b[Kabove\n\rtrain"));
    progress_end(p);
    fflush(s.stream);
    assert_non_null(strstr(s.text, "train: 10000/100000 pairs in 0:10 (1000/s)\n"));
    close_stage(&s);
}

static void colours_and_unknown_totals(void **state) {
    (void)state;
    stage s;
    open_stage(&s, true, true, 80);
    s.style.colour = true;
    progress *p = progress_begin_styled(&s.style, "x", 10, "y");
    s.time = 1;
    progress_set(p, 5);
    progress_end(p);
    fflush(s.stream);
    assert_non_null(strstr(s.text, "\x1b[32m"));
    assert_non_null(strstr(s.text, "x: 5/10 y in 0:01"));
    close_stage(&s);
    open_stage(&s, true, true, 80);
    p = progress_begin_styled(&s.style, "read", 0, "rows");
    s.time = 90000;
    progress_step(p, 5);
    progress_end(p);
    fflush(s.stream);
    assert_non_null(strstr(s.text, "read  5 rows  0.2/h"));
    assert_non_null(strstr(s.text, "read: 5 rows in 1 d 1 h (0.2/h)\n"));
    close_stage(&s);
    progress_end(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_gets_few_lines),
        cmocka_unit_test(the_live_line_fits),
        cmocka_unit_test(the_live_line_is_drawn_ten_times_a_second_at_most),
        cmocka_unit_test(colours_and_unknown_totals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
