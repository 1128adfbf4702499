/* Where a run came from: the working folder it was begun in, which its recipe's relative paths mean wherever
 * it is resumed from, and what its problems and its model were. The recipe keeps the paths as they were
 * written; folder and contents are kept as meta of the store. */
#ifndef ESPALIER_LOOP_PROVENANCE_H
#define ESPALIER_LOOP_PROVENANCE_H

#include "recipe/session.h"
#include "store/store.h"

/* The recipe to run: r itself for a new run. To continue a run, r is compared with the recipe in `folder`; it
 * is an error if they differ in a key that decides results, but a path may be spelt differently if it is the
 * same file. Relative paths are relative to the folder where the run was started, unless the file exists only
 * here (a run that was moved). A run without recipe.yaml counts as new. Freed by recipe_free. */
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

/* Compares problems and model with those that the run started with, and stores the hashes that are missing (a
 * new run, or one of an older version). Fails if one has changed. */
esp_status provenance_check_contents(const session *s, store *run, esp_error *error);

#endif
