/* Preference learning from a file of pairs, without a run: reading, references, batches, updates. */
#ifndef ESPALIER_LOOP_LEARN_FILE_H
#define ESPALIER_LOOP_LEARN_FILE_H

#include "base/observer.h"
#include "learn/pairs.h"
#include "learn/update_loop.h"
#include "recipe/recipe.h"
#include "text/tokenizer.h"

#include <signal.h>

typedef struct {
    const recipe *recipe;       /* its groups learn and model; learn.loss is of pairs */
    model *model;               /* trainable; at the end it has the trained weights, or their average */
    const tokenizer *tokenizer; /* NULL: the rows must be ids */
    const char *path;           /* the pairs: JSONL, plain or .gz; "-": standard input */
    bool shuffle;               /* rows in a seeded order, a different one in each epoch */
    bool append_end;            /* texts that end get the chat template's end token */
    pairs_boundary boundary;    /* between the texts of a prompt and of its completions */
    observer observer;
    const volatile sig_atomic_t *stop; /* set from outside: ESP_INTERRUPTED; may be NULL */
    /* Called after each update. */
    esp_status (*updated)(void *context, const update_report *u, esp_error *error);
    void *context;
} learn_file_job;

esp_status learn_file(const learn_file_job *job, esp_error *error);

#endif
