/* A whole answer: mathematics, or words. */
#include "grade/read.h"
#include "grade/reader.h"

#include <ctype.h>

static bool is_word_byte(unsigned char c) {
    return is_letter(c) || is_space(c) || c == '-' || c == '\'' || c == '.' || c == ',' ||
           c == CLEAN_WORDS_OPEN || c == CLEAN_WORDS_CLOSE || (c && strchr("(){}", c));
}

typedef enum { NO_WORDS, PERHAPS_WORDS, WORDS } wording;

/* Whether the text is words: letters alone, of which some are in \text{} or make a word of at least four. A
 * known number word or function is mathematics. Several single letters, some of them in \mathrm{}, are words
 * only if they cannot be read as names. */
static wording find_words(const reader *r) {
    bool marked = false, word = false;
    size_t runs = 0, longest = 0;
    for (size_t i = 0; i < r->length;) {
        unsigned char c = peek_at(r, i);
        if (!is_word_byte(c) || (c == '-' && runs == 0)) return NO_WORDS;
        size_t end = letters_end(r, i);
        if (end == i) {
            marked |= c == CLEAN_WORDS_OPEN;
            i++;
            continue;
        }
        if (is_connective(r, i, end)) {
            i = end;
            continue;
        }
        if (end - i > 1 && function_find(r->at + i, end - i) >= 0) return NO_WORDS;
        runs++;
        if (end - i > longest) longest = end - i;
        word |= end - i >= 4;
        i = end;
    }
    if (runs == 0 || !(marked || word)) return NO_WORDS;
    return longest == 1 && runs > 1 ? PERHAPS_WORDS : WORDS;
}

static const expr *read_text(reader *r) {
    text_buffer text = {0};
    for (size_t i = 0; i < r->length; i++) {
        unsigned char c = peek_at(r, i);
        bool gap = is_space(c) || c == '-';
        if (is_letter(c)) {
            char lower = (char)(c < 0x80 ? tolower(c) : c);
            text_append(&text, &lower, 1);
        } else if (gap && text.length && text.at[text.length - 1] != ' ') {
            text_puts(&text, " ");
        }
    }
    while (text.length && text.at[text.length - 1] == ' ') text.length--;
    const expr *e = expr_named(r->pool, EXPR_TEXT, text.at ? text.at : "", text.length);
    text_free(&text);
    return e;
}

/* Punctuation and a remark in brackets at the end: "18 (in 2 days)." */
static void skip_tail(reader *r) {
    size_t start;
    do {
        start = r->i;
        skip_spaces(r);
        if (peek(r) == '(' && r->at[r->length - 1] == ')') {
            bool letters = false;
            for (size_t i = r->i + 1; i + 1 < r->length; i++) {
                if (peek_at(r, i) == ')' || peek_at(r, i) == '(') return;
                letters |= is_letter(peek_at(r, i)) && is_letter(peek_at(r, i + 1));
            }
            if (letters) r->i = r->length;
        } else if (peek(r) && strchr(".,;:!?\"", peek(r))) {
            r->i++;
        } else {
            accept(r, "\\\\");
        }
    } while (r->i > start);
}

/* A lone unit or currency sign has no value, nor has what it is one of. */
static bool has_value(const expr *e) {
    if (e->kind == EXPR_UNIT) return false;
    bool every = e->kind == EXPR_LIST || e->kind == EXPR_TUPLE || e->kind == EXPR_SET;
    for (int32_t i = 0; i < e->count; i++)
        if (has_value(e->part[i]) != every) return !every;
    return every || e->count == 0;
}

reading read_answer(expr_pool *pool, const char *text, size_t length, bool no_commas) {
    bool dots = length > 3 && memcmp(text + length - 3, "...", 3) == 0;
    while (!dots && length > 0 &&
           (is_space((unsigned char)text[length - 1]) || strchr(".,;:", text[length - 1])))
        length--;
    reader r = {.at = text, .length = length, .pool = pool, .no_commas = no_commas};
    accept_relation(&r);
    const expr *e = NULL;
    wording words = dots ? NO_WORDS : find_words(&r);
    if (words == WORDS) {
        const expr *number = read_list(&r);
        skip_tail(&r);
        e = number && number->kind == EXPR_NUMBER && r.i == length ? number : read_text(&r);
        r.i = length;
    } else {
        e = read_list(&r);
        if (e && accept_command(&r, "over")) {
            const expr *bottom = read_sum(&r);
            e = bottom ? expr_quotient(pool, e, bottom) : NULL;
        }
        if (dots && r.i < length) e = NULL; /* more follows that is not written: 18.38... */
        skip_tail(&r);
        if (r.i < length || (e && !has_value(e))) e = NULL;
        if (!e && words == PERHAPS_WORDS) {
            e = read_text(&r);
            r.i = length;
        }
    }
    return (reading){.value = e, .had_commas = r.had_commas, .end = r.i};
}
