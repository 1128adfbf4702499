/* Numbers in running text: which one is stated, where it is, and what it is. */
#include "support.h"

#include "base/memory.h"
#include "grade/grade.h"

#include <string.h>

static void test_stated(void **state) {
    (void)state;
    static const struct {
        const char *text, *span, *number; /* number "": none that is rational */
        bool percent, unit, words;
    } rows[] = {
        {"18", "18", "18", false, false, false},
        {" She has 18 clips, 2 of them red", "18", "18", false, false, true},
        {"$1,250.50 in all", "$1,250.50", "1250.5", false, false, false},
        {"5 apples + 3 apples = 8 apples for 2", "5 apples + 3 apples = 8", "8", false, false, false},
        {"x = 7 - 2 = 5.", "7 - 2 = 5", "5", false, false, true},
        {"40 % of it", "40 %", "40", true, false, false},
        {"18 km/h, not 20", "18 km/h", "18", false, true, false},
        {"3.5 \\text{ cm}^2", "3.5 \\text{ cm}^2", "3.5", false, true, false},
        {"twenty-one", "twenty-one", "21", false, false, false},
        {"one of them has 4", "one", "1", false, false, false},
        {"which one of them has 4", "4", "4", false, false, true},
        {"not 20 but 21", "21", "21", false, false, true},
        {"20? no, 21", "21", "21", false, false, true},
        {"step 2: 15", "15", "15", false, false, true},
        {"\xe2\x88\x9e apples", "\xe2\x88\x9e", "", false, false, false},
        {"2\\pi and 4", "2\\pi", "", false, false, false},
        {"9:45 am", "9:45 am", "", false, false, false},
        {"5 or 6 pens", "5 or 6", "", false, false, false},
        {"7i", "7i", "", false, false, false},
        {"(3 + 4) * 2 pens", "(3 + 4) * 2", "14", false, false, false},
        {"3 times 4 = 12", "3 times 4 = 12", "12", false, false, false},
        {"1 234 567 people", "1 234 567", "1234567", false, false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        grade_number n;
        size_t length = strlen(rows[i].text);
        if (!grade_stated_number(rows[i].text, 0, length, &n)) fail_msg("%s: nothing", rows[i].text);
        const char *number = n.number ? n.number : "";
        const char *want = strstr(rows[i].text, rows[i].span);
        assert_true(n.start < n.end && n.end <= length);
        if (strcmp(number, rows[i].number) != 0 || rows[i].text + n.start != want ||
            n.end - n.start < strlen(rows[i].span) || n.end - n.start > strlen(rows[i].span) + 6)
            fail_msg("%s: %s at [%zu, %zu)", rows[i].text, number, n.start, n.end);
        if (n.percent != rows[i].percent || n.unit != rows[i].unit || n.words_before != rows[i].words)
            fail_msg("%s: percent %d, unit %d, words %d", rows[i].text, n.percent, n.unit, n.words_before);
        mem_free(n.number);
    }
    static const char *const none[] = {"",    " ",  "$",  "O",  "~",        "no number",
                                       "---", "cm", "\\", "{}", "\xff\xfe", "%"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        grade_number n;
        if (grade_stated_number(none[i], 0, strlen(none[i]), &n)) fail_msg("\"%s\": a number", none[i]);
    }
}

static void test_last(void **state) {
    (void)state;
    static const struct {
        const char *text, *number;
    } rows[] = {
        {"She makes 9 * 2 = $18 every day.", "18"},
        {"It is 10-3", "3"},
        {"cost -5", "-5"},
        {"2 of 1/4", "0.25"},
        {"3 x 10^2 pens", "300"},
        {"1 1/2", "1.5"},
        {"room B2 has 6", "6"},
        {"6 in room B2", "6"},
        {"5 million, one of them red", "5000000"},
        {"it was 50%", "50"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        grade_number n;
        if (!grade_last_number(rows[i].text, strlen(rows[i].text), &n)) fail_msg("%s: nothing", rows[i].text);
        if (!n.number || strcmp(n.number, rows[i].number) != 0)
            fail_msg("%s: %s, want %s", rows[i].text, n.number ? n.number : "none", rows[i].number);
        mem_free(n.number);
    }
}

/* A text at the very end of a buffer without a terminating zero: nothing beyond it is read (the sanitizer
 * would report it). */
static void test_bounds(void **state) {
    (void)state;
    static const char *const ends[] = {"5",
                                       "5.",
                                       "5 ",
                                       "5,",
                                       "5,00",
                                       "5/",
                                       "5 1/",
                                       "5e",
                                       "5e-",
                                       "\\frac{1}{2",
                                       "5\xc2",
                                       "$",
                                       "\\text{5",
                                       "5^",
                                       "\\sqrt[3",
                                       "10^{2",
                                       "(5",
                                       "5 pm",
                                       "0.\\overline{3",
                                       "**5*",
                                       "<<5"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        char *exact = malloc(n);
        memcpy(exact, ends[i], n);
        grade_number found;
        if (grade_stated_number(exact, 0, n, &found)) {
            assert_true(found.end <= n);
            mem_free(found.number);
        }
        if (grade_last_number(exact, n, &found)) mem_free(found.number);
        assert_int_equal(grade_compare(exact, n, ends[i], n, NULL), GRADE_EQUAL);
        free(exact);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_stated), cmocka_unit_test(test_last),
                                       cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
