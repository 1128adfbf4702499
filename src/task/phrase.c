#include "task/phrase.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* Words for an answer, longer ones first. */
static const char *const heads[] = {"answers",
                                    "answer",
                                    "respuesta",
                                    "r\xc3\xa9ponse",
                                    "reponse",
                                    "antwort",
                                    "resposta",
                                    "risposta",
                                    "\xe7\xad\x94\xe6\xa1\x88", /* Chinese */
                                    "\xe7\xad\x94\xe3\x81\x88", /* Japanese */
                                    "\xd0\xbe\xd1\x82\xd0\xb2\xd0\xb5\xd1\x82" /* Russian */};

/* What joins the word and the answer. Signs announce it directly. */
static const struct {
    const char *text;
    bool sign;
} joints[] = {
    {":", true},
    {"=", true},
    {"\xef\xbc\x9a", true},  /* full-width colon */
    {"- ", true},            /* "Answer - 18"; "Answer -18" is negative */
    {"\xe2\x80\x93 ", true}, /* dashes */
    {"\xe2\x80\x94 ", true},
    {"is", false},
    {"are", false},
    {"was", false},
    {"would be", false},
    {"should be", false},
    {"must be", false},
    {"will be", false},
    {"equals", false},
    {"es", false},
    {"est", false},
    {"ist", false},
    {"\xc3\xa9", false}, /* Portuguese, Italian */
    {"\xc3\xa8", false},
    {"\xe6\x98\xaf", true}, /* Chinese */
    {"\xe4\xb8\xba", true},
    {"\xe3\x81\xaf", true}, /* Japanese */
};

static size_t skip_any(const char *text, size_t i, size_t limit, const char *set) {
    while (i < limit && text[i] && strchr(set, text[i])) i++;
    return i;
}

static size_t starts_with(const char *text, size_t i, size_t limit, const char *word) {
    size_t n = strlen(word);
    return limit - i >= n && strncasecmp(text + i, word, n) == 0 ? n : 0;
}

static size_t line_end(const char *text, size_t start, size_t limit) {
    const char *newline = start < limit ? memchr(text + start, '\n', limit - start) : NULL;
    return newline ? (size_t)(newline - text) : limit;
}

static bool is_word_byte(char c) {
    return isalnum((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* The end of the joint at i, or 0. */
static size_t joint_end(const char *text, size_t i, size_t limit, bool *sign) {
    for (size_t k = 0; k < sizeof joints / sizeof *joints; k++) {
        size_t n = starts_with(text, i, limit, joints[k].text);
        if (n == 0 || (!joints[k].sign && i + n < limit && is_word_byte(text[i + n]))) continue;
        *sign = joints[k].sign;
        return i + n;
    }
    return 0;
}

/* "answer to the whole question is": the joint after at most eight words; 0 where there is none. */
static size_t distant_joint(const char *text, size_t i, size_t limit) {
    static const char *const begins[] = {"to ", "of ", "for ", "in "};
    bool begun = false, sign;
    for (size_t k = 0; !begun && k < 4; k++) begun = starts_with(text, i, limit, begins[k]) > 0;
    for (int words = 0; begun && words < 8; words++) {
        while (i < limit && is_word_byte(text[i])) i++;
        size_t next = skip_any(text, i, limit, " \t");
        if (next == i) return 0;
        i = next;
        size_t end = joint_end(text, i, limit, &sign);
        if (end && !sign) return end;
    }
    return 0;
}

/* Whether the line that the word at i is in, up to `end`, is a heading: "## Answer", "**Final answer**",
 * "Answer". */
static bool is_heading(const char *text, size_t i, size_t end, size_t limit) {
    size_t start = i;
    bool marked = false;
    while (start > 0 && i - start < 40 &&
           (isalpha((unsigned char)text[start - 1]) || strchr("#* \t", text[start - 1])))
        marked |= strchr("#*", text[--start]) != NULL;
    if (start > 0 && text[start - 1] != '\n') return false;
    size_t word = skip_any(text, start, i, "#* \t");
    return (marked || word == i || strncasecmp(text + word, "final ", 6) == 0) &&
           line_end(text, end, limit) == skip_any(text, end, limit, "* \t\r");
}

static size_t head_end(const char *text, size_t i, size_t limit) {
    for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) {
        size_t n = starts_with(text, i, limit, heads[k]);
        if (n > 0) return i + n;
    }
    return 0;
}

static bool tag(const char *text, size_t i, size_t limit, announcement *out) {
    static const char open[] = "<answer>", close[] = "</answer>";
    size_t n = starts_with(text, i, limit, open);
    if (n == 0) return false;
    const char *end = memmem(text + i + n, limit - i - n, close, sizeof close - 1);
    *out = (announcement){.start = i + n, .end = end ? (size_t)(end - text) : limit};
    return true;
}

bool phrase_announces(const char *text, size_t i, size_t limit, announcement *out) {
    if (text[i] == '<') return tag(text, i, limit, out);
    size_t end = head_end(text, i, limit);
    if (end == 0) return false;
    size_t after = skip_any(text, end, limit, " \t*_"), start = 0;
    bool sign = false;
    if (after < limit) start = joint_end(text, after, limit, &sign);
    if (start && !sign && after == end) start = 0; /* "answeris" */
    if (!start && after > end) start = distant_joint(text, after, limit);
    if (!start) {
        if (!is_heading(text, i, end, limit)) return false;
        start = end;
        sign = true;
    }
    size_t body = skip_any(text, start, limit, " \t\r\n*_:$");
    bool below = body > line_end(text, start, limit);
    *out = (announcement){.start = start, .end = line_end(text, body, limit), .direct = sign || below};
    return true;
}

/* The brace that closes the one before i, or limit. */
static size_t closing_brace(const char *text, size_t i, size_t limit) {
    for (int depth = 1; i < limit; i++) {
        depth += (text[i] == '{') - (text[i] == '}');
        if (depth == 0) return i;
    }
    return limit;
}

bool phrase_box(const char *text, size_t i, size_t limit, announcement *out) {
    static const char *const names[] = {"\\boxed", "\\fbox"};
    for (size_t k = 0; text[i] == '\\' && k < 2; k++) {
        size_t n = strlen(names[k]);
        if (limit - i <= n || memcmp(text + i, names[k], n) != 0 || isalpha((unsigned char)text[i + n]))
            continue;
        size_t start = skip_any(text, i + n, limit, " ");
        if (start < limit && text[start] == '{') {
            *out = (announcement){.start = start + 1, .end = closing_brace(text, start + 1, limit)};
        } else { /* \boxed 5: one token */
            size_t end = start;
            while (end < limit && !strchr(" \t\r\n$", text[end])) end++;
            *out = (announcement){.start = start, .end = end};
        }
        return out->start < out->end;
    }
    return false;
}
