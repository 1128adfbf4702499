/* What the verbs that work on a run directory share. */
#ifndef ESPALIER_APP_LOOP_H
#define ESPALIER_APP_LOOP_H

#include "app/cli.h"

typedef struct {
    int phases; /* RUN_ALL or some of them, loop/run.h */
    bool resume;
    bool plain; /* the search computes everything anew (lm_settings) */
} loop_way;

/* Carries out these phases of the recipe that the arguments name, and prints the result. */
esp_status loop_run(const cli_arguments *arguments, loop_way way, esp_error *error);

#endif
