/* What a task consists of, as plain data: the keys of a recipe's `task` section, which are also those of a
 * task file. A task object is made of it (task_new, task.h). */
#ifndef ESPALIER_TASK_TASK_SETTINGS_H
#define ESPALIER_TASK_TASK_SETTINGS_H

#include "base/options.h"
#include "formats/settings.h"
#include "task/grading.h"

typedef enum { TASK_STEP_LINE, TASK_STEP_SENTENCE } task_step_unit;
typedef enum { TASK_NO_MISTAKES, TASK_NUMBER_MISTAKES } task_mistakes;
typedef enum { TASK_NO_GENERATOR, TASK_ARITH } task_generator;
typedef enum { TASK_OPTIONS_FILE, TASK_OPTIONS_SHUFFLED } task_options_order;
typedef enum { TASK_GOLD_ANSWER, TASK_GOLD_INDEX, TASK_GOLD_NUMBER } task_gold_form;

/* Strings are never NULL. Those that are a list have one entry per line. */
typedef struct {
    char *name;
    /* The fields of a row (field.h) */
    char *id, *question, *gold, *rationale;
    char *options, *option_text, *option_label, *options_pattern;
    int gold_form, options_order; /* task_gold_form, task_options_order */
    char *rationale_remove;
    /* The prompt (template.h) */
    char *system, *instruction, *turn, *plain, *option, *examples;
    /* The answer */
    int step; /* task_step_unit */
    char *ends, *answer_line;
    char *place, *marker, *pattern;
    int kind;                   /* of the list of kinds */
    option_space kind_settings; /* of that kind */
    task_grading grading;
    char *unknown; /* what an answer is worth that cannot be judged: skip, incorrect, or a number */
    /* The judge's prompt */
    char *judge_instruction, *judge_question_head, *judge_example_head, *judge_steps_head;
    char *judge_question, *judge_answer, *judge_incorrect, *judge_correct;
    int mistakes, generator; /* task_mistakes, task_generator */
} task_settings;

/* The keys, without a group. Made in `memory`. */
option_table task_options(arena *memory);

/* Appends what the built-in task or the file of that name gives, what it extends before it. `table` has the
 * keys under `group` ("task"; "": without one). A name that has a slash or ends in .yaml or .yml is a file.
 */
esp_status task_settings_list(const char *name, option_table table, const char *group, settings *out,
                              esp_error *error);
bool task_name_is_file(const char *name);
/* Reads what the settings name in other files into them (`examples`), and names the task after `source`
 * where it has no name. */
esp_status task_settings_complete(task_settings *s, const char *source, esp_error *error);
/* The settings of a built-in task or of a task file; freed by task_settings_free. *given, appended: what is
 * written there, with its places. `table` is that of task_options. */
esp_status task_settings_load(task_settings *out, const char *name, option_table table, settings *given,
                              esp_error *error);
void task_settings_free(task_settings *s);

#endif
