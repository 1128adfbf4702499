#include "view/document.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void document_free(document *d) {
    text_free(&d->text);
    *d = (document){0};
}

static void before_value(document *d) {
    if (d->comma) text_append(&d->text, ",", 1);
    d->comma = true;
}

void document_begin(document *d, char bracket) {
    before_value(d);
    text_append(&d->text, &bracket, 1);
    d->comma = false;
}

void document_end(document *d, char bracket) {
    text_append(&d->text, &bracket, 1);
    d->comma = true;
}

void document_key(document *d, const char *key) {
    document_text(d, key);
    text_append(&d->text, ":", 1);
    d->comma = false;
}

void document_raw(document *d, const char *json, size_t length) {
    before_value(d);
    text_append(&d->text, json, length);
}

/* ---- numbers ---- */

void document_null(document *d) {
    document_raw(d, "null", 4);
}

void document_integer(document *d, int64_t value) {
    char digits[32];
    document_raw(d, digits, (size_t)snprintf(digits, sizeof digits, "%lld", (long long)value));
}

void document_short(document *d, double value, int digits) {
    char text[64];
    if (!isfinite(value)) {
        document_null(d);
        return;
    }
    document_raw(d, text, (size_t)snprintf(text, sizeof text, "%.*g", digits, value));
}

void document_number(document *d, double value) {
    char text[64];
    int digits = 15;
    if (!isfinite(value)) {
        document_null(d);
        return;
    }
    do snprintf(text, sizeof text, "%.*g", digits, value);
    while (strtod(text, NULL) != value && ++digits <= 17);
    document_raw(d, text, strlen(text));
}

/* ---- texts ---- */

static void put_ascii(text_buffer *out, unsigned char c) {
    switch (c) {
    case '"':
        text_append(out, "\\\"", 2);
        break;
    case '\\':
        text_append(out, "\\\\", 2);
        break;
    case '\n':
        text_append(out, "\\n", 2);
        break;
    case '\t':
        text_append(out, "\\t", 2);
        break;
    default:
        if (c < 0x20 || c == 0x7f || c == '<' || c == '>' || c == '&')
            text_printf(out, "\\u%04x", c);
        else
            text_append(out, (const char *)&c, 1);
    }
}

/* Appends the characters of text[0, length), escaped, without quotes. */
static void put_characters(text_buffer *out, const char *text, size_t length) {
    const unsigned char *s = (const unsigned char *)text;
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        if (n == 1)
            put_ascii(out, s[i]);
        else if (n == 0)
            text_append(out, "\xef\xbf\xbd", 3);
        else if (n == 3 && s[i] == 0xe2 && s[i + 1] == 0x80 && (s[i + 2] & 0xfe) == 0xa8)
            text_puts(out, s[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
        else
            text_append(out, text + i, n);
        i += n ? n : 1;
    }
}

/* Whether text[0, length) contains mathematics for KaTeX: \( \[ \name, or $...$ with ^, _ or \ within 200
 * bytes of a line. Sums of money have none of these. */
static bool has_mathematics(const char *text, size_t length) {
    for (size_t i = 0; i + 1 < length; i++) {
        char next = text[i + 1];
        if (text[i] == '\\' && (next == '(' || next == '[' || (next >= 'a' && next <= 'z'))) return true;
        if (text[i] != '$') continue;
        bool sign = false;
        for (size_t j = i + 1; j < length && j < i + 200 && text[j] != '\n'; j++) {
            if (text[j] == '$' && sign) return true;
            if (text[j] == '$') break;
            sign = sign || text[j] == '^' || text[j] == '_' || text[j] == '\\';
        }
    }
    return false;
}

void document_text_cut(document *d, const char *text, size_t most) {
    if (!text) {
        document_null(d);
        return;
    }
    size_t length = strlen(text), keep = length;
    if (length > most) {
        keep = most;
        while (keep > 0 && most - keep < 4 && ((unsigned char)text[keep] & 0xc0) == 0x80) keep--;
    }
    before_value(d);
    text_append(&d->text, "\"", 1);
    put_characters(&d->text, text, keep);
    if (keep < length) text_printf(&d->text, " \xe2\x80\xa6 [%zu bytes more]", length - keep);
    text_append(&d->text, "\"", 1);
    d->mathematics = d->mathematics || has_mathematics(text, keep);
}

void document_text(document *d, const char *text) {
    document_text_cut(d, text, SIZE_MAX);
}

/* ---- key and value ---- */

void document_put_text(document *d, const char *key, const char *text) {
    document_key(d, key);
    document_text(d, text);
}

void document_put_integer(document *d, const char *key, int64_t value) {
    document_key(d, key);
    document_integer(d, value);
}

void document_put_number(document *d, const char *key, double value) {
    document_key(d, key);
    document_number(d, value);
}

void document_put_bool(document *d, const char *key, bool value) {
    document_key(d, key);
    document_raw(d, value ? "true" : "false", value ? 4 : 5);
}
