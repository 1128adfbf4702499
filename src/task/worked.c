/* Problems with a worked solution and a number for an answer, in GSM8K's form: rows are {"question",
 * "answer"}; the answer is the solution, one step per line, perhaps with calculator marks
 * <<expression=value>>, and ends in "#### N". */
#include "task/numeric.h"

#include "formats/json.h"
#include "grade/grade.h"

#include <string.h>

/* The solution without calculator marks. A "<<" that is not closed on its line stays. */
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

/* The steps, one per line, and after them the answer's line in its one spelling. `end` is where the file's
 * own answer line starts. */
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
static const char *last_mark(const char *raw) {
    const char *mark = NULL;
    for (const char *p = raw; (p = strstr(p, "####")); p += 4) mark = p;
    return mark;
}

esp_status worked_read_row(const json_t *row, const char *where, arena *memory, problem *out,
                           esp_error *error) {
    const char *question, *raw;
    ESP_TRY(json_need_string(row, "question", where, &question, error));
    ESP_TRY(json_need_string(row, "answer", where, &raw, error));
    const char *mark = last_mark(raw);
    if (!mark)
        return error_fail(error, "a worked solution ends in a line such as \"#### 18\"",
                          "%s: field \"answer\" has no line \"#### N\"", where);
    size_t line = strcspn(mark, "\n");
    grade_number number = {.number = NULL};
    if (!grade_stated_number(mark, 4, line, &number) || !number.number) {
        char *shown = task_excerpt(mark, 4, strlen(mark + 4));
        error_fail(error, "a worked solution ends in a line such as \"#### 18\"",
                   "%s: field \"answer\": \"####%s\" is not followed by a number", where, shown);
        mem_free(shown);
        return ESP_FAILED;
    }
    char *gold = mem_printf("%s%s", number.number, number.percent ? "%" : "");
    mem_free(number.number);
    out->question = arena_strdup(memory, question);
    out->raw = arena_strdup(memory, raw);
    out->gold = arena_strdup(memory, gold);
    out->rationale = clean_rationale(memory, raw, (size_t)(mark - raw), gold);
    mem_free(gold);
    return ESP_OK;
}

const char *const worked_markers[] = {"####", "The answer is", NULL};

static const answer_place *const places[] = {&answer_marker, &answer_stated, &answer_last_number, NULL};
const answer_form worked_answers = {.kind = &answer_number, .places = places, .marker = "####"};

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
