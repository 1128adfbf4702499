/* Where a run came from: the folder it was started in, which relative paths of its recipe refer to wherever
 * it is resumed from, and hashes of its problems and its model. The recipe keeps the paths as they were
 * written; folder and hashes are kept as meta of the store. */
#ifndef ESPALIER_LOOP_PROVENANCE_H
#define ESPALIER_LOOP_PROVENANCE_H

#include "recipe/session.h"
#include "store/store.h"

typedef enum {
    PROVENANCE_NEW,     /* a new run */
    PROVENANCE_SAME,    /* an old one, by the same recipe */
    PROVENANCE_CHANGED, /* an old one; keys marked OPTION_LATER may differ (loop/recipe_change.h) */
} provenance_how;

/* The recipe that a call uses. For a new run, and for a folder without recipe.yaml, a copy of r. To resume a
 * run, r is compared with the run's present recipe: it is an error if they differ in a key that decides
 * results; a path may be written differently if it is the same file. Relative paths then become paths below
 * the folder where the run was started, unless there is no such file and there is one here (a run that was
 * moved). Freed by recipe_free. */
esp_status provenance_recipe(const recipe *r, const char *folder, provenance_how how, recipe **out,
                             esp_error *error);

/* The recipe of a run that is only read, its paths as above. */
esp_status provenance_read_recipe(const char *folder, recipe **out, esp_error *error);

/* Stores the working folder, for a new run. */
esp_status provenance_record_folder(store *s, esp_error *error);

/* Hash of what a run uses of its problems: questions, gold answers, rationales, in order. 0 for none. */
uint64_t provenance_problems_hash(const problem_set *set);
/* Hash of a model's files: configuration, tokenizer, weights (of a weights file above 512 MiB its size and 64
 * pieces of 1 MiB spread over it). path: a folder in Hugging Face layout, or a GGUF file. */
esp_status provenance_model_hash(const char *path, uint64_t *out, esp_error *error);

/* Compares the hashes of problems, model and chat template (a file of its own) with those that the run
 * started with, and stores those that are not stored yet (a new run, a run of an older program). Fails if one
 * has changed. */
esp_status provenance_check_contents(const session *s, store *run, esp_error *error);

#endif
