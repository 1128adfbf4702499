#include "view/display.h"

#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

/* ---- characters ---- */

/* Stores the character at `text` (n bytes left, at least 1) in *code; returns its length, 0 if it is not
 * UTF-8. */
static int read_character(const char *text, size_t n, int32_t *code) {
    utf8proc_int32_t c;
    utf8proc_ssize_t length =
        utf8proc_iterate((const utf8proc_uint8_t *)text, n < 4 ? (utf8proc_ssize_t)n : 4, &c);
    if (length <= 0) return 0;
    *code = c;
    return (int)length;
}

static bool is_space(int32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || c == 0x85 || c == 0x2028 || c == 0x2029 ||
           utf8proc_category(c) == UTF8PROC_CATEGORY_ZS;
}

/* Joiners and variation selectors are left out: terminals disagree on how they change the width of their
 * neighbours. */
static bool is_dropped(int32_t c) {
    return c == 0x200c || c == 0x200d || (c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef) ||
           c == 0xad || c == 0x2060 || c == 0xfeff || c == 0x200b;
}

static bool is_printable(int32_t c) {
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF: /* including direction marks */
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return false;
    default:
        return true;
    }
}

static bool is_combining(int32_t c) {
    utf8proc_category_t k = utf8proc_category(c);
    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_ME || utf8proc_charwidth(c) == 0;
}

static void put_code(text_buffer *out, int32_t c) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(c, bytes);
    text_append(out, (const char *)bytes, (size_t)n);
}

/* A control character as its picture (U+2400 ...), or with a caret. */
static void put_control(text_buffer *out, bool unicode, int32_t c) {
    if (unicode)
        put_code(out, c == 0x7f ? 0x2421 : 0x2400 + c);
    else
        text_printf(out, "^%c", (char)(c ^ 0x40));
}

/* ---- cleaning ---- */

static void clean(text_buffer *out, bool unicode, bool keep_lines, const char *text, size_t n) {
    enum { MOST_MARKS = 4 };
    bool space = false;
    int marks = MOST_MARKS; /* none before the first character */
    size_t began = out->length;
    for (size_t i = 0; i < n;) {
        int32_t c = 0;
        int length = read_character(text + i, n - i, &c);
        i += length ? (size_t)length : 1;
        if (length && keep_lines && c == '\n') {
            text_append(out, "\n", 1);
            space = false;
            marks = MOST_MARKS;
            began = out->length;
            continue;
        }
        if (length && is_space(c)) {
            space = out->length > began;
            continue;
        }
        if (length && is_dropped(c)) continue;
        bool combining = length && c >= 0x80 && is_printable(c) && is_combining(c);
        if (combining && (++marks > MOST_MARKS || space)) continue;
        if (space) text_append(out, " ", 1);
        space = false;
        if (!combining) marks = 0;
        if (length && (c < 0x20 || c == 0x7f))
            put_control(out, unicode, c);
        else if (length && c < 0x7f)
            text_append(out, text + i - 1, 1);
        else if (!unicode)
            text_append(out, combining ? "" : "?", combining ? 0 : 1);
        else if (!length || !is_printable(c))
            text_puts(out, "\xef\xbf\xbd");
        else
            text_append(out, text + i - (size_t)length, (size_t)length);
    }
    if (!out->at) text_puts(out, "");
}

void display_clean(text_buffer *out, bool unicode, const char *text, size_t n) {
    clean(out, unicode, false, text, n);
}

void display_clean_lines(text_buffer *out, bool unicode, const char *text, size_t n) {
    clean(out, unicode, true, text, n);
}

/* ---- widths ---- */

/* Bytes and columns of the first character of a clean text. */
static size_t step(const char *text, int *columns) {
    int32_t c = 0;
    int n = read_character(text, strnlen(text, 4), &c);
    *columns = n ? utf8proc_charwidth(c) : 1;
    return n ? (size_t)n : 1;
}

int display_columns(const char *text) {
    int all = 0, one;
    for (const char *at = text; *at; all += one) at += step(at, &one);
    return all;
}

size_t display_fit(const char *text, int width) {
    const char *at = text;
    int all = 0, one;
    while (*at) {
        size_t n = step(at, &one);
        if (all + one > width) break;
        all += one;
        at += n;
    }
    return (size_t)(at - text);
}

void display_cut(text_buffer *out, bool unicode, const char *text, int width) {
    size_t n = width > 0 ? display_fit(text, width) : 0;
    const char *more = unicode ? "…" : "...";
    int own = unicode ? 1 : 3;
    if (!text[n]) {
        text_append(out, text, n);
        return;
    }
    if (width < own) return;
    n = display_fit(text, width - own);
    while (n && text[n - 1] == ' ') n--;
    text_append(out, text, n);
    text_puts(out, more);
}

size_t display_wrap(const char *text, int width, size_t *skip) {
    *skip = 0;
    if (!*text) return 0;
    size_t n = display_fit(text, width > 0 ? width : 1);
    if (n == 0) { /* a character wider than the line */
        int one;
        n = step(text, &one);
    }
    if (text[n] && text[n] != ' ') {
        size_t space = n;
        while (space > 0 && text[space] != ' ') space--;
        if (space > 0) n = space;
    }
    while (text[n + *skip] == ' ') ++*skip;
    return n;
}

/* ---- numbers ---- */

void display_count(text_buffer *out, int64_t n) {
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)n), first = n < 0;
    for (int i = 0; i < length; i++) {
        if (i > first && (length - i) % 3 == 0) text_append(out, ",", 1);
        text_append(out, &digits[i], 1);
    }
}

void display_duration(text_buffer *out, double seconds) {
    int64_t s = seconds > 0 && seconds < 1e15 ? (int64_t)(seconds + 0.5) : 0;
    int64_t days = s / 86400, hours = s / 3600 % 24, minutes = s / 60 % 60;
    if (days)
        text_printf(out, "%lld d %lld h", (long long)days, (long long)hours);
    else if (hours)
        text_printf(out, "%lld:%02lld:%02lld", (long long)hours, (long long)minutes, (long long)(s % 60));
    else
        text_printf(out, "%lld:%02lld", (long long)minutes, (long long)(s % 60));
}
