/* espalier grade: finds the answers in texts and grades them. */
#include "app/output.h"
#include "app/task_flags.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "task/task.h"

static const option grade_options[] = {TASK_FLAG_ROWS("gsm8k")};

static esp_status grade_run(const cli_arguments *arguments, void *own, esp_error *error) {
    task *t;
    ESP_TRY(task_flags_open(own, &t, error));
    jsonl_reader *reader;
    esp_status status =
        jsonl_open(&reader, arguments->positional_count ? arguments->positionals[0] : "-", error);
    for (json_t *row, *result; status == ESP_OK;) {
        status = jsonl_next(reader, &row, error);
        if (status != ESP_OK || !row) break;
        status = task_grade_row(t, row, jsonl_where(reader), &result, error);
        if (status == ESP_OK) status = output_json(result, 17, error);
    }
    jsonl_close(reader);
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
                     "\"reason\"}; the verdict is equal, different or unknown."},
    .own_size = sizeof(task_flags),
    .run = grade_run,
};
