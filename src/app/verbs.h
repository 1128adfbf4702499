/* The verbs of the program. A verb is a description for the parser (app/cli.h), the size of its options
 * struct, and a function. Results go to standard output, progress and logs to standard error; a verb returns
 * a status and main prints the error. */
#ifndef ESPALIER_APP_VERBS_H
#define ESPALIER_APP_VERBS_H

#include "app/cli.h"

typedef struct {
    cli_verb cli;
    size_t own_size; /* size of the struct that cli.options fill; 0: no options */
    esp_status (*run)(const cli_arguments *arguments, void *own, esp_error *error);
} app_verb;

extern const app_verb verb_run, verb_sft, verb_search, verb_train, verb_eval;
extern const app_verb verb_generate, verb_score, verb_tokenize, verb_grade, verb_prompt;
extern const app_verb verb_pairs, verb_import, verb_export, verb_plan, verb_bench, verb_problems, verb_show,
    verb_status, verb_check, verb_report, verb_sweep, verb_compare, verb_theory, verb_curves;

#endif
