/* Shared by the verbs that work on a run directory: run, sft, search. */
#ifndef ESPALIER_APP_LOOP_H
#define ESPALIER_APP_LOOP_H

#include "app/cli.h"

typedef struct {
    int phases; /* the phases to carry out (loop/run.h) */
    bool resume;
    bool unshared; /* the search shares nothing between sequences */
} loop_request;

/* Runs those phases of the recipe and prints a summary. */
esp_status loop_run(const cli_arguments *arguments, loop_request options, esp_error *error);

#endif
