/* Text on a terminal: whatever the bytes, what is printed cannot command it, and its width is known. */
#include "support.h"

#include "base/random.h"
#include "view/display.h"

#include <stdbool.h>
#include <string.h>

static void expect(bool unicode, const char *text, size_t n, const char *wanted) {
    text_buffer out = {0};
    display_clean(&out, unicode, text, n);
    if (strcmp(out.at, wanted) != 0) fail_msg("\"%s\" instead of \"%s\"", out.at, wanted);
    assert_int_equal(out.length, strlen(wanted));
    text_free(&out);
}
#define EXPECT(unicode, text, wanted) expect(unicode, text, sizeof text - 1, wanted)

static void control_characters_become_symbols(void **state) {
    (void)state;
    EXPECT(true, "\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇");
    EXPECT(false, "\x1b[2J\x7f", "^[[2J^?");
    EXPECT(true, "a\0b", "a␀b");
    EXPECT(true,
           "\xc2\x9b"
           "31m",
           "\xef\xbf\xbd"
           "31m"); /* U+009B, the control sequence introducer in one character */
    EXPECT(true,
           "\x9b"
           "31m",
           "\xef\xbf\xbd"
           "31m"); /* and as a byte of its own */
    EXPECT(true, "  a \n\t b\r\n", "a b");
    EXPECT(true, "", "");
    text_buffer lines = {0};
    display_clean_lines(&lines, true, "a\n  b\x1b\n", 7);
    assert_string_equal(lines.at, "a\nb␛\n");
    text_free(&lines);
}

static void directions_joiners_and_marks_are_tamed(void **state) {
    (void)state;
    EXPECT(true, "a\u202eb\u2066c\u200fd", "a\ufffdb\ufffdc\ufffdd");
    EXPECT(true, "a\u200db\ufe0fc\u00add", "abcd");
    EXPECT(true, "שלום", "שלום");
    EXPECT(false, "é≤", "??");
    EXPECT(true, "\xc0\xaf\xed\xa0\x80", "\ufffd\ufffd\ufffd\ufffd\ufffd"); /* overlong; half of a pair */
    char zalgo[2 * 1000 + 2] = "o";
    for (int i = 0; i < 1000; i++) memcpy(zalgo + 1 + 2 * i, "\u0301", 2);
    expect(true, zalgo, 2001, "o\u0301\u0301\u0301\u0301");
    EXPECT(true, "\u0301x", "x");
}

static void columns_cuts_and_wraps(void **state) {
    (void)state;
    assert_int_equal(display_columns("aé漢o\u0301"), 5);
    assert_int_equal(display_fit("漢字", 3), 3);
    text_buffer out = {0};
    display_cut(&out, true, "漢字漢字", 5);
    assert_string_equal(out.at, "漢字…");
    text_clear(&out);
    display_cut(&out, false, "abcdef", 5);
    assert_string_equal(out.at, "ab...");
    text_clear(&out);
    display_cut(&out, true, "abc", 3);
    assert_string_equal(out.at, "abc");
    text_free(&out);
    size_t skip;
    assert_int_equal(display_wrap("one two three", 8, &skip), 7);
    assert_int_equal(skip, 1);
    assert_int_equal(display_wrap("onetwothree", 8, &skip), 8);
    assert_int_equal(display_wrap("漢", 1, &skip), 3); /* never nothing */
    assert_int_equal(display_wrap("", 8, &skip), 0);
    text_buffer number = {0};
    display_count(&number, -1234567);
    display_count(&number, 999);
    display_duration(&number, 3725);
    assert_string_equal(number.at, "-1,234,5679991:02:05");
    text_free(&number);
}

/* Random bytes: the result is UTF-8 without a control character, and no line of it is wider than asked for.
 */
static void any_bytes_are_harmless(void **state) {
    (void)state;
    enum { LENGTH = 1 << 20 };
    char *bytes = malloc(LENGTH);
    rng_key_t key = rng_key(5);
    for (int i = 0; i < LENGTH; i++) bytes[i] = (char)(rng_uniform(key, (uint64_t)i) * 256);
    for (int unicode = 0; unicode < 2; unicode++) {
        text_buffer out = {0};
        display_clean(&out, unicode, bytes, LENGTH);
        for (size_t i = 0; i < out.length; i++) {
            unsigned char c = (unsigned char)out.at[i];
            assert_true(c >= 0x20 && c != 0x7f && (unicode || c < 0x80));
            assert_false(c == 0xc2 && (unsigned char)out.at[i + 1] < 0xa0); /* U+0080 to U+009F */
        }
        text_buffer line = {0};
        display_cut(&line, unicode, out.at, 77);
        assert_in_range(display_columns(line.at), 70, 77);
        const char *at = out.at;
        for (int i = 0; i < 2000 && *at; i++) {
            size_t skip, n = display_wrap(at, 50, &skip);
            assert_true(n > 0);
            text_clear(&line);
            text_append(&line, at, n);
            assert_in_range(display_columns(line.at), 1, 50);
            at += n + skip;
        }
        text_free(&line);
        text_free(&out);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_become_symbols),
        cmocka_unit_test(directions_joiners_and_marks_are_tamed),
        cmocka_unit_test(columns_cuts_and_wraps),
        cmocka_unit_test(any_bytes_are_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
