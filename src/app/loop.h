/* What the verbs that work on a run directory share. */
#ifndef ESPALIER_APP_LOOP_H
#define ESPALIER_APP_LOOP_H

#include "app/cli.h"

/* Carries out the parts (run/run.h) of the recipe that the arguments name, and prints what the run came to.
 */
esp_status loop_run(const cli_arguments *arguments, int parts, bool resume, esp_error *error);

#endif
