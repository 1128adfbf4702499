#include "task/task.h"

#include "task/answer.h"
#include "task/kind.h"

#include "formats/json.h"

#include <string.h>

static const task *const tasks[] = {&task_gsm8k, &task_arith};
static const char names[] = "gsm8k, arith";

const task *task_find(const char *name, esp_error *error) {
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (strcmp(tasks[i]->name, name) == 0) return tasks[i];
    char hint[128] = "tasks: ";
    error_fail(error, strncat(hint, names, sizeof hint - 8), "unknown task \"%s\"", name);
    return NULL;
}

const char *task_names(void) {
    return names;
}

const char *task_name(const task *t) {
    return t->name;
}

/* ---- Problems ---- */

static const char generated[] = "generate:";

/* "dir/train.jsonl.gz" to "train"; standard input is "stdin". */
static char *source_stem(const char *path) {
    if (strcmp(path, "-") == 0) return mem_strdup("stdin");
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t n = strlen(name);
    static const char *const endings[] = {".gz", ".jsonl", ".json"};
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t e = strlen(endings[i]);
        if (n > e && strncmp(name + n - e, endings[i], e) == 0) n -= e;
    }
    return mem_strndup(name, n);
}

static const char *row_id(const json_t *row, const char *stem, int64_t line, arena *memory) {
    const json_t *id = json_object_get(row, "id");
    if (json_is_string(id) && json_string_length(id) > 0) return arena_strdup(memory, json_string_value(id));
    char *made = json_is_integer(id) ? mem_printf("%lld", (long long)json_integer_value(id))
                                     : mem_printf("%s:%lld", stem, (long long)line);
    const char *kept = arena_strdup(memory, made);
    mem_free(made);
    return kept;
}

static esp_status read_rows(const task *t, jsonl_reader *reader, const char *stem, arena *memory,
                            problem_list *list, esp_error *error) {
    for (;;) {
        json_t *row;
        ESP_TRY(jsonl_next(reader, &row, error));
        if (!row) return ESP_OK;
        problem p = {.index = list->count, .line = jsonl_line(reader)};
        p.id = row_id(row, stem, p.line, memory);
        ESP_TRY(t->read_row(row, jsonl_where(reader), memory, &p, error));
        MEM_LIST_PUSH(list, p);
    }
}

static esp_status read_file(const task *t, const char *path, arena *memory, problem_list *list,
                            esp_error *error) {
    jsonl_reader *reader;
    ESP_TRY(jsonl_open(&reader, path, error));
    char *stem = source_stem(path);
    esp_status status = read_rows(t, reader, stem, memory, list, error);
    if (status == ESP_OK && list->count == 0)
        status =
            error_fail(error, "give a JSONL file with one problem a line", "%s: holds no problems", path);
    mem_free(stem);
    jsonl_close(reader);
    return status;
}

bool task_source_is_generated(const char *path) {
    return strncmp(path, generated, sizeof generated - 1) == 0;
}

esp_status task_read(const task *t, const char *path, problem_set *out, esp_error *error) {
    *out = (problem_set){.memory = arena_new()};
    problem_list list = {0};
    esp_status status;
    if (!task_source_is_generated(path))
        status = read_file(t, path, out->memory, &list, error);
    else if (t->generate)
        status = t->generate(path + sizeof generated - 1, out->memory, &list, error);
    else
        status = error_fail(error, "name a JSONL file, or use task arith", "%s: task %s has no generator",
                            path, t->name);
    out->at = list.at;
    out->count = list.count;
    out->source = mem_strdup(path);
    if (status != ESP_OK) problem_set_free(out);
    return status;
}

void problem_set_free(problem_set *set) {
    mem_free(set->at);
    mem_free(set->source);
    if (set->memory) arena_free(set->memory);
    *set = (problem_set){0};
}

/* ---- Asking ---- */

const char *task_instruction(const task *t) {
    return t->instruction;
}

void task_prompt_chat(const task *t, const problem *p, text_buffer *out) {
    if (t->instruction[0]) text_printf(out, "%s\n\n", t->instruction);
    text_puts(out, p->question);
}

void task_prompt_plain(const task *t, const problem *p, text_buffer *out) {
    if (t->instruction[0])
        text_printf(out, "%s\n\nProblem: %s\nSolution:\n", t->instruction, p->question);
    else
        text_printf(out, "%s\n", p->question);
}

esp_status task_sft_target(const task *t, const problem *p, text_buffer *out, esp_error *error) {
    if (!p->rationale)
        return error_fail(error, "supervised fine-tuning needs data with worked solutions",
                          "problem %s of task %s has no rationale", p->id, t->name);
    text_puts(out, p->rationale);
    return ESP_OK;
}

const char *const *task_answer_markers(const task *t) {
    return t->markers;
}

/* ---- Self-evaluation ---- */

/* One wording for all tasks that are put to a model in words: a small model is taught it once. The parts that
 * all problems share come first, so that their keys and values are computed once. What is said behind the
 * steps is computed for every step, so it is short: what (A) and (B) are stands before them. The suffix
 * begins with a newline, for a chain that stopped in mid-line. */
#define QUESTION "\n(A) or (B)?"
#define ANSWER   "\n("
const judge_words judge_in_words = {
    .task = "Check the solution of a problem. Answer (A) if it has a mistake so far, (B) if it is correct so "
            "far.\n\n",
    .before_question = "Problem: ",
    .example = "Example of a correct solution:\n",
    .steps = "Solution to check:\n",
    .question = QUESTION,
    .answer = ANSWER,
    .suffix = QUESTION ANSWER,
};

void task_judge_prefix(const task *t, const problem *p, bool with_example, text_buffer *out) {
    const judge_words *w = t->judge;
    text_printf(out, "%s%s%s\n", w->task, w->before_question, p->question);
    const char *example = p->example ? p->example : p->rationale;
    if (with_example && example) text_printf(out, "%s%s\n", w->example, example);
    text_puts(out, w->steps);
}

const char *task_judge_suffix(const task *t) {
    return t->judge->suffix;
}

const char *task_judge_question(const task *t) {
    return t->judge->question;
}

const char *task_judge_answer(const task *t) {
    return t->judge->answer;
}

/* ---- Grading ---- */

task_answer task_extract(const task *t, const char *text, size_t length) {
    return t->extract(text, length);
}

void task_answer_free(task_answer *a) {
    mem_free(a->value);
    *a = (task_answer){0};
}

const char *grade_reason_text(grade_reason reason) {
    switch (reason) {
    case GRADE_EQUAL:
        return "equal";
    case GRADE_DIFFERENT:
        return "different number";
    case GRADE_NO_ANSWER:
        return "no answer found";
    case GRADE_NOT_A_NUMBER:
        return "not a number";
    case GRADE_BAD_GOLD:
        return "gold is not a number";
    }
    return "unknown";
}

task_grade_result task_grade(const task *t, const char *text, size_t length, const char *gold) {
    return t->grade(text, length, gold);
}

void task_grade_free(task_grade_result *g) {
    mem_free(g->extracted);
    *g = (task_grade_result){0};
}

/* The text of field "gold", which may be a JSON number; *made is what to free. */
static esp_status gold_text(const json_t *row, const char *where, const char **gold, char **made,
                            esp_error *error) {
    const json_t *value = json_object_get(row, "gold");
    *made = NULL;
    if (!json_is_number(value)) return json_need_string(row, "gold", where, gold, error);
    *gold = *made = json_is_integer(value) ? mem_printf("%lld", (long long)json_integer_value(value))
                                           : mem_printf("%.15g", json_real_value(value));
    return ESP_OK;
}

esp_status task_grade_row(const task *t, const json_t *row, const char *where, json_t **out,
                          esp_error *error) {
    const char *answer, *gold;
    char *made;
    *out = NULL;
    ESP_TRY(json_need_string(row, "answer", where, &answer, error));
    ESP_TRY(gold_text(row, where, &gold, &made, error));
    size_t length = json_string_length(json_object_get(row, "answer"));
    task_grade_result g = task_grade(t, answer, length, gold);
    esp_status status = ESP_OK;
    if (g.reason == GRADE_BAD_GOLD) {
        char *shown = answer_excerpt(gold, 0, strlen(gold));
        status = error_fail(error, "give the right answer as a number, such as \"18\"",
                            "%s: field \"gold\": \"%s\" holds no answer of task %s", where, shown, t->name);
        mem_free(shown);
    } else {
        *out = json_pack("{s:s?, s:b, s:s}", "extracted", g.extracted, "correct", g.correct, "reason",
                         grade_reason_text(g.reason));
    }
    mem_free(made);
    task_grade_free(&g);
    return status;
}
