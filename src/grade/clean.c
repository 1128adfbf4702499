#include "grade/clean.h"

#include "base/ascii.h"
#include "base/utf8.h"
#include "grade/symbols.h"

#include <string.h>

enum { MAX_DEPTH = 64 };

/* Braces that are open, innermost last: whether each was opened by a command whose argument is words. */
typedef struct {
    const char *at;
    size_t length, i;
    text_buffer *out;
    bool words[MAX_DEPTH];
    int depth;
    bool math; /* between two "$" */
} cleaner;

static unsigned char peek(const cleaner *c, size_t i) {
    return i < c->length ? (unsigned char)c->at[i] : 0;
}

static bool is_letter(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_space(unsigned char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void put(cleaner *c, char byte) {
    text_append(c->out, &byte, 1);
}

static char last_byte(const cleaner *c) {
    return c->out->length ? c->out->at[c->out->length - 1] : 0;
}

static void skip_spaces(cleaner *c) {
    while (is_space(peek(c, c->i))) c->i++;
}

static uint32_t decode(const char *at, size_t length) {
    uint32_t code = (unsigned char)at[0] & (length == 2 ? 0x1fu : length == 3 ? 0x0fu : 0x07u);
    for (size_t i = 1; i < length; i++) code = code << 6 | ((unsigned char)at[i] & 0x3fu);
    return code;
}

/* Superscripts one after another are one exponent: the brace that the last one closed is opened again. */
static void put_script(cleaner *c, const char *script, bool follows) {
    if (follows && last_byte(c) == '}') {
        c->out->length--;
        put(c, script[1]);
    } else {
        text_append(c->out, script, 1);
        put(c, '{');
        put(c, script[1]);
    }
    put(c, '}');
}

static void trim_spaces(text_buffer *out) {
    while (out->length && out->at[out->length - 1] == ' ') out->length--;
}

/* "^\circ", "^{\circ}" and "°" are one sign. */
static void put_degree(cleaner *c) {
    text_buffer *out = c->out;
    trim_spaces(out);
    bool braced = last_byte(c) == '{';
    if (braced) out->length--;
    trim_spaces(out);
    if (last_byte(c) == '^') {
        out->length--;
        if (braced) {
            skip_spaces(c);
            c->i += peek(c, c->i) == '}';
            c->depth--;
        }
    } else if (braced) {
        put(c, '{');
    }
    text_puts(out, "\\degree ");
}

/* A character beyond ASCII. script: the sign before was a script too. Returns whether this one is. */
static bool clean_character(cleaner *c, bool script) {
    size_t n = utf8_length(c->at + c->i, c->length - c->i);
    if (n == 0) {
        c->i++;
        put(c, ' ');
        return false;
    }
    const char *at = c->at + c->i;
    uint32_t code = decode(at, n);
    c->i += n;
    const char *replacement = symbol_of_character(code);
    int digit = replacement ? -1 : symbol_digit(code);
    if (digit >= 0) {
        put(c, (char)('0' + digit));
    } else if (!replacement) {
        text_append(c->out, at, n);
    } else if (replacement[0] == '^' || replacement[0] == '_') {
        put_script(c, replacement, script);
        return true;
    } else if (strcmp(replacement, "\\degree ") == 0) {
        put_degree(c);
    } else {
        text_puts(c->out, replacement);
    }
    return false;
}

static void open_brace(cleaner *c, bool words) {
    if (c->depth < MAX_DEPTH) c->words[c->depth] = words;
    c->depth++;
    put(c, words ? CLEAN_WORDS_OPEN : '{');
}

static void close_brace(cleaner *c) {
    bool words = c->depth > 0 && c->depth <= MAX_DEPTH && c->words[c->depth - 1];
    if (c->depth > 0) c->depth--;
    put(c, words ? CLEAN_WORDS_CLOSE : '}');
}

static void skip_argument(cleaner *c) {
    skip_spaces(c);
    if (peek(c, c->i) != '{') return;
    const char *close = memchr(c->at + c->i, '}', c->length - c->i);
    c->i = close ? (size_t)(close - c->at) + 1 : c->length;
}

static void named_command(cleaner *c, const char *name, size_t n) {
    const command *known = symbol_command(name, n);
    if (n == 4 && memcmp(name, "circ", n) == 0) {
        put_degree(c);
        return;
    }
    if (!known) { /* kept, and set off from the letters that may follow */
        put(c, '\\');
        text_append(c->out, name, n);
        put(c, ' ');
        return;
    }
    switch (known->action) {
    case COMMAND_REPLACE:
        text_puts(c->out, known->text);
        break;
    case COMMAND_WORDS:
        skip_spaces(c);
        if (peek(c, c->i) == '{') {
            c->i++;
            open_brace(c, true);
        }
        break;
    case COMMAND_SIZE:
        skip_spaces(c);
        c->i += peek(c, c->i) == '.';
        break;
    case COMMAND_ARGUMENT:
        skip_argument(c);
        break;
    }
}

/* "\," and its like: a command whose name is no letter. */
static void sign_command(cleaner *c, unsigned char sign) {
    switch (sign) {
    case '{':
        put(c, CLEAN_SET_OPEN);
        break;
    case '}':
        put(c, CLEAN_SET_CLOSE);
        break;
    case ',':
    case ';':
    case ':':
    case '>':
    case ' ':
        put(c, CLEAN_TIGHT_SPACE);
        break;
    case '!': /* a negative space: what follows moves up */
        skip_spaces(c);
        if (last_byte(c) == ',') {
            c->out->length--;
            put(c, CLEAN_COMMA);
        }
        break;
    case '$':
        text_puts(c->out, "\\usd ");
        break;
    case '(':
    case ')':
    case '[':
    case ']':
        put(c, ' ');
        break;
    case '\\':
        text_puts(c->out, "\\\\");
        break;
    default: /* \% \# \& \_ \| */
        put(c, (char)sign);
    }
}

static void clean_command(cleaner *c) {
    size_t start = ++c->i;
    while (is_letter(peek(c, c->i))) c->i++;
    size_t n = c->i - start;
    if (n > 0) {
        named_command(c, c->at + start, n);
        return;
    }
    unsigned char sign = peek(c, start);
    if (c->i < c->length && sign < 0x80) {
        c->i++;
        sign_command(c, sign);
    }
}

/* "$" around mathematics, or a dollar: it opens where another one on the same line could close it. */
static void clean_dollar(cleaner *c) {
    c->i++;
    if (peek(c, c->i) == '$') { /* "$$" is always mathematics */
        c->i++;
        put(c, ' ');
        return;
    }
    if (c->math) {
        c->math = false;
        put(c, ' ');
        return;
    }
    size_t i = c->i;
    while (i < c->length && c->at[i] != '$' && c->at[i] != '\n') i += c->at[i] == '\\' ? 2 : 1;
    bool closes = i < c->length && c->at[i] == '$' && !is_digit(peek(c, i + 1)) && i > c->i &&
                  !is_space(peek(c, i - 1));
    bool amount =
        closes && memchr(c->at + c->i, ' ', i - c->i) && is_digit(peek(c, c->i)) && is_letter(peek(c, i + 1));
    if (closes && !amount) {
        c->math = true;
        put(c, ' ');
    } else if (c->i < c->length || is_digit((unsigned char)last_byte(c))) {
        text_puts(c->out, "\\usd ");
    } /* else one that closes what was not opened: "x + 1$" */
}

/* "**" is a power between two operands, else markdown's bold; a lone "*" at either end of the text is
 * markdown's too. */
static void clean_star(cleaner *c) {
    if (peek(c, c->i + 1) != '*') {
        bool outside = c->out->length == 0 || c->i + 1 >= c->length;
        c->i++;
        put(c, outside ? ' ' : '*');
        return;
    }
    unsigned char before = (unsigned char)last_byte(c), after = peek(c, c->i + 2);
    bool left = is_digit(before) || is_letter(before) || before == ')';
    bool right = is_digit(after) || is_letter(after) || after == '(' || after == '-' || after == '{';
    c->i += 2;
    put(c, left && right ? '^' : ' ');
}

/* "<<9*2=18>>" repeats a calculation for a calculator (GSM8K); it is no part of the answer. */
static bool clean_annotation(cleaner *c) {
    if (peek(c, c->i + 1) != '<') return false;
    size_t limit = c->length - c->i < 200 ? c->length - c->i : 200;
    const char *close = memmem(c->at + c->i, limit, ">>", 2);
    if (!close) return false;
    c->i = (size_t)(close - c->at) + 2;
    return true;
}

static void clean_ascii(cleaner *c, unsigned char byte) {
    c->i++;
    switch (byte) {
    case '{':
        if (peek(c, c->i) && strchr(",:=<>", peek(c, c->i)) &&
            peek(c, c->i + 1) == '}') { /* {,} for spacing */
            put(c, peek(c, c->i) == ',' ? CLEAN_COMMA : (char)peek(c, c->i));
            c->i += 2;
        } else {
            open_brace(c, false);
        }
        break;
    case '}':
        close_brace(c);
        break;
    case '~': /* TeX's tie, unless "~=" */
        put(c, peek(c, c->i) == '=' ? '~' : CLEAN_TIGHT_SPACE);
        break;
    default:
        put(c, byte == '`' || byte < ' ' || byte == 0x7f ? ' ' : (char)byte);
    }
}

static void clean_step(cleaner *c) {
    unsigned char byte = peek(c, c->i);
    if (byte == '\\')
        clean_command(c);
    else if (byte == '$')
        clean_dollar(c);
    else if (byte == '*')
        clean_star(c);
    else if (byte != '<' || !clean_annotation(c))
        clean_ascii(c, byte);
}

void clean_text(const char *text, size_t length, text_buffer *out, clean_places *places) {
    cleaner c = {.at = text, .length = length, .out = out};
    bool script = false;
    while (c.i < length) {
        size_t start = c.i;
        if (peek(&c, c.i) >= 0x80) {
            script = clean_character(&c, script);
        } else {
            script = false;
            clean_step(&c);
        }
        if (!places) continue;
        if (places->count > (int64_t)out->length)
            places->count = (int64_t)out->length; /* a sign was taken back */
        while (places->count < (int64_t)out->length) MEM_LIST_PUSH(places, (uint32_t)start);
    }
    if (places) MEM_LIST_PUSH(places, (uint32_t)length);
}
