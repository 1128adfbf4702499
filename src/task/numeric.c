#include "task/numeric.h"

#include "base/memory.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

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

static numeric_span found(numeric_source source, size_t start, size_t length) {
    return (numeric_span){.source = source, .start = start, .length = length};
}

static numeric_span found_number(numeric_source source, const number_token *n) {
    return found(source, n->start, n->end - n->start);
}

static numeric_span trimmed(numeric_source source, const char *text, size_t start, size_t end) {
    while (start < end && is_blank(text[start])) start++;
    while (end > start && is_blank(text[end - 1])) end--;
    return found(source, start, end - start);
}

static bool words_before(const char *text, size_t start, const number_token *n) {
    for (size_t i = start; i < n->start; i++)
        if (is_word((unsigned char)text[i])) return true;
    return false;
}

static bool starts_line(const char *text, size_t i) {
    while (i > 0 && is_blank(text[i - 1]) && text[i - 1] != '\n') i--;
    return i == 0 || text[i - 1] == '\n';
}

/* Rule 1. Goes backwards; text that was searched for one mark is not searched again (`limit`). Sets *decided
 * when the marks decide, also for no answer. */
static numeric_span find_mark(const char *text, size_t length, number_token *number, bool *decided) {
    size_t limit = length;
    *decided = true;
    for (size_t i = length; i-- > 0;) {
        if (text[i] != '#' || length - i < 4 || memcmp(text + i, "####", 4) != 0) continue;
        size_t start = i + 4, end = line_end(text, start < limit ? start : limit, limit);
        bool last = limit == length && all_blank(text, end, length);
        bool has = start < end && stated_number(text, start, end, number);
        if (has && (last || !words_before(text, start, number))) return found_number(NUMERIC_MARK, number);
        number->end = 0;
        if (last && start < end && !all_blank(text, start, end))
            return trimmed(NUMERIC_MARK, text, start, end);
        while (i > 0 && text[i - 1] == '#') i--;
        if (last && starts_line(text, i)) return found(NUMERIC_NONE, 0, 0);
        limit = i;
    }
    *decided = false;
    return found(NUMERIC_NONE, 0, 0);
}

static size_t skip_any(const char *text, size_t i, size_t limit, const char *set) {
    while (i < limit && text[i] && strchr(set, text[i])) i++;
    return i;
}

/* Where the text after "answer is" or the like at i starts, or 0 where there is no such phrase. *direct is
 * set for forms that often precede a whole solution ("Answer: First, ..."): only a number directly after them
 * counts. */
static size_t phrase_end(const char *text, size_t i, size_t limit, bool *direct) {
    *direct = true;
    if (limit - i < 6 || strncasecmp(text + i, "answer", 6) != 0) return 0;
    size_t p = skip_any(text, i + 6, limit, " \t*_");
    if (p == limit) return 0;
    if (text[p] == ':' || text[p] == '=') return p + 1;
    bool is = limit - p >= 2 && strncasecmp(text + p, "is", 2) == 0;
    *direct = false;
    bool whole = is && (limit - p == 2 || !isalnum((unsigned char)text[p + 2]));
    return whole && p > i + 6 ? p + 2 : 0;
}

static size_t box_end(const char *text, size_t i, size_t limit) {
    static const char box[] = "\\boxed{";
    size_t n = sizeof box - 1;
    return limit - i >= n && memcmp(text + i, box, n) == 0 ? i + n : 0;
}

/* The brace that closes the box whose content starts at i, or limit. */
static size_t closing_brace(const char *text, size_t i, size_t limit) {
    for (int depth = 1; i < limit; i++) {
        depth += (text[i] == '{') - (text[i] == '}');
        if (depth == 0) return i;
    }
    return limit;
}

/* Rule 2, backwards as well. */
static numeric_span find_phrase(const char *text, size_t length, number_token *number) {
    size_t limit = length;
    for (size_t i = length; i-- > 0;) {
        if ((text[i] | 0x20) != 'a' && text[i] != '\\') continue;
        bool box = text[i] == '\\', direct = false;
        size_t start = box ? box_end(text, i, limit) : phrase_end(text, i, limit, &direct);
        if (start == 0) continue;
        size_t body = skip_any(text, start, limit, " \t\r\n*_:$"), end = line_end(text, body, limit);
        if (box) end = closing_brace(text, start, limit);
        if (body > line_end(text, start, limit)) direct = true;
        if (start < end && stated_number(text, start, end, number) &&
            !(direct && words_before(text, start, number)))
            return found_number(box ? NUMERIC_BOX : NUMERIC_PHRASE, number);
        limit = i;
    }
    number->end = 0;
    return found(NUMERIC_NONE, 0, 0);
}

/* Rule 3. */
static numeric_span find_last(const char *text, size_t length, number_token *number) {
    number_token next;
    bool any = false;
    for (size_t from = 0; number_next(text, length, from, &next); from = next.end) {
        *number = next;
        any = true;
    }
    if (any) return found_number(NUMERIC_LAST_NUMBER, number);
    number->end = 0;
    return found(NUMERIC_NONE, 0, 0);
}

numeric_span numeric_find_span(const char *text, size_t length, number_token *number) {
    bool decided;
    *number = (number_token){0};
    numeric_span a = find_mark(text, length, number, &decided);
    if (decided) return a;
    a = find_phrase(text, length, number);
    return a.source != NUMERIC_NONE ? a : find_last(text, length, number);
}

char *numeric_text(const number_token *number, bool keep_percent) {
    fmpq_t value;
    fmpq_init(value);
    char *text = NULL;
    if (number_value(number, value)) {
        char *plain = number_text(value);
        text = keep_percent && number->percent ? mem_printf("%s%%", plain) : mem_strdup(plain);
        mem_free(plain);
    }
    fmpq_clear(value);
    return text;
}

/* The comparison of grading: equal values, or a percent sign on one side alone that may be read either way.
 * *fine is false when either has no value (then the result is false). */
static bool graded_equal(const number_token *a, const number_token *b, bool *fine) {
    fmpq_t x, y, hundred;
    fmpq_init(x);
    fmpq_init(y);
    fmpq_init(hundred);
    *fine = number_value(a, x) && number_value(b, y);
    bool equal = *fine && fmpq_equal(x, y);
    if (*fine && !equal && a->percent != b->percent) {
        fmpq_set_si(hundred, 100, 1);
        fmpq_mul(a->percent ? y : x, a->percent ? y : x, hundred);
        equal = fmpq_equal(x, y);
    }
    fmpq_clear(x);
    fmpq_clear(y);
    fmpq_clear(hundred);
    return equal;
}

/* ---- The kind of answer ---- */

/* The answer is its number's one spelling without a percent sign, so equal numbers are equal texts. */
static const char *spelling(const task_answer *a) {
    return (const char *)a;
}

static task_answer *find(const char *text, size_t length) {
    number_token number;
    numeric_find_span(text, length, &number);
    return number.end > 0 ? (task_answer *)numeric_text(&number, false) : NULL;
}

static bool equal(const task_answer *a, const task_answer *b) {
    return strcmp(spelling(a), spelling(b)) == 0;
}

static char *show(const task_answer *a) {
    return mem_strdup(spelling(a));
}

/* The number of a gold answer: by itself ("1 1/2"), or in a whole solution. */
static bool gold_number(const char *gold, number_token *out) {
    return numeric_find_span(gold, strlen(gold), out).source != NUMERIC_NONE && out->end > 0;
}

static task_grade_result grade(const char *text, size_t length, const char *gold) {
    number_token number, wanted;
    numeric_span a = numeric_find_span(text, length, &number);
    task_grade_result g = {.reason = "no answer found"};
    char *gold_text = gold_number(gold, &wanted) ? numeric_text(&wanted, true) : NULL;
    if (a.source != NUMERIC_NONE) {
        g.extracted = number.end > 0 ? numeric_text(&number, false) : NULL;
        bool fine = g.extracted != NULL;
        if (fine && gold_text) g.correct = graded_equal(&number, &wanted, &fine);
        g.reason = !fine ? "not a number" : g.correct ? "equal" : "different number";
        if (!g.extracted) g.extracted = task_excerpt(text, a.start, a.length);
    }
    if (!gold_text) {
        g.bad_gold = true;
        g.reason = "gold is not a number";
    }
    mem_free(gold_text);
    return g;
}

const answer_kind numeric_answers = {.find = find, .equal = equal, .show = show, .grade = grade};
