/* Checkpoints of a run: folders under checkpoints/ in Hugging Face layout with the optimizer's state beside,
 * written aside, synced, and renamed, so that a folder that is there is whole. */
#ifndef ESPALIER_LOOP_CHECKPOINT_H
#define ESPALIER_LOOP_CHECKPOINT_H

#include "recipe/session.h"

/* Writes run/checkpoints/name: f32 weights, tokenizer, and, where t is not NULL, optimizer state. */
esp_status checkpoint_write(const char *run, const char *name, const session *s, const model *m,
                            const trainer *t, esp_error *error);
/* Fills the model, and, where t is not NULL and the state is there, the optimizer. */
esp_status checkpoint_read(const char *run, const char *name, model *m, trainer *t, esp_error *error);
/* Removes what a kill may have left, the checkpoints in the middle of a phase ("-at-" in the name) except
 * `keep`, and the optimizer state of all but `keep`. */
esp_status checkpoint_tidy(const char *run, const char *keep, esp_error *error);
char *checkpoint_path(const char *run, const char *name); /* freed by mem_free */

#endif
