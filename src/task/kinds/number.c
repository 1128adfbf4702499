/* Answers that are numbers. The first number of a stretch counts ("72 clips for 5 friends" is 72), in
 * "10 - 3 = 7" the one after the "=" (grade/grade.h).
 *
 * Two numbers are equal when their exact values are: 5.0 = 5, 1/2 = .5, 1,000 = 1000, 10^3 = 1000. Votes
 * ignore a percent sign and units: 50% and 50 are one answer. Currency signs are never looked at. Grading
 * looks at percent signs and units: a percent sign on one side alone may be read as that number or as its
 * hundredth, so 50% is correct for 50 (percent was the unit asked for) and for 0.5 (its meaning), and 0.5% is
 * not correct for 50%; units count where both sides have one: 2 km is correct for 2000 m and for 2, and not
 * for 2 m. What is stated as a number and is none, such as a time or a root, is compared as mathematics. */
#include "task/answer.h"

#include "grade/grade.h"

#include <stddef.h>
#include <string.h>

enum { LONGEST = 1000 }; /* bytes of an answer that is kept */

typedef struct {
    bool percent, unit;
    bool rational; /* `text` begins with its number's one spelling, so that equal numbers are equal texts */
    uint32_t written; /* where in `text` the answer is as it was written */
    char text[];
} number_answer;

static const number_answer *number_of(const task_answer *a) {
    return (const number_answer *)a;
}

static const char *written(const number_answer *a) {
    return a->text + a->written;
}

static task_answer *make(const grade_number *n, const char *text) {
    const char *spelling = n->number ? n->number : "";
    size_t before = strlen(spelling) + 1, length = n->end - n->start;
    number_answer *a = mem_alloc(sizeof *a + before + length + 1);
    a->percent = n->percent;
    a->unit = n->unit;
    a->rational = n->number != NULL;
    a->written = (uint32_t)before;
    memcpy(a->text, spelling, before);
    memcpy(a->text + before, text + n->start, length);
    return (task_answer *)a;
}

static bool read_number(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                        answer_reading *out) {
    (void)settings, (void)p;
    grade_number n;
    if (!grade_stated_number(text, start, end, &n)) return false;
    *out = (answer_reading){.start = n.start, .end = n.end};
    if (n.fault == grade_reason_too_large || n.end - n.start > LONGEST)
        out->unknown = grade_reason_too_large;
    else if (!n.fault && !n.several)
        out->answer = make(&n, text);
    mem_free(n.number);
    return true;
}

static grade_verdict compare_written(const number_answer *a, const number_answer *b, const char **reason) {
    return grade_compare_stated(written(a), strlen(written(a)), written(b), strlen(written(b)), reason);
}

static grade_verdict equal(const void *settings, const problem *p, const task_answer *x,
                           const task_answer *y) {
    (void)settings, (void)p;
    const number_answer *a = number_of(x), *b = number_of(y);
    if (!a->rational || !b->rational) return compare_written(a, b, NULL);
    return strcmp(a->text, b->text) == 0 ? GRADE_EQUAL : GRADE_DIFFERENT;
}

static char *show(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_strdup(number_of(a)->rational ? number_of(a)->text : written(number_of(a)));
}

/* With the percent sign or unit, which grading looks at. */
static char *keep(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    const number_answer *n = number_of(a);
    if (!n->rational || n->unit) return mem_strdup(written(n));
    return mem_printf("%s%s", n->text, n->percent ? "%" : "");
}

/* Whether one spelling is the other's hundredth. */
static grade_verdict compare_percent(const number_answer *a, const number_answer *b) {
    const number_answer *percent = a->percent ? a : b, *other = percent == a ? b : a;
    char *hundredth = mem_printf("(%s)/100", percent->text);
    grade_verdict v = grade_compare(hundredth, strlen(hundredth), other->text, strlen(other->text), NULL);
    mem_free(hundredth);
    return v;
}

static grade_verdict grade(const void *settings, const problem *p, const task_answer *found,
                           const task_answer *gold, const char **reason) {
    const number_answer *a = number_of(found), *b = number_of(gold);
    if (!a->rational || !b->rational) return compare_written(a, b, reason);
    if (a->unit && b->unit) {
        grade_verdict v = compare_written(a, b, reason);
        if (v != GRADE_UNKNOWN) return v;
        *reason = NULL;
    }
    grade_verdict v = equal(settings, p, found, gold);
    return v == GRADE_EQUAL || a->percent == b->percent ? v : compare_percent(a, b);
}

const answer_kind answer_number = {.name = "number",
                                   .about = "a number; equal numbers are equal answers",
                                   .read = read_number,
                                   .equal = equal,
                                   .show = show,
                                   .keep = keep,
                                   .grade = grade,
                                   .unread = "not a number",
                                   .different = "different number",
                                   .bad_gold = "gold is not a number"};
