/* espalier problems: prints the problems of a file or a generator as JSON lines. */
#include "app/output.h"
#include "app/task_flags.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "task/task.h"

static const option problems_options[] = {TASK_FLAG_ROWS("arith")};

static json_t *options_of(const problem *p) {
    json_t *list = json_array();
    for (int32_t i = 0; i < p->option_count; i++)
        json_array_append_new(
            list, json_pack("{s:s, s:s}", "label", p->options[i].label, "text", p->options[i].text));
    return list;
}

static esp_status problems_run(const cli_arguments *arguments, void *own, esp_error *error) {
    task *t;
    ESP_TRY(task_flags_open(own, &t, error));
    problem_set set;
    esp_status status = task_read(t, arguments->positionals[0], &set, error);
    if (status != ESP_OK) error_prefix(error, "task %s (another: --task)", task_name(t));
    for (int64_t i = 0; i < set.count && status == ESP_OK; i++) {
        const problem *p = &set.at[i];
        json_t *row = json_pack("{s:s, s:s, s:s?, s:s}", "id", p->id, "question", p->question, "answer",
                                p->raw, "gold", p->gold);
        if (p->option_count > 0) json_object_set_new(row, "options", options_of(p));
        status = output_json(row, 17, error);
    }
    problem_set_free(&set);
    task_free(t);
    return status;
}

const app_verb verb_problems = {
    .cli = {.name = "problems",
            .summary = "print problems from a file or a generator",
            .positionals = "SOURCE",
            .least = 1,
            .most = 1,
            .options = {problems_options, sizeof problems_options / sizeof *problems_options},
            .about =
                "SOURCE is a file in the format of the task (arith where --task and --recipe name no other), "
                "or generate:level=easy,split=test,count=10 (task\n"
                "arith: levels easy, rare, mixed; splits train, dev, test; seed=N; flaws=X). Prints lines\n"
                "{\"id\", \"question\", \"answer\", \"gold\"}, and \"options\" where there are any."},
    .own_size = sizeof(task_flags),
    .run = problems_run,
};
