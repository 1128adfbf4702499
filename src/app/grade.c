/* espalier grade: finds the answers in texts and grades them, or has them graded. */
#include "app/output.h"
#include "app/stop.h"
#include "app/task_flags.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "grader/grader.h"
#include "task/task.h"

static const option grade_options[] = {TASK_FLAG_ROWS("gsm8k")};

/* ---- by the task ---- */

static esp_status grade_rows(const task *t, jsonl_reader *reader, esp_error *error) {
    for (;;) {
        json_t *row, *result;
        ESP_TRY(jsonl_next(reader, &row, error));
        if (!row) return ESP_OK;
        ESP_TRY(task_grade_row(t, row, jsonl_where(reader), &result, error));
        ESP_TRY(output_json(result, 17, error));
    }
}

/* ---- by a grader from outside ---- */

/* A row whose verdict is awaited. */
typedef struct {
    int64_t ticket;
    char *extracted; /* the answer that the task finds; NULL: none */
} asked_row;

typedef struct {
    const task *task;
    grader *grader;
    jsonl_reader *reader;
    asked_row *rows; /* a ring of `size`: first .. first + count - 1 are awaited */
    int64_t size, first, count;
} grading;

static esp_status ask(grading *g, const json_t *row, esp_error *error) {
    arena *memory = arena_new();
    problem p;
    const char *answer;
    esp_status status = task_row_problem(g->task, row, jsonl_where(g->reader), memory, &p, &answer, error);
    if (status == ESP_OK) {
        size_t length = json_string_length(json_object_get(row, "answer"));
        task_answer *found = task_answer_find(g->task, &p, answer, length);
        asked_row asked = {.ticket = grader_ask(g->grader, &p, answer, length),
                           .extracted = found ? task_answer_show(g->task, &p, found) : NULL};
        g->rows[(g->first + g->count++) % g->size] = asked;
        mem_free(found);
    }
    arena_free(memory);
    return status;
}

/* Writes the verdict of the first row that is awaited. */
static esp_status answer_first(grading *g, esp_error *error) {
    asked_row *row = &g->rows[g->first % g->size];
    grader_verdict v;
    ESP_TRY(grader_take(g->grader, row->ticket, &v, error));
    json_t *out =
        json_pack("{s:s?, s:s, s:b, s:s?}", "extracted", row->extracted, "verdict",
                  task_verdict_word(v.verdict), "correct", v.verdict == GRADE_EQUAL, "reason", v.reason);
    if (v.scored) json_object_set_new(out, "reward", json_real(v.reward));
    mem_free(row->extracted);
    row->extracted = NULL;
    g->first++;
    g->count--;
    return output_json(out, 17, error);
}

static esp_status ask_rows(grading *g, esp_error *error) {
    for (;;) {
        json_t *row;
        ESP_TRY(jsonl_next(g->reader, &row, error));
        if (!row) break;
        if (g->count == g->size) ESP_TRY(answer_first(g, error));
        ESP_TRY(ask(g, row, error));
    }
    while (g->count > 0) ESP_TRY(answer_first(g, error));
    return ESP_OK;
}

/* As many rows are asked at once as keep the grader busy. */
static esp_status have_graded(const task *t, jsonl_reader *reader, esp_error *error) {
    grader_settings set = grader_settings_of(task_grading_of(t));
    int64_t each = set.kind == GRADER_HTTP ? 1 : set.in_flight;
    grading g = {.task = t, .reader = reader, .size = 2 * set.workers * each};
    stop_install();
    set.stop = stop_flag();
    ESP_TRY(grader_open(&g.grader, &set, error));
    g.rows = MEM_ARRAY(asked_row, g.size);
    esp_status status = ask_rows(&g, error);
    for (int64_t i = 0; i < g.size; i++) mem_free(g.rows[i].extracted);
    mem_free(g.rows);
    grader_close(g.grader);
    return status;
}

/* ---- the verb ---- */

static esp_status grade_run(const cli_arguments *arguments, void *own, esp_error *error) {
    task *t;
    jsonl_reader *reader;
    ESP_TRY(task_flags_open(own, &t, error));
    esp_status status =
        jsonl_open(&reader, arguments->positional_count ? arguments->positionals[0] : "-", error);
    if (status == ESP_OK) {
        bool outside = task_grading_of(t)->grader != TASK_GRADES;
        status = outside ? have_graded(t, reader, error) : grade_rows(t, reader, error);
        jsonl_close(reader);
    }
    task_free(t);
    return status;
}

const app_verb verb_grade = {
    .cli = {.name = "grade",
            .summary = "find the answers in texts and grade them",
            .positionals = "[FILE.jsonl|-]",
            .most = 1,
            .options = {grade_options, sizeof grade_options / sizeof *grade_options},
            .about = "Lines {\"answer\", \"gold\"} become lines {\"extracted\", \"verdict\", \"correct\", "
                     "\"reason\"}; the verdict is equal, different or unknown.\n"
                     "For multiple choice add \"options\", as espalier problems prints them: without "
                     "them only\nlabels are found.\n"
                     "A grader that the task names (task.grader) gets the whole "
                     "lines."},
    .own_size = sizeof(task_flags),
    .run = grade_run,
};
