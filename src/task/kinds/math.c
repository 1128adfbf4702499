/* Answers of mathematics: numbers, expressions, tuples, intervals, sets, matrices, equations, words. What a
 * text states is the mathematics that it begins with: what is between "$", or up to where a sentence ends.
 * Two answers are compared by src/grade/. */
#include "task/answer.h"

#include "base/ascii.h"
#include "grade/grade.h"

#include <string.h>

typedef struct {
    size_t start, end;
} span;

/* The full stop or comma of the sentence around an answer; not "...". */
static bool is_stop(const char *text, span s) {
    char last = text[s.end - 1];
    return last && strchr(".,;", last) && (s.end - s.start < 2 || text[s.end - 2] != '.');
}

static span trimmed(const char *text, span s) {
    while (s.start < s.end && (is_blank(text[s.start]) || strchr("*_:", text[s.start]))) s.start++;
    while (s.end > s.start &&
           (is_blank(text[s.end - 1]) || strchr("*_", text[s.end - 1]) || is_stop(text, s)))
        s.end--;
    return s;
}

typedef struct {
    const char *open, *close;
} delimiters;

static const delimiters pairs[] = {{"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}};

/* The end of the delimited mathematics that begins at the span, after its closing sign; 0 where there is
 * none. */
static size_t delimited_end(const char *text, span s, const delimiters *d) {
    size_t n = strlen(d->open);
    if (s.end - s.start < n || memcmp(text + s.start, d->open, n) != 0) return 0;
    for (size_t i = s.start + n; i + n <= s.end; i++) {
        if (memcmp(text + i, d->close, n) == 0) return i + n;
        if (text[i] == '\\') i++; /* "\$" is a dollar */
    }
    return 0;
}

/* After "," "and" or "or", where more mathematics follows: "$5$ and $7$"; 0 where none does. */
static size_t after_joint(const char *text, span s) {
    static const char *const joints[] = {", and ", ", or ", " and ", " or ", ", ", ","};
    for (size_t i = 0; i < sizeof joints / sizeof *joints; i++) {
        size_t n = strlen(joints[i]);
        if (s.end - s.start > n && memcmp(text + s.start, joints[i], n) == 0) return s.start + n;
    }
    return 0;
}

/* The mathematics between the delimiters that the span begins with, several where they are joined; the span
 * itself where there are none. */
static span delimited(const char *text, span s) {
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const delimiters *d = &pairs[i];
        size_t n = strlen(d->open), end = delimited_end(text, s, d), one = end;
        if (end == 0) continue;
        for (size_t next; (next = after_joint(text, (span){end, s.end}));) {
            next = delimited_end(text, (span){next, s.end}, d);
            if (next == 0) break;
            end = next;
        }
        return end == one ? (span){s.start + n, end - n} : (span){s.start, end};
    }
    return s;
}

/* Where a sentence may end in the span at or after `from`: before ". ", ", so", a dash or a newline; its end
 * where it does not. */
static size_t sentence_end(const char *text, span s, size_t from) {
    static const char *const ends[] = {". ",   ".\n",   ", ",     "; ",    " because", " since",
                                       " as ", " when", " where", " for ", " if ",     "\n"};
    for (size_t i = from; i < s.end; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
            size_t n = strlen(ends[k]);
            if (s.end - i >= n && memcmp(text + i, ends[k], n) == 0) return i;
        }
    return s.end;
}

/* The longest beginning of the span, at the end of a sentence or clause, that can be read; at most MOST are
 * tried. */
static span readable(const char *text, span s) {
    enum { MOST = 8 };
    size_t ends[MOST], count = 0;
    if (s.end - s.start > GRADE_MAX_BYTES || grade_is_readable(text + s.start, s.end - s.start)) return s;
    for (size_t from = s.start; count < MOST && from < s.end; from = ends[count - 1] + 1) {
        ends[count] = sentence_end(text, s, from);
        if (ends[count++] == s.end) break;
    }
    while (count-- > 0)
        if (grade_is_readable(text + s.start, ends[count] - s.start)) return (span){s.start, ends[count]};
    return s;
}

static bool read_math(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                      answer_reading *out) {
    (void)settings, (void)p;
    span all = trimmed(text, (span){start, end}), s = delimited(text, all);
    s = trimmed(text, s.start == all.start ? readable(text, s) : s);
    if (s.start == s.end) return false;
    *out = (answer_reading){.start = s.start, .end = s.end};
    out->answer = (task_answer *)mem_strndup(text + s.start, s.end - s.start);
    return true;
}

static const char *text_of(const task_answer *a) {
    return (const char *)a;
}

static bool is_readable(const task_answer *a) {
    return grade_is_readable(text_of(a), strlen(text_of(a)));
}

static grade_verdict grade(const void *settings, const problem *p, const task_answer *found,
                           const task_answer *gold, const char **reason) {
    (void)settings, (void)p;
    return grade_compare(text_of(found), strlen(text_of(found)), text_of(gold), strlen(text_of(gold)),
                         reason);
}

static grade_verdict equal(const void *settings, const problem *p, const task_answer *a,
                           const task_answer *b) {
    const char *reason;
    return grade(settings, p, a, b, &reason);
}

static char *show(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_strdup(text_of(a));
}

const answer_kind answer_math = {
    .name = "math",
    .about = "mathematics in LaTeX or without; what has the same value is the same answer",
    .read = read_math,
    .is_readable = is_readable,
    .equal = equal,
    .show = show,
    .grade = grade,
    .unread = "no answer found",
    .different = "different answer",
    .bad_gold = "gold is empty"};
