/* Answers and grades of a task (task.h). */
#include "base/excerpt.h"
#include "formats/json.h"
#include "task/task_ops.h"

#include <stdlib.h>
#include <string.h>

/* ---- Answers ---- */

task_answer *task_answer_find(const task *t, const problem *p, const char *text, size_t length) {
    answer_reading a;
    return answer_find(&t->answers, p, text, length, &a) ? a.answer : NULL;
}

bool task_answer_equal(const task *t, const problem *p, const task_answer *a, const task_answer *b) {
    return t->answers.kind->equal(t->answers.settings, p, a, b) == GRADE_EQUAL;
}

char *task_answer_show(const task *t, const problem *p, const task_answer *a) {
    return t->answers.kind->show(t->answers.settings, p, a);
}

/* Shown answers are answers by themselves. */
static task_answer *read_shown(const task *t, const problem *p, const char *shown) {
    answer_reading a;
    return answer_find_gold(&t->answers, p, shown, &a) ? a.answer : NULL;
}

void task_answer_group(const task *t, const problem *p, const char *const *shown, int64_t n, int64_t *group) {
    task_answer **found = MEM_ARRAY(task_answer *, n > 0 ? n : 1);
    for (int64_t i = 0; i < n; i++) {
        group[i] = shown[i] ? i : -1;
        if (t && shown[i]) found[i] = read_shown(t, p, shown[i]);
        for (int64_t j = 0; shown[i] && j < i; j++) {
            if (group[j] != j) continue; /* not the first of its group */
            bool same = strcmp(shown[j], shown[i]) == 0 ||
                        (found[j] && found[i] && task_answer_equal(t, p, found[j], found[i]));
            if (!same) continue;
            group[i] = j;
            break;
        }
    }
    for (int64_t i = 0; i < n; i++) mem_free(found[i]);
    mem_free(found);
}

/* ---- Grading ---- */

task_grade_result task_grade(const task *t, const problem *p, const char *text, size_t length) {
    return answer_grade(&t->answers, p, text, length);
}

void task_grade_free(task_grade_result *g) {
    mem_free(g->extracted);
    *g = (task_grade_result){0};
}

/* The text of field "gold", which may be a JSON number or boolean; *made is to be freed. */
static esp_status gold_text(const json_t *row, const char *where, const char **gold, char **made,
                            esp_error *error) {
    const json_t *value = json_object_get(row, "gold");
    *made = NULL;
    if (json_is_boolean(value)) {
        *gold = json_is_true(value) ? "true" : "false";
        return ESP_OK;
    }
    if (!json_is_number(value)) return json_need_string(row, "gold", where, gold, error);
    *gold = *made = json_number_text(value);
    return ESP_OK;
}

const char *task_verdict_word(grade_verdict verdict) {
    static const char *const words[] = {
        [GRADE_DIFFERENT] = "different", [GRADE_EQUAL] = "equal", [GRADE_UNKNOWN] = "unknown"};
    return words[verdict];
}

static const char *string_of(const json_t *row, const char *key, arena *memory) {
    const char *text = json_string_value(json_object_get(row, key));
    return text ? arena_strdup(memory, text) : NULL;
}

/* What a row says of its problem, and its answer. */
static esp_status read_graded(const task *t, const json_t *row, const char *where, arena *memory,
                              problem *out, const char **answer, esp_error *error) {
    const json_t *options = json_object_get(row, "options");
    ESP_TRY(json_need_string(row, "answer", where, answer, error));
    *out = (problem){.id = string_of(row, "id", memory), .question = string_of(row, "question", memory)};
    if (!out->id) out->id = arena_strdup(memory, where);
    if (json_object_get(row, "gold")) {
        char *made;
        const char *gold;
        ESP_TRY(gold_text(row, where, &gold, &made, error));
        out->gold = arena_strdup(memory, gold);
        mem_free(made);
    }
    if (!options || !t->answers.kind->needs_options) return ESP_OK;
    return task_read_options(t, options, where, memory, out, error);
}

static esp_status grade_answer(const task *t, const problem *p, const char *answer, size_t length,
                               const char *where, json_t **out, esp_error *error) {
    task_grade_result g = task_grade(t, p, answer, length);
    esp_status status = ESP_OK;
    if (g.bad_gold) {
        bool lacks = t->answers.kind->needs_options && p->option_count == 0;
        char *shown = task_excerpt(p->gold, 0, strlen(p->gold));
        status = error_fail(error,
                            lacks ? "give the label, or add the problem's \"options\" to the row"
                                  : "give the answer by itself, or a text that ends in one",
                            "%s: field \"gold\": \"%s\" holds no answer of task %s", where, shown, t->s.name);
        mem_free(shown);
    } else {
        *out = json_pack("{s:s?, s:s, s:b, s:s}", "extracted", g.extracted, "verdict",
                         task_verdict_word(g.verdict), "correct", g.correct, "reason", g.reason);
    }
    task_grade_free(&g);
    return status;
}

esp_status task_grade_row(const task *t, const json_t *row, const char *where, json_t **out,
                          esp_error *error) {
    problem p = {0};
    const char *answer;
    arena *memory = arena_new();
    *out = NULL;
    esp_status status = read_graded(t, row, where, memory, &p, &answer, error);
    if (status == ESP_OK && !p.gold) status = json_need_string(row, "gold", where, &p.gold, error);
    if (status == ESP_OK)
        status = grade_answer(t, &p, answer, json_string_length(json_object_get(row, "answer")), where, out,
                              error);
    arena_free(memory);
    return status;
}

esp_status task_row_problem(const task *t, const json_t *row, const char *where, arena *memory, problem *out,
                            const char **answer, esp_error *error) {
    ESP_TRY(read_graded(t, row, where, memory, out, answer, error));
    char *whole = json_dumps(row, JSON_COMPACT);
    out->row = arena_strdup(memory, whole);
    free(whole);
    return ESP_OK;
}

char *task_excerpt(const char *text, size_t start, size_t length) {
    text_buffer b = {0};
    excerpt(text + start, length, EXCERPT_MOST, &b);
    return b.at;
}
