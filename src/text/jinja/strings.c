/* What Python's str does, on strings with marks. */
#include "text/jinja/tree.h"

#include <utf8proc.h>

static utf8proc_int32_t character_of(jinja_string s, size_t at, size_t length) {
    utf8proc_int32_t c;
    if (utf8proc_iterate((const utf8proc_uint8_t *)s.at + at, (utf8proc_ssize_t)length, &c) < 0) return -1;
    return c;
}

/* str.isspace */
bool jinja_is_space(jinja_string s, size_t at, size_t length) {
    utf8proc_int32_t c = character_of(s, at, length);
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
           c == 0x3000;
}

/* Whether the character [at, at + length) is white space, or one of those of `what`. */
static bool is_trimmed(jinja_string s, size_t at, size_t length, const jinja_string *what) {
    if (!what) return jinja_is_space(s, at, length);
    for (size_t i = 0, n; i < what->length; i += n) {
        n = jinja_character(*what, i);
        if (n == length && memcmp(what->at + i, s.at + at, n) == 0) return true;
    }
    return false;
}

jinja_string jinja_trim(jinja_string s, const jinja_string *what, jinja_trim_side side) {
    size_t start = 0, end = s.length;
    while (side != JINJA_TRIM_RIGHT && start < end) {
        size_t n = jinja_character(s, start);
        if (!is_trimmed(s, start, n, what)) break;
        start += n;
    }
    while (side != JINJA_TRIM_LEFT && end > start) {
        size_t last = end - 1;
        while (last > start && end - last < 4 && ((unsigned char)s.at[last] & 0xc0) == 0x80) last--;
        if (jinja_character(jinja_part(s, 0, end), last) != end - last) last = end - 1;
        if (!is_trimmed(s, last, end - last, what)) break;
        end = last;
    }
    return jinja_part(s, start, end);
}

void jinja_strip(const char *text, size_t *start, size_t *length) {
    /* Trimming reads no marks. */
    jinja_string s =
        jinja_trim((jinja_string){text, (const uint8_t *)text, *length, false}, NULL, JINJA_TRIM_BOTH);
    *start = (size_t)(s.at - text);
    *length = s.length;
}

static void put_cased(utf8proc_int32_t c, bool upper, uint8_t own, jinja_output *out) {
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t n = utf8proc_encode_char(upper ? utf8proc_toupper(c) : utf8proc_tolower(c), bytes);
    for (utf8proc_ssize_t i = 0; i < n; i++) {
        text_append(&out->text, (const char *)bytes + i, 1);
        text_append(&out->own, (const char *)&own, 1);
    }
}

esp_status jinja_cased(jinja_run *r, jinja_string s, jinja_case to, jinja_string *out) {
    ESP_TRY(jinja_charge(r, s.length));
    jinja_output text = {0};
    bool starts = true;
    for (size_t at = 0, n; at < s.length; at += n) {
        n = jinja_character(s, at);
        utf8proc_int32_t c = character_of(s, at, n);
        bool upper = to == JINJA_UPPER || (starts && to != JINJA_LOWER);
        if (c < 0)
            jinja_output_string(&text, jinja_part(s, at, at + n));
        else
            put_cased(c, upper, s.own[at], &text);
        starts = to == JINJA_TITLE && c >= 0 && utf8proc_toupper(c) == utf8proc_tolower(c);
    }
    esp_status status = jinja_output_take(r, &text, out);
    jinja_output_free(&text);
    return status;
}

int64_t jinja_find(jinja_string s, jinja_string what, size_t from) {
    if (what.length > s.length || from > s.length - what.length) return -1;
    if (what.length == 0) return (int64_t)from;
    const char *at = memmem(s.at + from, s.length - from, what.at, what.length);
    return at ? at - s.at : -1;
}

esp_status jinja_replace(jinja_run *r, jinja_string s, jinja_string old, jinja_string new, int64_t most,
                         jinja_string *out) {
    jinja_output text = {0};
    size_t from = 0;
    esp_status status = ESP_OK;
    while (most != 0 && status == ESP_OK) {
        int64_t at = jinja_find(s, old, from);
        if (at < 0) break;
        size_t skipped = old.length ? 0 : from < s.length ? jinja_character(s, from) : 0;
        status = jinja_charge(r, new.length);
        jinja_output_string(&text, jinja_part(s, from, (size_t)at));
        jinja_output_string(&text, new);
        jinja_output_string(&text, jinja_part(s, (size_t)at, (size_t)at + skipped));
        from = (size_t)at + old.length + skipped;
        if (most > 0) most--;
        if (old.length == 0 && skipped == 0) break;
    }
    jinja_output_string(&text, jinja_part(s, from, s.length));
    if (status == ESP_OK) status = jinja_output_take(r, &text, out);
    jinja_output_free(&text);
    return status;
}

/* ---- Splitting ---- */

static esp_status add_part(jinja_run *r, jinja_list *out, jinja_string s, size_t start, size_t end) {
    return jinja_list_add(r, out, jinja_of_string(jinja_part(s, start, end)));
}

static esp_status split_spaces(jinja_run *r, jinja_string s, int64_t most, jinja_list *out) {
    jinja_string rest = jinja_trim(s, NULL, JINJA_TRIM_LEFT);
    while (rest.length) {
        size_t end = 0;
        while (end < rest.length && !jinja_is_space(rest, end, jinja_character(rest, end)))
            end += jinja_character(rest, end);
        if (most == 0)
            return add_part(r, out, jinja_trim(rest, NULL, JINJA_TRIM_RIGHT), 0,
                            jinja_trim(rest, NULL, JINJA_TRIM_RIGHT).length);
        ESP_TRY(add_part(r, out, rest, 0, end));
        rest = jinja_trim(jinja_part(rest, end, rest.length), NULL, JINJA_TRIM_LEFT);
        if (most > 0) most--;
    }
    return ESP_OK;
}

/* The last place of `what` in s[0, end). */
static int64_t find_last(jinja_string s, jinja_string what, size_t end) {
    for (size_t at = end; at >= what.length && at > 0; at--)
        if (memcmp(s.at + at - what.length, what.at, what.length) == 0) return (int64_t)(at - what.length);
    return -1;
}

static esp_status split_right(jinja_run *r, jinja_string s, jinja_string by, int64_t most, jinja_list *out) {
    size_t end = s.length;
    for (int64_t at; most != 0 && (at = find_last(s, by, end)) >= 0; most -= most > 0) {
        ESP_TRY(add_part(r, out, s, (size_t)at + by.length, end));
        end = (size_t)at;
    }
    ESP_TRY(add_part(r, out, s, 0, end));
    for (int64_t i = 0, k = out->count - 1; i < k; i++, k--) {
        jinja_value swapped = out->at[i];
        out->at[i] = out->at[k];
        out->at[k] = swapped;
    }
    return ESP_OK;
}

esp_status jinja_split(jinja_run *r, jinja_string s, const jinja_string *separator, int64_t most, bool right,
                       jinja_list *out) {
    if (!separator) return right ? jinja_refuse(r, "rsplit at white space") : split_spaces(r, s, most, out);
    if (separator->length == 0) return jinja_fail(r, NULL, "a string is split at an empty one");
    if (right) return split_right(r, s, *separator, most, out);
    size_t from = 0;
    for (int64_t at; most != 0 && (at = jinja_find(s, *separator, from)) >= 0; most -= most > 0) {
        ESP_TRY(add_part(r, out, s, from, (size_t)at));
        from = (size_t)at + separator->length;
    }
    return add_part(r, out, s, from, s.length);
}

/* Bytes of the line end at `at`, 0: there is none. str.splitlines */
static size_t line_end(jinja_string s, size_t at) {
    size_t n = jinja_character(s, at);
    utf8proc_int32_t c = character_of(s, at, n);
    if (c == '\r' && at + 1 < s.length && s.at[at + 1] == '\n') return 2;
    return (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029 ? n : 0;
}

esp_status jinja_lines(jinja_run *r, jinja_string s, bool keep_ends, jinja_list *out) {
    size_t from = 0;
    for (size_t at = 0; at < s.length;) {
        size_t end = line_end(s, at);
        if (end) ESP_TRY(add_part(r, out, s, from, at + (keep_ends ? end : 0)));
        at += end ? end : jinja_character(s, at);
        if (end) from = at;
    }
    return from < s.length ? add_part(r, out, s, from, s.length) : ESP_OK;
}
