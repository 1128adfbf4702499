/* The words of a template, with the white space between tags as trim_blocks and lstrip_blocks have it. */
#include "text/jinja/tree.h"

#include "base/ascii.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

typedef MEM_LIST(char) bracket_list;

typedef struct {
    const char *source;
    size_t length, at;
    int32_t line;
    size_t line_start;
    bool line_starting; /* what was read last ended a line */
    arena *memory;
    jinja_token_list *out;
    esp_error *error;
} lexer;

esp_status jinja_error_at(esp_error *error, int32_t line, int32_t column, const char *hint,
                          const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    char *message = NULL;
    if (vasprintf(&message, format, arguments) < 0) message = NULL;
    va_end(arguments);
    error_fail(error, hint, "line %d, column %d: %s", (int)line, (int)column, message ? message : format);
    free(message);
    return ESP_FAILED;
}

static esp_status fail(const lexer *l, const char *what) {
    return jinja_error_at(l->error, l->line, (int32_t)(l->at - l->line_start) + 1, NULL, "%s", what);
}

static void advance(lexer *l, size_t n) {
    for (size_t end = l->at + n; l->at < end; l->at++)
        if (l->source[l->at] == '\n') {
            l->line++;
            l->line_start = l->at + 1;
        }
    if (n) l->line_starting = l->source[l->at - 1] == '\n';
}

static bool starts(const lexer *l, size_t at, const char *text) {
    size_t n = strlen(text);
    return l->length - at >= n && memcmp(l->source + at, text, n) == 0;
}

static jinja_token *add(lexer *l, token_kind kind, const char *text, size_t length) {
    char *copy = ARENA_ARRAY(l->memory, char, length + 1);
    if (length) memcpy(copy, text, length);
    jinja_token token = {.kind = kind,
                         .line = l->line,
                         .column = (int32_t)(l->at - l->line_start) + 1,
                         .text = copy,
                         .length = length};
    MEM_LIST_PUSH(l->out, token);
    return &l->out->at[l->out->count - 1];
}

/* ---- Text and the white space beside tags ---- */

static size_t spaces_after(const lexer *l, size_t at) {
    size_t n = 0;
    while (at + n < l->length && is_blank((unsigned char)l->source[at + n])) n++;
    return n;
}

/* The length of text that stays before a tag: sign is what follows the tag's two characters. */
static size_t text_before(const lexer *l, size_t end, char sign, bool strips_line) {
    size_t n = end - l->at, line = n;
    if (sign == '-') {
        while (n && is_blank((unsigned char)l->source[l->at + n - 1])) n--;
        return n;
    }
    if (sign == '+' || !strips_line) return n;
    while (line && l->source[l->at + line - 1] != '\n') {
        if (!is_blank((unsigned char)l->source[l->at + line - 1])) return n;
        line--;
    }
    return line > 0 || l->line_starting ? line : n;
}

/* Passes "%}" (or "#}") with its sign, and what it strips. At a sign or at the tag itself. */
static void pass_end(lexer *l, bool strips_line) {
    bool minus = l->source[l->at] == '-', plus = l->source[l->at] == '+';
    size_t n = (minus || plus) + 2u;
    if (minus)
        n += spaces_after(l, l->at + n);
    else if (!plus && strips_line && starts(l, l->at + n, "\n"))
        n++;
    advance(l, n);
}

static bool ends_here(const lexer *l, const char *end, bool plus) {
    size_t at = l->at;
    if (at < l->length && (l->source[at] == '-' || (plus && l->source[at] == '+'))) at++;
    return starts(l, at, end);
}

static esp_status pass_comment(lexer *l) {
    size_t at = l->at + 2;
    while (at < l->length && !starts(l, at, "#}")) at++;
    if (at == l->length) return fail(l, "a comment without an end");
    if (at > l->at + 2 && (l->source[at - 1] == '-' || l->source[at - 1] == '+')) at--;
    advance(l, at - l->at);
    pass_end(l, true);
    return ESP_OK;
}

/* {% raw %} ... {% endraw %}: at the end of the first tag's name. */
static bool tag_is(const lexer *l, size_t at, const char *name, size_t *end) {
    at += 2;
    if (at < l->length && (l->source[at] == '-' || l->source[at] == '+')) at++;
    at += spaces_after(l, at);
    if (!starts(l, at, name)) return false;
    at += strlen(name);
    at += spaces_after(l, at);
    *end = at;
    if (at < l->length && (l->source[at] == '-' || l->source[at] == '+')) at++;
    return starts(l, at, "%}");
}

static esp_status take_raw(lexer *l, size_t begin) {
    advance(l, begin - l->at);
    pass_end(l, false);
    size_t at = l->at, end;
    while (at < l->length && !(starts(l, at, "{%") && tag_is(l, at, "endraw", &end))) at++;
    if (at == l->length) return fail(l, "raw without endraw");
    size_t n = text_before(l, at, at + 2 < l->length ? l->source[at + 2] : 0, true);
    add(l, TOKEN_TEXT, l->source + l->at, n);
    advance(l, end - l->at);
    pass_end(l, true);
    return ESP_OK;
}

/* ---- Inside tags ---- */

static bool name_character(char c) {
    return c == '_' || is_digit((unsigned char)c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void put_character(unsigned long c, text_buffer *out) {
    char bytes[4];
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char firsts[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6) bytes[i] = (char)(0x80 | (c & 0x3f));
    bytes[0] = (char)(firsts[n] | c);
    text_append(out, bytes, n);
}

/* \x41, \u0041, \U00000041, \101; at: after the backslash. Returns the characters used, 0 where it names no
 * character. */
static size_t numbered_escape(const char *at, const char *end, unsigned long *out) {
    bool octal = *at >= '0' && *at <= '7';
    size_t most = *at == 'x' ? 2 : *at == 'u' ? 4 : *at == 'U' ? 8 : 3, n = 0;
    const char *digits = octal ? at : at + 1;
    *out = 0;
    while (n < most && digits + n < end) {
        char c = digits[n];
        int digit = is_digit((unsigned char)c) ? c - '0'
                    : c >= 'a' && c <= 'f'     ? c - 'a' + 10
                    : c >= 'A' && c <= 'F'     ? c - 'A' + 10
                                               : 99;
        if (digit >= (octal ? 8 : 16)) break;
        *out = *out * (octal ? 8 : 16) + (unsigned long)digit;
        n++;
    }
    if ((!octal && n < most) || *out > 0x10ffff || (*out >= 0xd800 && *out < 0xe000)) return 0;
    return octal ? n : n + 1;
}

static esp_status unescape(lexer *l, const char *at, const char *end, text_buffer *out) {
    static const char letters[] = "ntrabfv\\'\"", meanings[] = "\n\t\r\a\b\f\v\\'\"";
    for (; at < end; at++) {
        if (*at != '\\') {
            text_append(out, at, 1);
            continue;
        }
        at++;
        const char *letter = *at ? strchr(letters, *at) : NULL;
        if (letter) {
            text_append(out, meanings + (letter - letters), 1);
        } else if (*at == 'x' || *at == 'u' || *at == 'U' || (*at >= '0' && *at <= '7')) {
            unsigned long c;
            size_t n = numbered_escape(at, end, &c);
            if (n == 0) return fail(l, "a string has an escape that names no character");
            put_character(c, out);
            at += n - 1;
        } else if (*at == 'N') {
            return fail(l, "not supported: characters by name in a string");
        } else if (*at != '\n') {
            text_append(out, at - 1, 2);
        }
    }
    return ESP_OK;
}

static esp_status take_string(lexer *l) {
    char quote = l->source[l->at];
    size_t end = l->at + 1;
    while (end < l->length && l->source[end] != quote) end += l->source[end] == '\\' ? 2 : 1;
    if (end >= l->length) return fail(l, "a string without an end");
    text_buffer text = {0};
    text_append(&text, "", 0);
    esp_status status = unescape(l, l->source + l->at + 1, l->source + end, &text);
    if (status == ESP_OK) {
        add(l, TOKEN_STRING, text.at, text.length);
        advance(l, end + 1 - l->at);
    }
    text_free(&text);
    return status;
}

static size_t digits_at(const lexer *l, size_t at) {
    size_t n = 0;
    while (at + n < l->length && (is_digit((unsigned char)l->source[at + n]) ||
                                  (n && l->source[at + n] == '_' && at + n + 1 < l->length &&
                                   is_digit((unsigned char)l->source[at + n + 1]))))
        n++;
    return n;
}

static esp_status take_number(lexer *l) {
    size_t n = digits_at(l, l->at), fraction = 0, exponent = 0;
    if (starts(l, l->at + n, ".")) fraction = digits_at(l, l->at + n + 1);
    if (fraction) n += fraction + 1;
    if (l->at + n < l->length && (l->source[l->at + n] | 32) == 'e') {
        size_t sign = starts(l, l->at + n + 1, "+") || starts(l, l->at + n + 1, "-");
        exponent = digits_at(l, l->at + n + 1 + sign);
        if (exponent) n += exponent + 1 + sign;
    }
    if (l->at + n < l->length && name_character(l->source[l->at + n]))
        return fail(l, "not supported: a number of this form");
    jinja_token *token = add(l, fraction || exponent ? TOKEN_REAL : TOKEN_INTEGER, l->source + l->at, n);
    char digits[400];
    size_t k = 0;
    for (size_t i = 0; i < n && k + 1 < sizeof digits; i++)
        if (l->source[l->at + i] != '_') digits[k++] = l->source[l->at + i];
    digits[k] = 0;
    errno = 0;
    token->real = strtod(digits, NULL);
    token->integer = strtoll(digits, NULL, 10);
    if (errno || k + 1 == sizeof digits) return fail(l, "not supported: a number of this size");
    advance(l, n);
    return ESP_OK;
}

static esp_status take_sign(lexer *l, bracket_list *open) {
    static const char *const signs[] = {"**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
                                        ">",  "=",  "(",  ")",  "[",  "]",  "{", "}", ",", ".", ":", "|"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++) {
        const char *sign = signs[i];
        if (!starts(l, l->at, sign)) continue;
        if (strchr("([{", *sign)) MEM_LIST_PUSH(open, *sign == '(' ? ')' : *sign == '[' ? ']' : '}');
        if (strchr(")]}", *sign)) {
            if (open->count == 0 || open->at[open->count - 1] != *sign)
                return fail(l, "a bracket that was not opened");
            open->count--;
        }
        add(l, TOKEN_SIGN, sign, strlen(sign));
        advance(l, strlen(sign));
        return ESP_OK;
    }
    return fail(l, "a character that has no meaning in a tag");
}

static esp_status take_word(lexer *l, bracket_list *open) {
    char c = l->source[l->at];
    size_t n = 0;
    if (c == '\'' || c == '"') return take_string(l);
    if (is_digit((unsigned char)c)) return take_number(l);
    while (l->at + n < l->length && name_character(l->source[l->at + n])) n++;
    if (n == 0) return take_sign(l, open);
    add(l, TOKEN_NAME, l->source + l->at, n);
    advance(l, n);
    return ESP_OK;
}

/* The inside of {{ }} or {% %}, and its end. */
static esp_status take_tag(lexer *l, bool print) {
    bracket_list open = {0};
    const char *end = print ? "}}" : "%}";
    esp_status status = ESP_OK;
    for (;;) {
        advance(l, spaces_after(l, l->at));
        if (l->at >= l->length) {
            status = fail(l, "a tag without an end");
            break;
        }
        if (open.count == 0 && ends_here(l, end, !print)) break;
        status = take_word(l, &open);
        if (status != ESP_OK) break;
    }
    MEM_LIST_FREE(&open);
    ESP_TRY(status);
    add(l, print ? TOKEN_PRINT_END : TOKEN_BLOCK_END, "", 0);
    pass_end(l, !print);
    return ESP_OK;
}

/* ---- All of it ---- */

static esp_status take_next(lexer *l) {
    size_t at = l->at, raw;
    while (at < l->length && !starts(l, at, "{{") && !starts(l, at, "{%") && !starts(l, at, "{#")) at++;
    char kind = at < l->length ? l->source[at + 1] : 0, sign = at + 2 < l->length ? l->source[at + 2] : 0;
    size_t n = kind ? text_before(l, at, sign, kind != '{') : at - l->at;
    if (n) add(l, TOKEN_TEXT, l->source + l->at, n);
    advance(l, at - l->at);
    if (!kind) return ESP_OK;
    if (kind == '#') return pass_comment(l);
    if (kind == '%' && tag_is(l, at, "raw", &raw)) return take_raw(l, raw);
    add(l, kind == '{' ? TOKEN_PRINT_BEGIN : TOKEN_BLOCK_BEGIN, "", 0);
    advance(l, 2u + (sign == '-' || (sign == '+' && kind == '%')));
    return take_tag(l, kind == '{');
}

/* Line ends as "\n", without the last one. */
static char *source_lines(const char *source, size_t length, arena *memory, size_t *out) {
    char *text = ARENA_ARRAY(memory, char, length + 1);
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (source[i] == '\n' && i > 0 && source[i - 1] == '\r') continue;
        text[n++] = source[i] == '\r' ? '\n' : source[i];
    }
    *out = n - (n > 0 && text[n - 1] == '\n');
    return text;
}

esp_status jinja_lex(const char *source, size_t length, arena *memory, jinja_token_list *out,
                     esp_error *error) {
    lexer l = {.line = 1, .line_starting = true, .memory = memory, .out = out, .error = error};
    l.source = source_lines(source, length, memory, &l.length);
    while (l.at < l.length) ESP_TRY(take_next(&l));
    add(&l, TOKEN_END, "", 0);
    return ESP_OK;
}
