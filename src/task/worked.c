/* Problems with a worked solution and a number for an answer, in GSM8K's form: rows are {"question",
 * "answer"}; the answer is the solution, one step a line, perhaps with calculator marks <<expression=value>>,
 * and ends in "#### N". */
#include "task/answer.h"
#include "task/kind.h"

#include "formats/json.h"

#include <string.h>

/* The solution without calculator marks. A "<<" that nothing closes on its line stays. */
static void append_line(text_buffer *out, const char *line, size_t length) {
    for (size_t i = 0; i < length;) {
        if (i + 1 < length && line[i] == '<' && line[i + 1] == '<') {
            const char *close = memmem(line + i, length - i, ">>", 2);
            if (close) {
                i = (size_t)(close - line) + 2;
                continue;
            }
            text_append(out, line + i, length - i);
            return;
        }
        text_append(out, line + i, 1);
        i++;
    }
}

static void trim_right(text_buffer *b, size_t floor) {
    while (b->length > floor && strchr(" \t\r", b->at[b->length - 1])) b->length--;
    if (b->at) b->at[b->length] = 0;
}

/* Steps, a line each, and behind them the answer line in its one spelling. `end` is where the file's own
 * answer line starts. */
static char *clean_rationale(arena *memory, const char *raw, size_t end, const char *gold) {
    text_buffer b = {0};
    for (size_t i = 0; i < end;) {
        const char *newline = memchr(raw + i, '\n', end - i);
        size_t stop = newline ? (size_t)(newline - raw) : end, floor = b.length;
        while (i < stop && strchr(" \t\r", raw[i])) i++;
        append_line(&b, raw + i, stop - i);
        trim_right(&b, floor);
        if (b.length > floor) text_puts(&b, "\n");
        i = stop + 1;
    }
    text_printf(&b, "#### %s", gold);
    char *kept = arena_strdup(memory, b.at);
    text_free(&b);
    return kept;
}

/* The last "####" of the solution. */
static const char *answer_line(const char *raw) {
    const char *mark = NULL;
    for (const char *p = raw; (p = strstr(p, "####")); p += 4) mark = p;
    return mark;
}

esp_status worked_read_row(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error) {
    const char *question, *raw;
    ESP_TRY(json_need_string(row, "question", where, &question, error));
    ESP_TRY(json_need_string(row, "answer", where, &raw, error));
    const char *mark = answer_line(raw);
    if (!mark)
        return error_fail(error, "a worked solution ends in a line such as \"#### 18\"",
                          "%s: field \"answer\" has no line \"#### N\"", where);
    number_token number;
    char *gold = number_next(mark + 4, strlen(mark + 4), 0, &number) ? answer_text(&number, true) : NULL;
    if (!gold) {
        char *shown = answer_excerpt(mark, 4, strlen(mark + 4));
        error_fail(error, "a worked solution ends in a line such as \"#### 18\"",
                   "%s: field \"answer\": \"####%s\" is not followed by a number", where, shown);
        mem_free(shown);
        return ESP_FAILED;
    }
    out->question = arena_strdup(memory, question);
    out->raw = arena_strdup(memory, raw);
    out->gold = arena_strdup(memory, gold);
    out->rationale = clean_rationale(memory, raw, (size_t)(mark - raw), gold);
    mem_free(gold);
    return ESP_OK;
}

task_answer worked_extract(const char *text, size_t length) {
    number_token number;
    task_answer a = answer_find(text, length, &number);
    if (number.end > 0) a.value = answer_text(&number, false);
    return a;
}

/* The number of a gold answer: by itself ("1 1/2"), or in a whole solution. */
static bool gold_number(const char *gold, number_token *out) {
    return answer_find(gold, strlen(gold), out).source != ANSWER_NONE && out->end > 0;
}

task_grade_result worked_grade(const char *text, size_t length, const char *gold) {
    number_token number, wanted;
    task_answer a = answer_find(text, length, &number);
    task_grade_result g = {.source = a.source, .reason = GRADE_NO_ANSWER};
    char *gold_text = gold_number(gold, &wanted) ? answer_text(&wanted, true) : NULL;
    if (a.source != ANSWER_NONE) {
        g.extracted = number.end > 0 ? answer_text(&number, false) : NULL;
        bool fine = g.extracted != NULL;
        if (fine && gold_text) g.correct = answer_equal(&number, &wanted, &fine);
        g.reason = !fine ? GRADE_NOT_A_NUMBER : g.correct ? GRADE_EQUAL : GRADE_DIFFERENT;
        if (!g.extracted) g.extracted = answer_excerpt(text, a.start, a.length);
    }
    if (!gold_text) g.reason = GRADE_BAD_GOLD;
    mem_free(gold_text);
    return g;
}

const char *const worked_markers[] = {"####", "The answer is", NULL};
