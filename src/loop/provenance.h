/* Where a run came from: the working folder it was begun in, which its recipe's relative paths mean wherever
 * it is resumed from, and what its problems and its model were. The recipe keeps the paths as they were
 * written; folder and contents are kept as meta of the store. */
#ifndef ESPALIER_LOOP_PROVENANCE_H
#define ESPALIER_LOOP_PROVENANCE_H

#include "recipe/session.h"
#include "store/store.h"

/* The recipe that a call works by: r itself for a new run. To go on with a run, it is held against the one in
 * `folder`, where a path may be written otherwise if it is the same file, and fails where they differ in a
 * key that decides results; relative paths become those of the folder the run was begun in, unless there is
 * nothing there and something here (a run that was moved). A run without recipe.yaml counts as new. Freed by
 * recipe_free. */
esp_status provenance_recipe(const recipe *r, const char *folder, bool resume, recipe **out,
                             esp_error *error);

/* The recipe of a run to read it by, its paths as above. */
esp_status provenance_read_recipe(const char *folder, recipe **out, esp_error *error);

/* Keeps the working folder; a run's first call. */
esp_status provenance_record_folder(store *s, esp_error *error);

/* Hash of what a run reads of its problems: questions, gold answers, rationales, in order. 0 for none. */
uint64_t provenance_problems_hash(const problem_set *set);
/* Hash of a model's files: configuration, tokenizer, weights (of a weights file above 512 MiB its size and 64
 * pieces of 1 MiB spread over it). path: a folder in Hugging Face layout, or a GGUF file. */
esp_status provenance_model_hash(const char *path, uint64_t *out, esp_error *error);

/* Holds problems and model against those that the run began with, and keeps what was not kept yet (a new run,
 * a run of an older program). Fails where one has changed: the rest of the run would be another one's. */
esp_status provenance_check_contents(const session *s, store *run, esp_error *error);

#endif
