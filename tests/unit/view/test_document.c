/* JSON inside a page: any bytes in, valid UTF-8 out, and nothing that could end a script element. */
#include "support.h"

#include "base/random.h"
#include "view/document.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* The text written, as a parser reads it back. New reference. */
static json_t *written(const char *text, size_t most, document *d) {
    document_begin(d, '[');
    document_text_cut(d, text, most);
    document_end(d, ']');
    json_error_t why;
    json_t *list = json_loadb(d->text.at, d->text.length, 0, &why); /* jansson refuses what is not UTF-8 */
    if (!list) fail_msg("%s: %s", why.text, d->text.at);
    json_t *one = json_incref(json_array_get(list, 0));
    json_decref(list);
    return one;
}

static void check(const char *in, const char *out) {
    document d = {0};
    json_t *value = written(in, SIZE_MAX, &d);
    assert_string_equal(json_string_value(value), out);
    for (size_t i = 0; i < d.text.length; i++) assert_null(strchr("<>&", d.text.at[i]));
    assert_null(strstr(d.text.at, "\xe2\x80\xa8"));
    assert_null(strstr(d.text.at, "\xe2\x80\xa9"));
    json_decref(value);
    document_free(&d);
}

static void texts_come_back_and_end_nothing(void **state) {
    (void)state;
    check("plain", "plain");
    check("", "");
    check("</script><script>alert(\"1\")</script><!-- & -->",
          "</script><script>alert(\"1\")</script><!-- & -->");
    check("quote \" backslash \\ slash / tab \t line \n return \r",
          "quote \" backslash \\ slash / tab \t line \n return \r");
    check("\x01\x02\x1b[31m\x7f", "\x01\x02\x1b[31m\x7f");
    check("line \xe2\x80\xa8 paragraph \xe2\x80\xa9 end", "line \xe2\x80\xa8 paragraph \xe2\x80\xa9 end");
    check("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xe2\x80\xae"
          "rtl",
          "\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d \xe2\x80\xae"
          "rtl");
    check("\xf0\x9f\x8c\xb3 tree", "\xf0\x9f\x8c\xb3 tree");
}

static void bytes_that_are_no_text_are_replaced(void **state) {
    (void)state;
#define BAD "\xef\xbf\xbd"
    check("a\xff"
          "b",
          "a" BAD "b");
    check("\xc3", BAD);                         /* cut off */
    check("\xc0\xaf", BAD BAD);                 /* overlong */
    check("\xed\xa0\x80", BAD BAD BAD);         /* a surrogate */
    check("\xf4\x90\x80\x80", BAD BAD BAD BAD); /* beyond the last character */
    check("\xe2\x80"
          "x",
          BAD BAD "x");
}

/* Whatever the bytes, what comes out parses and has no bracket of markup. */
static void any_bytes(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 2000; round++) {
        rng_key_t key = rng_mix(rng_key(11), round);
        char text[64] = {0};
        int n = (int)rng_below(key, 0, 63);
        for (int i = 0; i < n; i++) text[i] = (char)(1 + rng_below(key, 1 + (uint64_t)i, 255));
        document d = {0};
        json_decref(written(text, rng_below(key, 100, 64), &d));
        for (size_t i = 0; i < d.text.length; i++) assert_null(strchr("<>&", d.text.at[i]));
        document_free(&d);
    }
}

static void long_texts_are_cut_between_characters(void **state) {
    (void)state;
    document d = {0};
    json_t *value = written("ab\xc3\xa4\xc3\xb6", 3, &d); /* the cut would halve the third character */
    assert_string_equal(json_string_value(value), "ab \xe2\x80\xa6 [4 bytes more]");
    json_decref(value);
    document_free(&d);
    char *large = MEM_ARRAY(char, 1000001);
    memset(large, 'x', 1000000);
    value = written(large, 4000, &d);
    assert_int_equal(strlen(json_string_value(value)), 4000 + strlen(" \xe2\x80\xa6 [996000 bytes more]"));
    assert_non_null(strstr(json_string_value(value), "[996000 bytes more]"));
    json_decref(value);
    document_free(&d);
    mem_free(large);
}

static void numbers_come_back(void **state) {
    (void)state;
    const double values[] = {
        0, 1, -1, 0.1, 1.0 / 3, 6.02e23, 5e-324, 0.013820314340111344, -1e-9, 123456789.125};
    document d = {0};
    document_begin(&d, '[');
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) document_number(&d, values[i]);
    document_number(&d, NAN);
    document_number(&d, -INFINITY);
    document_short(&d, -1.03851447189966, 5);
    document_short(&d, NAN, 5);
    document_integer(&d, INT64_MIN);
    document_end(&d, ']');
    json_t *list = json_loadb(d.text.at, d.text.length, 0, NULL);
    size_t n = sizeof values / sizeof *values;
    for (size_t i = 0; i < n; i++) assert_true(json_number_value(json_array_get(list, i)) == values[i]);
    assert_true(json_is_null(json_array_get(list, n)) && json_is_null(json_array_get(list, n + 1)));
    assert_true(json_number_value(json_array_get(list, n + 2)) == -1.0385);
    assert_true(json_is_null(json_array_get(list, n + 3)));
    assert_true(json_integer_value(json_array_get(list, n + 4)) == INT64_MIN);
    assert_non_null(strstr(d.text.at, "0.1,")); /* the shortest digits */
    json_decref(list);
    document_free(&d);
}

static bool mathematics_in(const char *text) {
    document d = {0};
    document_text(&d, text);
    bool found = d.mathematics;
    document_free(&d);
    return found;
}

static void mathematics_is_told_from_money(void **state) {
    (void)state;
    assert_true(mathematics_in("so $x^2 = 4$"));
    assert_true(mathematics_in("the answer is \\boxed{4}"));
    assert_true(mathematics_in("\\(a\\)"));
    assert_false(mathematics_in("She pays $18 and then $20, in all $38."));
    assert_false(mathematics_in("3 ^ 2, a_b, C:\\Users"));
    assert_false(mathematics_in("costs $5\nx^2 is not $ money"));
    assert_false(mathematics_in(""));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_back_and_end_nothing),
        cmocka_unit_test(bytes_that_are_no_text_are_replaced),
        cmocka_unit_test(any_bytes),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(mathematics_is_told_from_money),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
