/* espalier problems: prints the problems of a file or a generator as JSON lines. */
#include "app/output.h"
#include "app/verbs.h"
#include "formats/json.h"
#include "task/task.h"

typedef struct {
    char *task;
} problems_flags;

static const option problems_options[] = {
    {.flag = "--task",
     .type = OPTION_STRING,
     .initial = "arith",
     .offset = offsetof(problems_flags, task),
     .help = "the task that reads or makes the problems"},
};

static esp_status problems_run(const cli_arguments *arguments, void *own, esp_error *error) {
    const problems_flags *flags = own;
    task *t;
    ESP_TRY(task_open(&t, flags->task, error));
    problem_set set;
    esp_status status = task_read(t, arguments->positionals[0], &set, error);
    for (int64_t i = 0; i < set.count && status == ESP_OK; i++) {
        const problem *p = &set.at[i];
        status = output_json(json_pack("{s:s, s:s, s:s?, s:s}", "id", p->id, "question", p->question,
                                       "answer", p->raw, "gold", p->gold),
                             17, error);
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
                "SOURCE is a file in the task's format, or generate:level=easy,split=test,count=10 (task\n"
                "arith: levels easy, rare, mixed; splits train, dev, test; seed=N; flaws=X). Prints lines\n"
                "{\"id\", \"question\", \"answer\", \"gold\"}."},
    .own_size = sizeof(problems_flags),
    .run = problems_run,
};
