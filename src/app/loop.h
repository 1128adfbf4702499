/* Shared by the verbs that carry out recipes: run, sft, search, sweep. */
#ifndef ESPALIER_APP_LOOP_H
#define ESPALIER_APP_LOOP_H

#include "app/cli.h"

typedef struct {
    int phases; /* the phases to carry out (loop/run.h) */
    bool resume;
    bool changes;  /* with resume: keys that may change on the way are taken over */
    bool unshared; /* the search shares nothing between sequences */
} loop_request;

/* Carries out those phases of the recipe in `folder`, shown on standard error while it works, and writes the
 * report if all phases are among them. *page: the report's path (freed by mem_free), or NULL. */
esp_status loop_carry_out(const recipe *r, const char *folder, loop_request options, char **page,
                          esp_error *error);
/* The same with the recipe that the command line names, and prints a summary. */
esp_status loop_run(const cli_arguments *arguments, loop_request options, esp_error *error);

#endif
