#include "task/answer.h"

#include "task/task_ops.h"

#include <string.h>

bool answer_find(const answer_form *f, const problem *p, const char *text, size_t length,
                 answer_reading *out) {
    *out = (answer_reading){0};
    for (int i = 0; f->places[i]; i++)
        if (f->places[i]->find(f, p, text, length, out)) return out->end > 0;
    return false;
}

/* Whether nothing but white space is outside of what was read. */
static bool is_all(const char *text, const answer_reading *a) {
    static const char blanks[] = " \t\r\n\f\v";
    return strspn(text, blanks) >= a->start && !text[a->end + strspn(text + a->end, blanks)];
}

/* From the places that announce an answer, or from the others. */
static bool find_in(const answer_form *f, const problem *p, const char *text, bool announced,
                    answer_reading *out) {
    *out = (answer_reading){0};
    for (int i = 0; f->places[i]; i++)
        if (f->places[i]->announced == announced && f->places[i]->find(f, p, text, strlen(text), out) &&
            out->end > 0)
            return true;
    return false;
}

bool answer_find_gold(const answer_form *f, const problem *p, const char *gold, answer_reading *out) {
    if (find_in(f, p, gold, true, out)) return true;
    *out = (answer_reading){0};
    bool whole = f->kind->read(f->settings, p, gold, 0, strlen(gold), out);
    if (whole && out->answer && is_all(gold, out)) return true;
    answer_reading found;
    if (!find_in(f, p, gold, false, &found)) return whole;
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
        g.reason = f->kind->unread;
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
