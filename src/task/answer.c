#include "task/answer.h"

#include "task/task_ops.h"

#include <string.h>
#include <strings.h>

/* Where the answer begins: after the thoughts of a model that marks them, where something follows. */
static size_t after_thoughts(const char *text, size_t length) {
    static const char mark[] = "</think>";
    size_t n = sizeof mark - 1;
    for (size_t i = length; i-- > n;)
        if (text[i - 1] == '>' && memcmp(text + i - n, mark, n) == 0) {
            size_t rest = i;
            while (rest < length && strchr(" \t\r\n", text[rest])) rest++;
            return rest < length ? i : 0;
        }
    return 0;
}

/* The line, not the first, where the text goes on to another question; its length where it does not. */
static size_t next_question(const char *text, size_t length) {
    static const char *const heads[] = {"question", "q", "problem", "human", "user"};
    for (const char *line = memchr(text, '\n', length); line;
         line = memchr(line, '\n', length - (size_t)(line - text))) {
        size_t i = (size_t)(++line - text);
        while (i < length && text[i] && strchr("#* ", text[i])) i++;
        for (size_t k = 0; k < sizeof heads / sizeof *heads; k++) {
            size_t n = strlen(heads[k]), end = i + n;
            if (length - i <= n || strncasecmp(text + i, heads[k], n) != 0) continue;
            while (end < length && strchr(" *0123456789", text[end])) end++;
            if (end < length && text[end] == ':') return (size_t)(line - text);
        }
    }
    return length;
}

/* From the first place that decides; `announced`: of those that announce an answer. */
static bool find_in(const answer_form *f, const problem *p, const char *text, size_t length, bool announced,
                    answer_reading *out) {
    *out = (answer_reading){0};
    for (int i = 0; f->places[i]; i++)
        if ((f->places[i]->announced || !announced) && f->places[i]->find(f, p, text, length, out))
            return out->end > 0;
    return false;
}

bool answer_find(const answer_form *f, const problem *p, const char *text, size_t length,
                 answer_reading *out) {
    size_t start = after_thoughts(text, length), rest = length - start;
    size_t question = rest > 0 ? next_question(text + start, rest) : rest;
    bool found = question < rest && find_in(f, p, text + start, question, true, out);
    if (!found) found = find_in(f, p, text + start, rest, false, out);
    if (found) {
        out->start += start;
        out->end += start;
    }
    return found;
}

/* Whether nothing but white space is before what was read. */
static bool is_first(const char *text, const answer_reading *a) {
    return strspn(text, " \t\r\n\f\v") >= a->start;
}

bool answer_find_gold(const answer_form *f, const problem *p, const char *gold, answer_reading *out) {
    size_t length = strlen(gold);
    if (find_in(f, p, gold, length, true, out)) return true;
    *out = (answer_reading){0};
    bool whole = f->kind->read(f->settings, p, gold, 0, length, out);
    if (whole && out->answer && is_first(gold, out)) return true;
    answer_reading found;
    if (!answer_find(f, p, gold, length, &found)) return whole;
    mem_free(out->answer);
    *out = found;
    return true;
}

static grade_verdict compare(const answer_form *f, const problem *p, const task_answer *a,
                             const task_answer *gold, const char **reason) {
    static const char *const words[] = {[GRADE_EQUAL] = "equal", [GRADE_UNKNOWN] = "cannot judge"};
    const char *own = NULL;
    grade_verdict v = f->kind->grade ? f->kind->grade(f->settings, p, a, gold, &own)
                                     : f->kind->equal(f->settings, p, a, gold);
    *reason = own ? own : v == GRADE_DIFFERENT ? f->kind->different : words[v];
    return v;
}

task_grade_result answer_grade(const answer_form *f, const problem *p, const char *text, size_t length) {
    answer_reading a, gold;
    task_grade_result g = {.reason = "no answer found"};
    bool found = answer_find(f, p, text, length, &a);
    g.bad_gold = !answer_find_gold(f, p, p->gold, &gold) || !gold.answer;
    if (found && a.answer) {
        g.extracted = f->kind->show(f->settings, p, a.answer);
        if (!g.bad_gold) g.verdict = compare(f, p, a.answer, gold.answer, &g.reason);
    } else if (found) {
        g.extracted = task_excerpt(text, a.start, a.end - a.start);
        g.reason = a.unknown ? a.unknown : f->kind->unread;
        if (a.unknown) g.verdict = GRADE_UNKNOWN;
    }
    if (g.bad_gold) g.reason = f->kind->bad_gold;
    g.correct = g.verdict == GRADE_EQUAL;
    mem_free(a.answer);
    mem_free(gold.answer);
    return g;
}

/* ---- The kinds ---- */

static const answer_kind *const kinds[] = {&answer_number, &answer_math, &answer_boolean, &answer_text,
                                           &answer_choice};

const answer_kind *answer_kind_at(int index) {
    return index >= 0 && index < (int)(sizeof kinds / sizeof *kinds) ? kinds[index] : NULL;
}

const char *answer_kind_name(int index) {
    return answer_kind_at(index) ? answer_kind_at(index)->name : NULL;
}

const char *answer_kind_about(int index) {
    return answer_kind_at(index) ? answer_kind_at(index)->about : NULL;
}
