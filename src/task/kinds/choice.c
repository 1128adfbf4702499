/* Answers that are one of a problem's options. A stretch names an option by its label, in brackets anywhere
 * ("I choose (B)"), or bare where it begins the stretch or follows "option" or "choice" and nothing but
 * punctuation follows it ("B.", "A rock" names nothing); or by its text, where that begins the stretch and
 * nothing but punctuation follows. It is the answer where exactly one option is named: "(A) or (B)", "A, B"
 * and a label before another option's text are none. Where the problem is not known, a letter or a number of
 * one or two digits is a label. The answer is a label. */
#include "task/answer.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char around[] = " \t\r\n*_`'\"$:";

static bool is_word(unsigned char c) {
    return isalnum(c) || c >= 0x80;
}

/* ---- Labels ---- */

/* The length of the label at text + i, or 0; *option: its place, -1 where the problem is not known. */
static size_t label_at(const problem *p, const char *text, size_t i, size_t end, bool any_case,
                       int32_t *option) {
    size_t n = 0, best = 0;
    *option = -1;
    if (!p || p->option_count == 0) {
        while (i + n < end && isdigit((unsigned char)text[i + n])) n++;
        if (n == 0) n = i < end && isupper((unsigned char)text[i]);
        bool whole = i + n >= end || !is_word((unsigned char)text[i + n]);
        return n <= 2 && whole ? n : 0;
    }
    for (int32_t k = 0; k < p->option_count; k++) {
        const char *label = p->options[k].label;
        n = strlen(label);
        if (n <= best || n > end - i) continue;
        if (any_case ? strncasecmp(text + i, label, n) != 0 : memcmp(text + i, label, n) != 0) continue;
        if (i + n < end && is_word((unsigned char)text[i + n])) continue;
        best = n;
        *option = k;
    }
    return best;
}

static bool is_named(const char *text, size_t start, size_t i) {
    static const char *const words[] = {"option ", "choice "};
    for (int w = 0; w < 2; w++) {
        size_t n = strlen(words[w]);
        if (i - start >= n && strncasecmp(text + i - n, words[w], n) == 0) return true;
    }
    return false;
}

/* What is named in a stretch so far. */
typedef struct {
    int32_t option;    /* -1: none, or the problem is not known */
    size_t start, end; /* end 0: nothing */
    bool several;
} naming;

static void name(naming *n, const char *text, size_t start, size_t end, int32_t option) {
    if (n->end == 0) {
        *n = (naming){option, start, end, false};
        return;
    }
    bool same =
        option == n->option && (option >= 0 || (end - start == n->end - n->start &&
                                                memcmp(text + start, text + n->start, end - start) == 0));
    n->several = n->several || !same;
}

/* Nothing but punctuation and white space up to the end of the line. */
static bool ends_there(const char *text, size_t i, size_t end) {
    while (i < end && text[i] != '\n' && text[i] && strchr(" \t\r*_`'\"$.,;:!?)]}", text[i])) i++;
    return i >= end || text[i] == '\n';
}

/* The bare label that is followed by an option's text or by nothing: "B", "B. fog", "B) fog". */
static bool bare_label_ends(const char *text, size_t i, size_t end) {
    return ends_there(text, i, end) || (text[i] && strchr(".):,;*", text[i]));
}

/* The most bytes between two labels that are named together: keeps finding linear. */
enum { JOINED = 24 };

/* Whether text[from, i), after a label, joins another one to it: "A, B", "A/B", "(A) or B", "A. B". */
static bool joins(const char *text, size_t from, size_t i) {
    bool joined = false;
    while (from < i) {
        bool word = from == 0 || !is_word((unsigned char)text[from - 1]);
        size_t n = strspn(text + from, "andorADNOR");
        if (text[from] && strchr(",;/&+.", text[from])) {
            joined = true;
            from++;
        } else if (text[from] && strchr(" \t*_`'\")]}", text[from])) {
            from++;
        } else if (word && ((n == 3 && strncasecmp(text + from, "and", 3) == 0) ||
                            (n == 2 && strncasecmp(text + from, "or", 2) == 0))) {
            joined = true;
            from += n;
        } else {
            return false;
        }
    }
    return joined && from == i;
}

static void find_labels(const problem *p, const char *text, size_t start, size_t end, naming *out) {
    size_t begin = start, after = end; /* after: the last label that was named */
    while (begin < end && text[begin] && strchr(around, text[begin])) begin++;
    for (size_t i = start; i < end; i++) {
        int32_t option;
        bool open = text[i] == '(' || text[i] == '[' || text[i] == '{';
        if (open) {
            size_t at = i + 1;
            while (at < end && text[at] && strchr("*_ ", text[at])) at++;
            size_t n = label_at(p, text, at, end, true, &option), close = at + n;
            while (n && close < end && text[close] && strchr("*_ ", text[close])) close++;
            if (n && close < end && text[close] && strchr(")]}", text[close])) {
                name(out, text, at, at + n, option);
                after = at + n;
            }
            continue;
        }
        bool free = i == begin || is_named(text, start, i) ||
                    (i > after && i - after <= JOINED && joins(text, after, i));
        size_t n = free ? label_at(p, text, i, end, false, &option) : 0;
        if (n && bare_label_ends(text, i + n, end)) {
            name(out, text, i, i + n, option);
            after = i + n;
        }
    }
}

/* ---- Texts ---- */

/* The length of the option's text at text[i], white space of any kind and number counting as one space, any
 * case; 0: it is not there. */
static size_t text_at(const char *wanted, const char *text, size_t i, size_t end) {
    size_t from = i;
    const char *w = wanted + strspn(wanted, " \t\r\n");
    while (*w) {
        if (isspace((unsigned char)*w)) {
            w += strspn(w, " \t\r\n\f\v");
            if (!*w) break;
            if (i >= end || !isspace((unsigned char)text[i])) return 0;
            while (i < end && isspace((unsigned char)text[i])) i++;
        } else {
            if (i >= end || tolower((unsigned char)*w) != tolower((unsigned char)text[i]))
                return !w[1] && *w == '.' ? i - from : 0;
            w++, i++;
        }
    }
    return i - from;
}

/* Options whose whole text begins the stretch, or follows the label that was found. */
static void find_texts(const problem *p, const char *text, size_t start, size_t end, naming *out) {
    size_t i = out->end ? out->end : start;
    while (i < end && text[i] && strchr(" \t\r\n*_`'\"$:.)]},", text[i])) i++;
    size_t longest = 0;
    int32_t option = -1;
    for (int32_t k = 0; k < p->option_count; k++) {
        size_t n = text_at(p->options[k].text, text, i, end);
        if (n > longest && ends_there(text, i + n, end)) longest = n, option = k;
    }
    if (option >= 0) name(out, text, i, i + longest, option);
}

/* ---- The kind ---- */

static bool read_choice(const void *settings, const problem *p, const char *text, size_t start, size_t end,
                        answer_reading *out) {
    (void)settings;
    naming named = {.option = -1};
    find_labels(p, text, start, end, &named);
    if (p && p->option_count > 0 && !named.several) find_texts(p, text, start, end, &named);
    if (named.end == 0 || named.several) return false;
    *out = (answer_reading){.start = named.start, .end = named.end};
    out->answer =
        (task_answer *)(named.option >= 0 ? mem_strdup(p->options[named.option].label)
                                          : mem_strndup(text + named.start, named.end - named.start));
    return true;
}

static grade_verdict equal(const void *settings, const problem *p, const task_answer *a,
                           const task_answer *b) {
    (void)settings, (void)p;
    return strcmp((const char *)a, (const char *)b) == 0 ? GRADE_EQUAL : GRADE_DIFFERENT;
}

static char *show(const void *settings, const problem *p, const task_answer *a) {
    (void)settings, (void)p;
    return mem_strdup((const char *)a);
}

const answer_kind answer_choice = {.name = "choice",
                                   .about = "one of the problem's options, by its label or its text",
                                   .read = read_choice,
                                   .equal = equal,
                                   .show = show,
                                   .needs_options = true,
                                   .unread = "no option is named",
                                   .different = "another option",
                                   .bad_gold = "gold names no option"};
