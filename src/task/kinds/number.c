/* Answers that are numbers. The first number of a stretch counts ("72 clips for 5 friends" is 72), in
 * "10 - 3 = 7" the one after the "=".
 *
 * Two numbers are equal when their exact values are: 5.0 = 5, 1/2 = .5, 1,000 = 1000. Currency signs and
 * units are not looked at. Votes ignore a percent sign: 50% and 50 are one answer. Grading is more lenient
 * with gold: when both numbers have a percent sign, or neither has, the values are compared; when one of them
 * has it, that one may be read as its number or as its hundredth: 50% is correct for 50 (percent was the unit
 * asked for) and for 0.5 (its meaning), and 0.5% is not correct for 50%. */
#include "task/answer.h"
#include "task/number.h"

#include <ctype.h>
#include <string.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* The "=" that ends an expression starting at i, or limit: only digits, operators, brackets and currency
 * before it. */
static size_t equals_sign(const char *text, size_t i, size_t limit) {
    for (; i < limit; i++) {
        char c = text[i], after = i + 1 < limit ? text[i + 1] : 0;
        if (c == '=') return i;
        bool stop = (c == '.' || c == ',') && !isdigit((unsigned char)after);
        if (stop || (!strchr("0123456789 .,+-*/x^()$%\\", c) && (unsigned char)c < 0x80) || c == 0)
            return limit;
    }
    return limit;
}

/* A minus set off by a space belongs to the number when nothing else is before it: "- 5". */
static bool lone_minus(const char *text, size_t start, size_t end) {
    while (start < end && (is_blank(text[start]) || text[start] == ':')) start++;
    while (end > start && (is_blank(text[end - 1]) || text[end - 1] == '$')) end--;
    size_t n = end - start;
    return (n == 1 && text[start] == '-') || (n == 3 && memcmp(text + start, "\xe2\x88\x92", 3) == 0);
}

/* The number of text[start, end) that is the answer. */
static bool stated_number(const char *text, size_t start, size_t end, number_token *out) {
    size_t from = start;
    number_token further;
    if (!number_next(text, end, from, out)) return false;
    for (size_t equals; (equals = equals_sign(text, out->start, end)) < end;) {
        if (!number_next(text, end, equals + 1, &further)) break;
        from = equals + 1;
        *out = further;
    }
    if (!out->negative && lone_minus(text, from, out->start)) out->negative = true;
    return true;
}

/* The answer: its number's one spelling, so that equal numbers are equal texts. */
typedef struct {
    bool percent;
    char spelling[];
} number_answer;

static const number_answer *number_of(const task_answer *a) {
    return (const number_answer *)a;
}

/* The number's one spelling; NULL when it has no value. */
static char *spelled(const number_token *number) {
    fmpq_t value;
    fmpq_init(value);
    char *text = number_value(number, value) ? number_text(value) : NULL;
    fmpq_clear(value);
    return text;
}

static bool read_number(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                        answer_reading *out) {
    (void)settings, (void)p;
    number_token number;
    if (!stated_number(text, start, end, &number)) return false;
    *out = (answer_reading){.start = number.start, .end = number.end};
    char *spelling = spelled(&number);
    if (!spelling) return true;
    size_t size = strlen(spelling) + 1;
    number_answer *a = mem_alloc(sizeof *a + size);
    a->percent = number.percent;
    memcpy(a->spelling, spelling, size);
    mem_free(spelling);
    out->answer = (task_answer *)a;
    return true;
}

static grade_verdict equal(const void *settings, const problem *p, const task_answer *a,
                           const task_answer *b) {
    (void)settings, (void)p;
    return strcmp(number_of(a)->spelling, number_of(b)->spelling) == 0 ? GRADE_EQUAL : GRADE_DIFFERENT;
}

static char *show(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_strdup(number_of(a)->spelling);
}

static char *keep(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_printf("%s%s", number_of(a)->spelling, number_of(a)->percent ? "%" : "");
}

static void value_of(const number_answer *a, fmpq_t value) {
    number_token number;
    if (number_next(a->spelling, strlen(a->spelling), 0, &number)) number_value(&number, value);
}

static grade_verdict grade(const void *settings, const problem *p, const task_answer *found,
                           const task_answer *gold, const char **reason) {
    (void)reason;
    const number_answer *a = number_of(found), *b = number_of(gold);
    grade_verdict v = equal(settings, p, found, gold);
    if (v == GRADE_EQUAL || a->percent == b->percent) return v;
    fmpq_t part, whole; /* of the number with the percent sign, and of the other */
    fmpq_init(part);
    fmpq_init(whole);
    value_of(a->percent ? a : b, part);
    value_of(a->percent ? b : a, whole);
    fmpq_div_fmpz(part, part, (fmpz[]){100});
    bool same = fmpq_equal(part, whole);
    fmpq_clear(part);
    fmpq_clear(whole);
    return same ? GRADE_EQUAL : GRADE_DIFFERENT;
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
