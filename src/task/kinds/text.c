/* Answers that are text, compared after normalization: Unicode's compatibility forms (NFKC), then by option
 * case, white space, punctuation at the ends of words, and the articles a, an, the are not looked at. A whole
 * stretch is the answer, without white space, quotes and marks of markdown at its ends. */
#include "base/utf8.h"
#include "task/answer.h"

#include <string.h>
#include <utf8proc.h>

typedef struct {
    bool ignore_case, ignore_spaces, ignore_punctuation, ignore_articles, nfkc;
} text_settings;

#define ROW(name, value, about)                                                                              \
    {                                                                                                        \
        .key = #name, .type = OPTION_BOOL, .offset = offsetof(text_settings, name), .initial = value,        \
        .help = about                                                                                        \
    }
static const option rows[] = {
    ROW(ignore_case, "true", "PARIS is Paris"),
    ROW(ignore_spaces, "true", "white space counts as one space"),
    ROW(ignore_punctuation, "true", "punctuation at the beginning and the end of words is not looked at"),
    ROW(ignore_articles, "false", "a, an and the are not looked at"),
    ROW(nfkc, "true", "Unicode's compatibility forms (NFKC): full-width letters are letters"),
};

typedef struct {
    size_t normal; /* where in `text` the normal form begins, after the answer as it is shown */
    char text[];
} text_answer;

static const text_answer *text_of(const task_answer *a) {
    return (const text_answer *)a;
}

static const char *normal_of(const task_answer *a) {
    return text_of(a)->text + text_of(a)->normal;
}

/* ---- Normalization ---- */

/* Valid UTF-8: what is none, and zero bytes, become U+FFFD. */
static void append_valid(const char *text, size_t length, text_buffer *out) {
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(text + i, length - i);
        if (n > 0 && text[i])
            text_append(out, text + i, n);
        else
            text_puts(out, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
}

static bool is_space(int32_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r') || utf8proc_category(c) == UTF8PROC_CATEGORY_ZS;
}

static bool is_punctuation(int32_t c) {
    utf8proc_category_t kind = utf8proc_category(c);
    return (kind >= UTF8PROC_CATEGORY_PC && kind <= UTF8PROC_CATEGORY_PO) || c == '$' || c == '`';
}

typedef MEM_LIST(int32_t) codepoints;

static bool is_article(const int32_t *c, int64_t n) {
    static const char *const articles[] = {"a", "an", "the"};
    for (int i = 0; i < 3; i++) {
        if ((int64_t)strlen(articles[i]) != n) continue;
        int64_t same = 0;
        while (same < n && (c[same] | 0x20) == articles[i][same]) same++;
        if (same == n) return true;
    }
    return false;
}

static void append_codepoints(const int32_t *c, int64_t n, text_buffer *out) {
    for (int64_t i = 0; i < n; i++) {
        utf8proc_uint8_t bytes[4];
        text_append(out, (const char *)bytes, (size_t)utf8proc_encode_char(c[i], bytes));
    }
}

/* One word with the white space before it. */
static void append_word(const text_settings *s, const int32_t *space, const int32_t *word, const int32_t *end,
                        text_buffer *out) {
    const int32_t *from = word, *to = end;
    while (s->ignore_punctuation && from < to && is_punctuation(*from)) from++;
    while (s->ignore_punctuation && to > from && is_punctuation(to[-1])) to--;
    if (s->ignore_articles && is_article(from, to - from)) return;
    if (s->ignore_spaces) {
        if (from < to && out->length > 0) text_puts(out, " ");
    } else {
        append_codepoints(space, word - space, out);
    }
    append_codepoints(from, to - from, out);
}

static void normalize(const text_settings *s, const char *valid, text_buffer *out) {
    utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    if (s->nfkc) options |= UTF8PROC_COMPAT;
    if (s->ignore_case) options |= UTF8PROC_CASEFOLD;
    int32_t *c = NULL;
    utf8proc_uint8_t *mapped = NULL;
    text_puts(out, "");
    if (utf8proc_map((const utf8proc_uint8_t *)valid, 0, &mapped, UTF8PROC_NULLTERM | options) < 0) return;
    size_t length = strlen((const char *)mapped);
    c = MEM_ARRAY(int32_t, length + 1);
    int64_t n = 0;
    for (size_t i = 0; i < length;) {
        utf8proc_ssize_t used = utf8proc_iterate(mapped + i, (utf8proc_ssize_t)(length - i), &c[n]);
        if (used < 1) break;
        i += (size_t)used;
        n++;
    }
    for (const int32_t *at = c, *last = c + n; at < last;) {
        const int32_t *space = at;
        while (at < last && is_space(*at)) at++;
        const int32_t *word = at;
        while (at < last && !is_space(*at)) at++;
        append_word(s, space, word, at, out);
    }
    mem_free(c);
    free(mapped);
}

/* ---- The kind ---- */

static bool read_text(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                      answer_reading *out) {
    (void)p;
    const text_settings *s = settings;
    static const char around[] = ".,;:!? \t\r\n\f\v\"'*_`";
    const char *before = strchr(around, ' '), *after = s->ignore_punctuation ? around : before;
    while (start < end && text[start] && strchr(before, text[start])) start++;
    while (end > start && text[end - 1] && strchr(after, text[end - 1])) end--;
    text_buffer shown = {0}, normal = {0};
    append_valid(text + start, end - start, &shown);
    if (shown.length > 0) normalize(settings, shown.at, &normal);
    bool any = normal.length > 0;
    if (any) {
        text_answer *a = mem_alloc(sizeof *a + shown.length + normal.length + 2);
        a->normal = shown.length + 1;
        memcpy(a->text, shown.at, shown.length + 1);
        memcpy(a->text + a->normal, normal.at, normal.length + 1);
        *out = (answer_reading){.start = start, .end = end, .answer = (task_answer *)a};
    }
    text_free(&shown);
    text_free(&normal);
    return any;
}

static grade_verdict equal(const void *settings, const problem *p, const task_answer *a,
                           const task_answer *b) {
    (void)settings, (void)p;
    return strcmp(normal_of(a), normal_of(b)) == 0 ? GRADE_EQUAL : GRADE_DIFFERENT;
}

static char *show(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_strdup(text_of(a)->text);
}

const answer_kind answer_text = {.name = "text",
                                 .about = "text, compared after normalization",
                                 .options = {rows, (int)(sizeof rows / sizeof *rows)},
                                 .settings_size = sizeof(text_settings),
                                 .read = read_text,
                                 .equal = equal,
                                 .show = show,
                                 .unread = "no text",
                                 .different = "different text",
                                 .bad_gold = "gold is empty"};
