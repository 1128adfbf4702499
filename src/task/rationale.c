/* Worked solutions as they are learned from: one step per line or sentence, and the answer's line in its one
 * spelling. */
#include "task/task_ops.h"
#include "task/template.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char blanks[] = " \t\r\n";

typedef struct {
    const char *at, *end;
} span;

static span trimmed(span s) {
    while (s.at < s.end && *s.at && strchr(blanks, *s.at)) s.at++;
    while (s.end > s.at && s.end[-1] && strchr(blanks, s.end[-1])) s.end--;
    return s;
}

/* The last line of s. */
static span last_line(span s) {
    const char *newline = memrchr(s.at, '\n', (size_t)(s.end - s.at));
    return (span){newline ? newline + 1 : s.at, s.end};
}

/* Whether a stretch holds no words but those that announce an answer: "So the final answer is: **". */
static bool only_announces(const char *text, size_t length) {
    static const char *const words[] = {"the", "final", "answer", "is", "boxed", "so", "therefore", "thus"};
    for (size_t i = 0; i < length;) {
        size_t n = 0;
        while (i + n < length && (isalnum((unsigned char)text[i + n]) || (unsigned char)text[i + n] >= 0x80))
            n++;
        bool known = n == 0;
        for (size_t w = 0; w < sizeof words / sizeof *words && !known; w++)
            known = strlen(words[w]) == n && strncasecmp(text + i, words[w], n) == 0;
        if (!known) return false;
        i += n ? n : 1;
    }
    return true;
}

/* Whether a line says the answer and no more: "The answer is no.", "Yes", "$\boxed{5}$". */
static bool is_answer(const task *t, const problem *p, span line) {
    answer_reading a;
    size_t length = (size_t)(line.end - line.at);
    bool found = answer_find(&t->answers, p, line.at, length, &a) && a.answer;
    mem_free(a.answer);
    return found && only_announces(line.at, a.start) && only_announces(line.at + a.end, length - a.end);
}

/* Whether place marker is among the task's. */
static bool looks_for_marker(const task *t) {
    for (int i = 0; t->places[i]; i++)
        if (t->places[i] == &answer_marker) return true;
    return false;
}

/* The last marker of the solution, or NULL. */
static const char *last_marker(const task *t, const char *text) {
    const char *last = NULL;
    if (!looks_for_marker(t)) return NULL;
    for (const char *m = text; (m = strstr(m, t->s.marker)); m++) last = m;
    return last;
}

/* The steps, one per line, without blank lines and white space at their ends. */
static void append_lines(const char *text, const char *end, text_buffer *out) {
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text)), *stop = newline ? newline : end;
        span line = trimmed((span){text, stop});
        if (line.at < line.end) {
            text_append(out, line.at, (size_t)(line.end - line.at));
            text_puts(out, "\n");
        }
        text = stop + 1;
    }
}

static bool answer_value(void *user, const char *name, size_t length, text_buffer *out) {
    const problem *p = user;
    const problem_option *o = p->option_count > 0 ? &p->options[p->gold_option] : NULL;
    bool label = length == strlen("label"),
         text = length == strlen("text") && memcmp(name, "text", length) == 0;
    text_puts(out, !o || !(label || text) ? p->gold : text ? o->text : o->label);
    return true;
}

void task_answer_line(const task *t, const problem *p, text_buffer *out) {
    template_fill(t->s.answer_line, answer_value, (void *)p, out);
}

/* The steps without the answer's own line. */
static void append_steps(const task *t, const problem *p, const char *text, const char *marker,
                         text_buffer *out) {
    span whole = {text, text + strlen(text)};
    span s = trimmed((span){text, marker ? marker : whole.end});
    if (!marker && *t->s.answer_line) {
        span last = last_line(s);
        if (is_answer(t, p, last)) s = trimmed((span){s.at, last.at});
    }
    if (t->s.step == TASK_STEP_LINE) {
        append_lines(s.at, s.end, out);
    } else if (s.at < s.end) {
        text_append(out, s.at, (size_t)(s.end - s.at));
        text_puts(out, "\n");
    }
}

const char *task_rationale(const task *t, const problem *p, const char *raw, arena *memory) {
    text_buffer text = {0}, out = {0};
    const char *kept = NULL;
    text_puts(&text, "");
    if (t->rationale_remove)
        pattern_remove(t->rationale_remove, raw, strlen(raw), &text);
    else
        text_puts(&text, raw);
    const char *marker = last_marker(t, text.at);
    append_steps(t, p, text.at, marker, &out);
    if (out.length > 0 ||
        marker) { /* an answer's line alone teaches nothing, but in the form that is taught */
        task_answer_line(t, p, &out);
        while (out.length > 0 && out.at[out.length - 1] == '\n') out.at[--out.length] = 0;
        kept = arena_strdup(memory, out.at ? out.at : "");
    }
    text_free(&text);
    text_free(&out);
    return kept && *kept ? kept : NULL;
}
