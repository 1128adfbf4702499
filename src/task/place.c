/* Where an answer is in its text. Places go backwards, because the last answer counts; text that was given to
 * the kind once is not given to it again (`limit`). */
#include "task/answer.h"
#include "task/phrase.h"

#include "base/ascii.h"
#include "grade/grade.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_word(unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c >= 0x80;
}

static bool all_blank(const char *text, size_t start, size_t end) {
    for (size_t i = start; i < end; i++)
        if (!is_blank(text[i])) return false;
    return true;
}

static size_t line_end(const char *text, size_t start, size_t limit) {
    const char *newline = start < limit ? memchr(text + start, '\n', limit - start) : NULL;
    return newline ? (size_t)(newline - text) : limit;
}

static bool words_between(const char *text, size_t start, size_t end) {
    for (size_t i = start; i < end; i++)
        if (is_word((unsigned char)text[i])) return true;
    return false;
}

static bool starts_line(const char *text, size_t i) {
    while (i > 0 && is_blank(text[i - 1]) && text[i - 1] != '\n') i--;
    return i == 0 || text[i - 1] == '\n';
}

static bool read_at(const answer_form *f, const problem *p, const char *text, size_t start, size_t end,
                    answer_reading *out) {
    return start < end && f->kind->read(f->settings, p, text, start, end, out);
}

static void forget(answer_reading *a) {
    mem_free(a->answer);
    *a = (answer_reading){0};
}

/* A stretch that has to be the answer and is none. */
static void unread(const char *text, size_t start, size_t end, answer_reading *out) {
    while (start < end && is_blank(text[start])) start++;
    while (end > start && is_blank(text[end - 1])) end--;
    *out = (answer_reading){.start = start, .end = end};
}

/* ---- After a marker ---- */

/* "#### 1. Cost of the pens": the answer that was read numbers a heading. */
static bool is_heading(const char *text, size_t start, size_t end, const answer_reading *a) {
    size_t i = a->end;
    while (start < a->start && is_blank(text[start])) start++;
    if (start != a->start || end - i < 2 || (text[i] != '.' && text[i] != ')' && text[i] != ':'))
        return false;
    for (i++; i < end && is_blank(text[i]); i++) {
    }
    return i < end && is_word((unsigned char)text[i]);
}

static bool find_marker(const answer_form *f, const problem *p, const char *text, size_t length,
                        answer_reading *out) {
    size_t n = strlen(f->marker), limit = length;
    for (size_t i = length; i-- > 0;) {
        if (text[i] != f->marker[0] || length - i < n || memcmp(text + i, f->marker, n) != 0) continue;
        size_t start = i + n, end = line_end(text, start < limit ? start : limit, limit);
        bool last = limit == length && all_blank(text, end, length);
        if (read_at(f, p, text, start, end, out)) {
            bool heading = words_between(text, start, out->start) || is_heading(text, start, end, out);
            if (last || !heading) return true;
            forget(out);
        }
        if (last && start < end && !all_blank(text, start, end)) return unread(text, start, end, out), true;
        while (i > 0 && text[i - 1] == f->marker[0]) i--; /* "######" */
        if (last && starts_line(text, i)) return true;
        limit = i;
    }
    return false;
}

const answer_place answer_marker = {"marker", "after the marker", find_marker, true};

/* ---- Where it is stated ---- */

enum { PHRASES = 1, BOXES = 2 };

static bool find_said(const answer_form *f, const problem *p, const char *text, size_t length, unsigned which,
                      answer_reading *out) {
    size_t limit = length;
    for (size_t i = length; i-- > 0;) {
        announcement a;
        bool found = (which & BOXES) && phrase_box(text, i, limit, &a);
        if (!found && !((which & PHRASES) && phrase_announces(text, i, limit, &a))) continue;
        if (read_at(f, p, text, a.start, a.end, out)) {
            if (!(a.direct && words_between(text, a.start, out->start))) return true;
            forget(out);
        }
        limit = i;
    }
    return false;
}

static bool find_stated(const answer_form *f, const problem *p, const char *text, size_t length,
                        answer_reading *out) {
    return find_said(f, p, text, length, PHRASES | BOXES, out);
}

static bool find_phrase(const answer_form *f, const problem *p, const char *text, size_t length,
                        answer_reading *out) {
    return find_said(f, p, text, length, PHRASES, out);
}

static bool find_box(const answer_form *f, const problem *p, const char *text, size_t length,
                     answer_reading *out) {
    return find_said(f, p, text, length, BOXES, out);
}

const answer_place answer_stated = {"stated", "the later of phrase and box", find_stated, true};
const answer_place answer_phrase = {"phrase", "after \"answer is\", \"answer:\" or \"answer =\"", find_phrase,
                                    true};
const answer_place answer_box = {"box", "in \\boxed{}", find_box, true};

/* ---- Lines ---- */

/* The line that ends at `end`. */
static size_t line_start(const char *text, size_t end) {
    const char *newline = end ? memrchr(text, '\n', end) : NULL;
    return newline ? (size_t)(newline - text) + 1 : 0;
}

static bool find_line(const answer_form *f, const problem *p, const char *text, size_t length,
                      answer_reading *out) {
    for (size_t end = length, start;; end = start - 1) {
        start = line_start(text, end);
        if (read_at(f, p, text, start, end, out)) {
            bool alone = out->end == end || (text[out->end] && strchr("\r.,;:!*_", text[out->end]));
            if (alone && !words_between(text, start, out->start)) return true;
            forget(out);
        }
        if (start == 0) return false;
    }
}

static bool find_last_line(const answer_form *f, const problem *p, const char *text, size_t length,
                           answer_reading *out) {
    size_t end = length;
    while (end > 0 && is_blank(text[end - 1])) end--;
    size_t start = line_start(text, end);
    if (start < end && !read_at(f, p, text, start, end, out)) unread(text, start, end, out);
    if (out->answer && f->kind->is_readable && !f->kind->is_readable(out->answer)) forget(out);
    return true;
}

const answer_place answer_line = {"line", "the last line that is an answer, or begins with one and a comma",
                                  find_line, false};
const answer_place answer_last_line = {"last_line", "the last line", find_last_line, false};

/* ---- The last number, the whole text ---- */

/* Whether the text is an answer and nothing else. */
static bool is_alone(const char *text, size_t length, const answer_reading *a) {
    return a->answer && all_blank(text, 0, a->start) && all_blank(text, a->end, length);
}

static bool find_last_number(const answer_form *f, const problem *p, const char *text, size_t length,
                             answer_reading *out) {
    grade_number last;
    if (read_at(f, p, text, 0, length, out)) {
        if (is_alone(text, length, out)) return true;
        forget(out);
    }
    if (!grade_last_number(text, length, &last)) return false;
    mem_free(last.number);
    return read_at(f, p, text, last.start, last.end, out);
}

static bool find_whole(const answer_form *f, const problem *p, const char *text, size_t length,
                       answer_reading *out) {
    if (!read_at(f, p, text, 0, length, out)) unread(text, 0, length, out);
    return true;
}

const answer_place answer_last_number = {
    "last_number", "the whole text where it is a number, else its last number", find_last_number, false};
const answer_place answer_whole = {"whole", "the whole text", find_whole, false};

/* ---- A pattern ---- */

static bool find_pattern(const answer_form *f, const problem *p, const char *text, size_t length,
                         answer_reading *out) {
    MEM_LIST(pattern_match) all = {0};
    pattern_match m;
    for (size_t from = 0; pattern_find(f->pattern, text, length, from, &m);) {
        MEM_LIST_PUSH(&all, m);
        from = m.end > m.start ? m.end : m.end + 1;
    }
    bool found = false;
    for (int64_t i = all.count; i-- > 0 && !found;)
        found = read_at(f, p, text, all.at[i].group_start, all.at[i].group_end, out);
    MEM_LIST_FREE(&all);
    return found;
}

const answer_place answer_pattern = {"pattern", "where the pattern matches", find_pattern, true};

/* ---- By name ---- */

const answer_place *answer_place_named(const char *name, size_t length) {
    static const answer_place *const all[] = {&answer_marker,    &answer_phrase,      &answer_box,
                                              &answer_stated,    &answer_pattern,     &answer_line,
                                              &answer_last_line, &answer_last_number, &answer_whole};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strlen(all[i]->name) == length && memcmp(all[i]->name, name, length) == 0) return all[i];
    return NULL;
}
