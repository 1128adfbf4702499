/* A run goes on with another recipe (run --resume --iterations 20): the keys marked OPTION_LATER may change
 * on the way. What was done stays as it was; what comes is done by the new values. The run's first recipe
 * stays in recipe.yaml, the one after the n-th change is recipe-(n+1).yaml, and the store says which counts:
 * so a kill leaves either the old one or the new one. Each change is kept as an event of kind RECIPE_CHANGED.
 */
#ifndef ESPALIER_LOOP_RECIPE_CHANGE_H
#define ESPALIER_LOOP_RECIPE_CHANGE_H

#include "loop/phase_order.h"

#define RECIPE_CHANGED "changed"

/* Name of the file in the run's folder that holds its present recipe; freed by mem_free. */
esp_status recipe_file_name(store *s, char **out, esp_error *error);

/* Records what `wanted` changes of the run's present recipe, if anything, and moves the position of a run
 * that was done to its next iteration. The two differ in keys that may change alone (provenance_recipe). An
 * error, and nothing changes, where a key is in use: in the middle of a search what decides its problems, in
 * the middle of learning those of learn; where run.iterations is less than what was begun; and where nothing
 * would come of the change, because the run is done. told: appends "learn.lr: 1e-05 there, 2e-05 here" per
 * key. */
esp_status recipe_change(store *s, const recipe *wanted, int phases, text_buffer *told, esp_error *error);

#endif
