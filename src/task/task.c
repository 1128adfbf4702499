#include "task/task.h"

#include "base/utf8.h"
#include "formats/json.h"
#include "task/task_ops.h"

#include <string.h>

/* All tasks, in the order that messages list them: a row for each table. */
#define TASK_LIST(row) row(task_gsm8k) row(task_arith) row(task_yesno)

#define DECLARE(table) extern const task table;
#define ADDRESS(table) &table,
TASK_LIST(DECLARE)
static const task *const tasks[] = {TASK_LIST(ADDRESS)};
enum { TASKS = sizeof tasks / sizeof *tasks };

const task *task_find(const char *name, esp_error *error) {
    text_buffer hint = {0};
    for (size_t i = 0; i < TASKS; i++) {
        if (strcmp(tasks[i]->name, name) == 0) {
            text_free(&hint);
            return tasks[i];
        }
        text_printf(&hint, "%s%s", i ? ", " : "tasks: ", tasks[i]->name);
    }
    error_fail(error, hint.at, "unknown task \"%s\"", name);
    text_free(&hint);
    return NULL;
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
            error_fail(error, "give a JSONL file with one problem per line", "%s: holds no problems", path);
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

void task_prompt_chat(const task *t, const problem *p, text_buffer *out) {
    if (t->instruction[0]) text_printf(out, "%s\n\n", t->instruction);
    text_puts(out, p->question);
}

void task_prompt_plain(const task *t, const problem *p, text_buffer *out) {
    if (t->instruction[0]) text_printf(out, "%s\n\n", t->instruction);
    text_printf(out, "%s%s%s", t->before_question, p->question, t->cue);
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

/* ---- Steps ---- */

task_step_unit task_unit(const task *t) {
    return t->unit;
}

size_t task_step_end(const task *t, const char *text, size_t from) {
    size_t line = from + strcspn(text + from, "\n");
    size_t end = line + (text[line] == '\n');
    if (t->unit == TASK_STEP_LINE) return end;
    size_t start = from + strspn(text + from, " \t\r\n\v\f"); /* white space alone is no step */
    if (start >= line) return text[start] ? task_step_end(t, text, start) : start;
    for (size_t i = start; i + 1 < line; i++)
        if (strchr(".?!", text[i]) && strchr(" \t\r\v\f", text[i + 1])) {
            bool rest = i + 1 + strspn(text + i + 1, " \t\r\v\f") < line; /* of the line */
            return rest ? i + 1 : end;
        }
    return end;
}

bool task_makes_mistakes(const task *t) {
    return t->mistake != NULL;
}

bool task_make_mistake(const task *t, const problem *p, const task_mistake_place *place, rng_key_t key,
                       text_buffer *out, size_t *changed) {
    return t->mistake && t->mistake(p, place, key, out, changed);
}

/* ---- Self-evaluation ---- */

/* One wording for all tasks that are put to a model in words: a small model is taught it once. The parts that
 * all problems share come first, so that their keys and values are computed once. What follows the steps is
 * computed for every step, so it is short: the meaning of (A) and (B) is in the prefix. The question begins
 * with a newline, for a chain that stopped within a line. */
const judge_words judge_in_words = {
    .task = "Check the solution of a problem. Answer (A) if it has a mistake so far, (B) if it is correct so "
            "far.\n\n",
    .before_question = "Problem: ",
    .before_example = "Example of a correct solution:\n",
    .before_steps = "Solution to check:\n",
    .question = "\n(A) or (B)?",
    .answer = "\n(",
    .verdict = {"A", "B"},
};

void task_judge_prefix(const task *t, const problem *p, bool with_example, text_buffer *out) {
    const judge_words *w = t->judge;
    text_printf(out, "%s%s%s\n", w->task, w->before_question, p->question);
    const char *example = p->example ? p->example : p->rationale;
    if (with_example && example) text_printf(out, "%s%s\n", w->before_example, example);
    text_puts(out, w->before_steps);
}

const char *task_judge_question(const task *t) {
    return t->judge->question;
}

const char *task_judge_answer(const task *t) {
    return t->judge->answer;
}

const char *task_verdict(const task *t, bool correct) {
    return t->judge->verdict[correct];
}

/* ---- Answers ---- */

task_answer *task_answer_find(const task *t, const problem *p, const char *text, size_t length) {
    answer_reading a;
    return answer_find(t->answers, p, text, length, &a) ? a.answer : NULL;
}

bool task_answer_equal(const task *t, const problem *p, const task_answer *a, const task_answer *b) {
    return t->answers->kind->equal(t->answers->settings, p, a, b) == GRADE_EQUAL;
}

char *task_answer_show(const task *t, const problem *p, const task_answer *a) {
    return t->answers->kind->show(t->answers->settings, p, a);
}

/* Shown answers are answers by themselves. */
static task_answer *read_shown(const task *t, const problem *p, const char *shown) {
    answer_reading a;
    return answer_find_gold(t->answers, p, shown, &a) ? a.answer : NULL;
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
    return answer_grade(t->answers, p, text, length);
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

esp_status task_grade_row(const task *t, const json_t *row, const char *where, json_t **out,
                          esp_error *error) {
    const char *answer, *gold;
    char *made = NULL;
    *out = NULL;
    ESP_TRY(json_need_string(row, "answer", where, &answer, error));
    ESP_TRY(gold_text(row, where, &gold, &made, error));
    size_t length = json_string_length(json_object_get(row, "answer"));
    task_grade_result g = task_grade(t, &(problem){.gold = gold}, answer, length);
    esp_status status = ESP_OK;
    if (g.bad_gold) {
        char *shown = task_excerpt(gold, 0, strlen(gold));
        status = error_fail(error, "give the answer by itself, or a text that ends in one",
                            "%s: field \"gold\": \"%s\" holds no answer of task %s", where, shown, t->name);
        mem_free(shown);
    } else {
        *out =
            json_pack("{s:s?, s:b, s:s}", "extracted", g.extracted, "correct", g.correct, "reason", g.reason);
    }
    mem_free(made);
    task_grade_free(&g);
    return status;
}

char *task_excerpt(const char *text, size_t start, size_t length) {
    const char *s = text + start;
    text_buffer b = {0};
    text_puts(&b, "");
    for (size_t i = 0; i < length;) {
        size_t n = utf8_length(s + i, length - i);
        bool shown = n > 1 || (n == 1 && s[i] >= 0x20 && s[i] != 0x7f);
        if (b.length + (shown ? n : 3) > 100) {
            text_puts(&b, "...");
            break;
        }
        if (shown)
            text_append(&b, s + i, n);
        else
            text_puts(&b, "\xef\xbf\xbd");
        i += n ? n : 1;
    }
    return b.at;
}
