/* Lines out of pieces: the same lines however the stream is cut. */
#include "support.h"

#include "grader/lines.h"

static const char stream[] = "one\n\ntwo\r\n{\"id\": 3}\nzero \0 inside\nno end";
static const struct {
    const char *text;
    size_t length;
} wanted[] = {{"one", 3}, {"", 0}, {"two", 3}, {"{\"id\": 3}", 9}, {"zero \0 inside", 13}};
enum { WANTED = sizeof wanted / sizeof *wanted };

static void the_cuts_do_not_matter(void **state) {
    (void)state;
    size_t all = sizeof stream - 1;
    for (size_t piece = 1; piece <= all; piece++) {
        line_stream l = {.from = 0};
        size_t found = 0, length;
        const char *line;
        for (size_t at = 0; at < all; at += piece) {
            lines_add(&l, stream + at, at + piece > all ? all - at : piece);
            for (; lines_next(&l, &line, &length); found++) {
                assert_true(found < WANTED);
                assert_int_equal(length, wanted[found].length);
                assert_memory_equal(line, wanted[found].text, length + 1);
            }
        }
        assert_int_equal(found, WANTED);
        assert_int_equal(lines_unfinished(&l), strlen("no end"));
        lines_clear(&l);
        assert_int_equal(lines_unfinished(&l), 0);
        lines_add(&l, "x\n", 2);
        assert_true(lines_next(&l, &line, &length));
        assert_string_equal(line, "x");
        assert_false(lines_next(&l, &line, &length));
        lines_free(&l);
    }
}

/* A line that never ends is looked at once, not again with every piece. */
static void a_long_line_takes_linear_time(void **state) {
    (void)state;
    line_stream l = {.from = 0};
    char piece[4096];
    const char *line;
    size_t length;
    memset(piece, 'x', sizeof piece);
    for (int i = 0; i < 20000; i++) {
        lines_add(&l, piece, sizeof piece);
        assert_false(lines_next(&l, &line, &length));
    }
    assert_int_equal(lines_unfinished(&l), 20000 * sizeof piece);
    lines_add(&l, "\n", 1);
    assert_true(lines_next(&l, &line, &length));
    assert_int_equal(length, 20000 * sizeof piece);
    lines_free(&l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cuts_do_not_matter),
        cmocka_unit_test(a_long_line_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
