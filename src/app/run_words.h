/* Runs as they are named on the command line: a run's folder, LABEL=RUN, or the folder of a sweep. */
#ifndef ESPALIER_APP_RUN_WORDS_H
#define ESPALIER_APP_RUN_WORDS_H

#include "sweep/comparison.h"

typedef struct {
    arena *memory; /* of the texts */
    MEM_LIST(comparison_input) runs;
    const char *baseline; /* the sweep's; NULL: none */
} run_words;

run_words run_words_new(void);
void run_words_free(run_words *words);
/* Adds what one word names. */
esp_status run_words_add(run_words *words, const char *word, esp_error *error);
/* Adds the runs of a sweep that have begun, but for those that only choose and those that failed. */
esp_status run_words_add_sweep(run_words *words, const char *folder, esp_error *error);

#endif
