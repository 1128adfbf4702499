/* Numbers in running text: where they are and what they are worth. */
#include "support.h"

#include "base/memory.h"
#include "grade/spelling.h"
#include "task/number.h"

#include <string.h>

/* All numbers of a text in their one spelling, ";" between; a value that is none is "?". */
static void check(const char *text, const char *want) {
    text_buffer b = {0};
    text_puts(&b, "");
    number_token n;
    fmpq_t value;
    fmpq_init(value);
    for (size_t from = 0; number_next(text, strlen(text), from, &n); from = n.end) {
        char *one = number_value(&n, value) ? grade_number_text(value) : mem_strdup("?");
        text_printf(&b, "%s%s%s", b.length ? ";" : "", one, n.percent ? "%" : "");
        mem_free(one);
        assert_true(n.start < n.end && n.end <= strlen(text) && n.start >= from);
    }
    if (strcmp(b.at, want) != 0) fail_msg("\"%s\": got %s, want %s", text, b.at, want);
    text_free(&b);
    fmpq_clear(value);
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        const char *text, *numbers;
    } cases[] = {
        {"", ""},
        {"none . , - $ % / here", ""},
        {"18", "18"},
        {"007", "7"},
        {"1,234,567.50", "1234567.5"},
        {"1,2,3", "1;2;3"},
        {"12,34", "12;34"},
        {"1234,567", "1234;567"},
        {"1,2345", "1;2345"},
        {"1\xc2\xa0"
         "000\xc2\xa0"
         "000",
         "1000000"},
        {"2{,}500", "2500"},
        {".5", "0.5"},
        {"0.50", "0.5"},
        {"5.", "5"},
        {"wait...5", "5"},
        {"end.5 more", "5"},
        {"-3", "-3"},
        {"\xe2\x88\x92"
         "3",
         "-3"},
        {"\xe2\x80\x93"
         "3",
         "-3"},
        {"10-3", "10;3"},
        {"10 -3", "10;-3"},
        {"10 - 3", "10;3"},
        {"(5)-3", "5;3"},
        {"x-3", "3"},
        {"=-3", "-3"},
        {"--3", "3"},
        {"-$5", "-5"},
        {"$-5", "-5"},
        {"-$ 5", "-5"},
        {"\\$5.25", "5.25"},
        {"\xe2\x82\xac"
         "1,000",
         "1000"},
        {"-\xc2\xa3"
         "2",
         "-2"},
        {"1/2", "0.5"},
        {"1/3", "1/3"},
        {"2/6", "1/3"},
        {"-2/3", "-2/3"},
        {"1 / 3", "1/3"},
        {"10/2", "5"},
        {"1/0", "?"},
        {"2.5/5", "0.5"},
        {"$3/hour", "3"},
        {"1/2/2020", "1;2;2020"},
        {"1 1/2", "1.5"},
        {"-1 1/2", "-1.5"},
        {"12 10/2", "12;5"},
        {"5 3/7/9", "5;3;7;9"},
        {"\xc2\xbd", "0.5"},
        {"2\xc2\xbe", "2.75"},
        {"2 \xe2\x85\x93", "7/3"},
        {"\\frac{1}{2}", "0.5"},
        {"-\\dfrac{3}{4}", "-0.75"},
        {"\\frac{-3}{4}", "-0.75"},
        {"2\\frac{1}{4}", "2.25"},
        {"\\frac{x}{4}", "4"},
        {"50%", "50%"},
        {"50 %", "50%"},
        {"50\\%", "50%"},
        {"12.5 percent", "12.5%"},
        {"1e6", "1000000"},
        {"1.5E-3", "0.0015"},
        {"1e", "1"},
        {"2eggs", "2"},
        {"1e99999999999999999999", "?"},
        {"1e-5000", "?"},
        {"3x4=12", "3;4;12"},
        {"1st and 22nd", "1;22"},
        {"100000000000000000000000000000000000001", "100000000000000000000000000000000000001"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check(cases[i].text, cases[i].numbers);
}

/* A number at the very end of a buffer without a terminating zero: nothing is read beyond it (the sanitizer
 * would report it). */
static void test_bounds(void **state) {
    (void)state;
    static const char *const ends[] = {"5",     "5.", "5 ",  "5,",          "5,00",  "5/", "5 1/",
                                       "5 1/2", "5e", "5e-", "\\frac{1}{2", "5\xc2", "$"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        char *exact = malloc(n);
        memcpy(exact, ends[i], n);
        number_token t;
        for (size_t from = 0; number_next(exact, n, from, &t); from = t.end) assert_true(t.end <= n);
        free(exact);
    }
    number_token t;
    assert_false(number_next(NULL, 0, 0, &t));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
