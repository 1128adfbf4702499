#include "task/task.h"

#include "base/utf8.h"
#include "formats/json.h"
#include "task/field.h"
#include "task/task_ops.h"
#include "task/template.h"

#include <string.h>

/* ---- Making ---- */

static esp_status copy_settings(const task_settings *from, task_settings *to, esp_error *error) {
    arena *memory = arena_new();
    option_table table = task_options(memory);
    text_buffer value = {0};
    esp_status status = ESP_OK;
    *to = (task_settings){.kind = from->kind};
    for (int i = 0; i < table.count && status == ESP_OK; i++) {
        if (!option_applies(table, &table.at[i], from)) continue;
        text_clear(&value);
        text_puts(&value, "");
        option_get(&table.at[i], from, &value);
        status = option_set(&table.at[i], to, value.at, error);
    }
    text_free(&value);
    arena_free(memory);
    return status;
}

/* The lines of a list, and NULL after them. */
static void split_lines(const char *lines, arena *memory, text_list *out) {
    for (const char *at = lines; *at; at += *at == '\n') {
        size_t n = strcspn(at, "\n");
        char *one = arena_copy(memory, at, n + 1);
        one[n] = 0;
        if (n > 0) MEM_LIST_PUSH(out, one);
        at += n;
    }
    MEM_LIST_PUSH(out, NULL);
    out->count--;
}

/* Names the key that a failure is about, so that the place where it was written can be shown. */
static esp_status about(const char *key, esp_status status, esp_error *error) {
    return status == ESP_OK ? ESP_OK : error_about(error, ESP_REASON_OTHER, key);
}

static esp_status find_places(task *t, esp_error *error) {
    int n = 0;
    for (const char *at = t->s.place; *at; at += *at == '\n') {
        size_t length = strcspn(at, "\n");
        const answer_place *place = answer_place_named(at, length);
        if (length > 0 && !place)
            return error_fail(
                error, "places: marker, phrase, box, stated, pattern, line, last_line, last_number, whole",
                "place: there is no place \"%.*s\"", (int)(length < 60 ? length : 60), at);
        if (place && n == TASK_MOST_PLACES)
            return error_fail(error, "name each place once", "place: more than %d places", TASK_MOST_PLACES);
        if (place) t->places[n++] = place;
        if (place == &answer_marker && !*t->s.marker)
            return error_fail(error, "write what comes before the answer, or another place",
                              "place is marker, and the key marker is empty");
        if (place == &answer_pattern && !*t->s.pattern)
            return error_fail(error, "write a pattern whose first group is the answer, or another place",
                              "place is pattern, and the key pattern is empty");
        at += length;
    }
    if (n == 0) return error_fail(error, "for example: marker", "place: no place is named");
    t->answers = (answer_form){.kind = answer_kind_at(t->s.kind),
                               .settings = &t->s.kind_settings,
                               .places = t->places,
                               .marker = t->s.marker,
                               .pattern = t->answer_pattern};
    return ESP_OK;
}

/* Without the question every problem would have the same prompt. */
static esp_status check_asks(const char *template, const char *key, esp_error *error) {
    if (template_has_place(template, "question")) return ESP_OK;
    return about(key,
                 error_fail(error, "write {question} where a problem's question goes",
                            "%s: the place {question} is missing", key),
                 error);
}

static esp_status check_named(const char *fields, const char *key, esp_error *error) {
    if (*fields) return ESP_OK;
    return about(key, error_fail(error, "name the field that holds it", "%s: no field is named", key), error);
}

static esp_status check_options(const task *t, esp_error *error) {
    if (!t->answers.kind->needs_options || t->options.count > 0 || t->options_pattern) return ESP_OK;
    return error_fail(error, "name the field that holds them in options, or set options_pattern",
                      "kind is %s, and the task names no options", t->answers.kind->name);
}

static esp_status check_texts(const task_settings *s, esp_error *error) {
    static const char asking[] = "instruction question options", answer[] = "answer label text";
    ESP_TRY(field_check(s->question, "question", error));
    ESP_TRY(field_check(s->gold, "gold", error));
    ESP_TRY(field_check(s->rationale, "rationale", error));
    ESP_TRY(field_check(s->id, "id", error));
    ESP_TRY(template_check(s->system, "model", "system", error));
    ESP_TRY(template_check(s->turn, asking, "turn", error));
    ESP_TRY(template_check(s->plain, asking, "plain", error));
    ESP_TRY(check_asks(s->turn, "turn", error));
    ESP_TRY(check_asks(s->plain, "plain", error));
    ESP_TRY(template_check(s->option, "label text", "option", error));
    ESP_TRY(template_check(s->answer_line, answer, "answer_line", error));
    ESP_TRY(check_named(s->question, "question", error));
    ESP_TRY(check_named(s->gold, "gold", error));
    if (*s->judge_correct && *s->judge_incorrect && strcmp(s->judge_correct, s->judge_incorrect) != 0)
        return ESP_OK;
    return about(*s->judge_correct ? "judge_incorrect" : "judge_correct",
                 error_fail(error, "two different letters",
                            "judge_correct, judge_incorrect: two different verdicts are needed"),
                 error);
}

static esp_status optional_pattern(pattern **out, const char *text, const char *key, esp_error *error) {
    return *text ? pattern_new(out, text, key, error) : ESP_OK;
}

static esp_status read_examples(task *t, esp_error *error) {
    text_list rows = {0};
    split_lines(t->s.examples, t->memory, &rows);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < rows.count && status == ESP_OK; i++) {
        char *where = mem_printf("examples: row %lld", (long long)i + 1);
        problem p = {.index = i, .line = i + 1};
        json_error_t at;
        json_t *row = json_loads(rows.at[i], 0, &at);
        if (row)
            status = task_read_row(t, row, where, "example", t->memory, &p, error);
        else
            status = error_fail(error, "write a list of rows", "%s: not JSON: %s", where, at.text);
        if (status == ESP_OK && !p.rationale) {
            text_buffer line = {0};
            task_answer_line(t, &p, &line);
            p.rationale = arena_strdup(t->memory, line.at ? line.at : p.gold);
            text_free(&line);
        }
        if (status == ESP_OK) MEM_LIST_PUSH(&t->examples, p);
        json_decref(row);
        mem_free(where);
    }
    MEM_LIST_FREE(&rows);
    return status;
}

static esp_status prepare(task *t, esp_error *error) {
    ESP_TRY(check_texts(&t->s, error));
    ESP_TRY(optional_pattern(&t->rationale_remove, t->s.rationale_remove, "rationale_remove", error));
    ESP_TRY(optional_pattern(&t->options_pattern, t->s.options_pattern, "options_pattern", error));
    ESP_TRY(optional_pattern(&t->answer_pattern, t->s.pattern, "pattern", error));
    ESP_TRY(about("place", find_places(t, error), error));
    split_lines(t->s.ends, t->memory, &t->ends);
    split_lines(t->s.options, t->memory, &t->options);
    ESP_TRY(about("kind", check_options(t, error), error));
    return about("examples", read_examples(t, error), error);
}

esp_status task_new(task **out, const task_settings *settings, esp_error *error) {
    task *t = MEM_NEW(task);
    t->memory = arena_new();
    esp_status status = copy_settings(settings, &t->s, error);
    if (status == ESP_OK) status = prepare(t, error);
    *out = status == ESP_OK ? t : NULL;
    if (status != ESP_OK) task_free(t);
    return status;
}

esp_status task_open(task **out, const char *name, esp_error *error) {
    task_settings s;
    settings given = {0};
    arena *memory = arena_new();
    *out = NULL;
    esp_status status = task_settings_load(&s, name, task_options(memory), &given, error);
    if (status == ESP_OK) {
        status = task_new(out, &s, error);
        if (status != ESP_OK && !settings_place(&given, "", error)) error_prefix(error, "task %s", name);
        task_settings_free(&s);
    }
    settings_free(&given);
    arena_free(memory);
    return status;
}

void task_free(task *t) {
    if (!t) return;
    pattern_free(t->rationale_remove);
    pattern_free(t->options_pattern);
    pattern_free(t->answer_pattern);
    MEM_LIST_FREE(&t->ends);
    MEM_LIST_FREE(&t->options);
    MEM_LIST_FREE(&t->examples);
    task_settings_free(&t->s);
    arena_free(t->memory);
    mem_free(t);
}

const task_grading *task_grading_of(const task *t) {
    return &t->s.grading;
}

const char *task_name(const task *t) {
    return t->s.name;
}

/* ---- Asking ---- */

/* What the places of a prompt are filled with. */
typedef struct {
    const task *t;
    const problem *p;
    const problem_option *option; /* of a line of {options} */
} asked;

static bool is(const char *name, size_t length, const char *word) {
    return strlen(word) == length && memcmp(name, word, length) == 0;
}

static bool option_value(void *user, const char *name, size_t length, text_buffer *out) {
    const asked *a = user;
    text_puts(out, is(name, length, "label") ? a->option->label : a->option->text);
    return true;
}

static void put_options(const task *t, const problem *p, text_buffer *out) {
    for (int32_t i = 0; i < p->option_count; i++) {
        asked a = {t, p, &p->options[i]};
        if (i > 0) text_puts(out, "\n");
        template_fill(t->s.option, option_value, &a, out);
    }
}

void task_question(const task *t, const problem *p, text_buffer *out) {
    text_puts(out, p->question);
    if (p->option_count > 0) text_puts(out, "\n");
    put_options(t, p, out);
}

static bool asked_value(void *user, const char *name, size_t length, text_buffer *out) {
    const asked *a = user;
    if (is(name, length, "instruction"))
        text_puts(out, a->t->s.instruction);
    else if (is(name, length, "question"))
        text_puts(out, a->p->question);
    else
        put_options(a->t, a->p, out);
    return true;
}

void task_prompt_chat(const task *t, const problem *p, text_buffer *out) {
    template_fill(t->s.turn, asked_value, &(asked){.t = t, .p = p}, out);
}

void task_prompt_plain(const task *t, const problem *p, text_buffer *out) {
    for (int64_t i = 0; i < t->examples.count; i++) {
        const problem *example = &t->examples.at[i];
        template_fill(t->s.plain, asked_value, &(asked){.t = t, .p = example}, out);
        text_printf(out, "%s\n\n", example->rationale);
    }
    template_fill(t->s.plain, asked_value, &(asked){.t = t, .p = p}, out);
}

int64_t task_example_count(const task *t) {
    return t->examples.count;
}

const problem *task_example(const task *t, int64_t i) {
    return &t->examples.at[i];
}

static bool system_value(void *user, const char *name, size_t length, text_buffer *out) {
    (void)name, (void)length;
    text_puts(out, user ? (const char *)user : "");
    return true;
}

bool task_system(const task *t, const char *model_own, text_buffer *out) {
    size_t before = out->length;
    template_fill(t->s.system, system_value, (void *)model_own, out);
    return out->length > before;
}

esp_status task_sft_target(const task *t, const problem *p, text_buffer *out, esp_error *error) {
    if (!p->rationale)
        return error_fail(error, "supervised fine-tuning needs data with worked solutions",
                          "problem %s of task %s has no rationale", p->id, t->s.name);
    text_puts(out, p->rationale);
    return ESP_OK;
}

const char *const *task_answer_markers(const task *t) {
    return t->ends.at;
}

/* ---- Steps ---- */

task_step_unit task_unit(const task *t) {
    return (task_step_unit)t->s.step;
}

size_t task_step_end(const task *t, const char *text, size_t from) {
    size_t line = from + strcspn(text + from, "\n");
    size_t end = line + (text[line] == '\n');
    if (t->s.step == TASK_STEP_LINE) return end;
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
    return t->s.mistakes != TASK_NO_MISTAKES;
}

bool task_make_mistake(const task *t, const problem *p, const task_mistake_place *place, rng_key_t key,
                       text_buffer *out, size_t *changed) {
    return task_makes_mistakes(t) && numeric_mistake(p, place, key, out, changed);
}

/* ---- Self-evaluation ---- */

/* The parts that all problems share come first, so that their keys and values are computed once. What follows
 * the steps is computed for every step, so it is short: the meaning of the verdicts is in the prefix. The
 * question begins with a newline, for a chain that stopped within a line. */
void task_judge_prefix(const task *t, const problem *p, bool with_example, text_buffer *out) {
    text_printf(out, "%s%s", t->s.judge_instruction, t->s.judge_question_head);
    task_question(t, p, out);
    text_puts(out, "\n");
    const char *example = p->example ? p->example : p->rationale;
    if (with_example && example) text_printf(out, "%s%s\n", t->s.judge_example_head, example);
    text_puts(out, t->s.judge_steps_head);
}

const char *task_judge_question(const task *t) {
    return t->s.judge_question;
}

const char *task_judge_answer(const task *t) {
    return t->s.judge_answer;
}

const char *task_verdict(const task *t, bool correct) {
    return correct ? t->s.judge_correct : t->s.judge_incorrect;
}
