/* Checkpoints of a run: folders under checkpoints/ in Hugging Face layout (of a run that trains an adapter:
 * the adapter alone, in PEFT's) with the optimizer's state beside, and in a folder `judge` the same of a
 * judge with weights of its own. They are written aside, synced, and renamed, so that a folder that is there
 * is whole. */
#ifndef ESPALIER_LOOP_CHECKPOINT_H
#define ESPALIER_LOOP_CHECKPOINT_H

#include "loop/checkpoint_name.h"
#include "recipe/session.h"
#include "store/store.h"

/* A model as it is kept. */
typedef struct {
    const model *m;   /* NULL: none */
    const trainer *t; /* its optimizer; NULL: is not kept */
} checkpoint_part;

/* Writes run/checkpoints/name: f32 weights and optimizer state of both, and the tokenizer. *files: the sums
 * of all that was written, for run.db. */
esp_status checkpoint_write(const char *run, const char *name, const session *s,
                            const checkpoint_part *policy, const checkpoint_part *judge, store_files *files,
                            esp_error *error);
/* Fills the model, and, where t is not NULL, the optimizer. A checkpoint that was written with the
 * optimizer's state must have it: an optimizer begins again only after SFT, which writes its last checkpoint
 * without. */
esp_status checkpoint_read(const char *run, const char *name, model *m, trainer *t, esp_error *error);
/* The same of the judge that the checkpoint must have. */
esp_status checkpoint_read_judge(const char *run, const char *name, model *m, trainer *t, esp_error *error);
/* Compares checkpoints/ with the store's position, before anything is changed: fails if the position's
 * checkpoint is missing, or its optimizer state where `needs_state`, or if a file of it is not as it was
 * written, or if a later checkpoint is there that only a later position explains, as when run.db was put back
 * without its run.db-wal. *known: whether the checkpoint's sums are known. */
esp_status checkpoint_check(store *s, const store_position *at, bool needs_state, bool *known,
                            esp_error *error);
/* Only the last of these: fails if a later checkpoint is there that the position does not explain. */
esp_status checkpoint_check_place(const store *s, const store_position *at, esp_error *error);
/* Fails if checkpoints/ holds anything that a run wrote: for one that begins. */
esp_status checkpoint_check_none(const char *run, esp_error *error);
/* Removes what a kill may have left, the checkpoints within a phase except the position's, and the optimizer
 * state of all others but that. With RECIPE_KEEP_LAST and RECIPE_KEEP_BEST also the policies of earlier
 * iterations but that of iteration `best` (-1: none), and at the end of the run the last one's optimizer
 * state. What the program has not named stays (loop/checkpoint_name.h).
 */
esp_status checkpoint_tidy(store *s, const store_position *at, recipe_keep policies, int64_t best,
                           esp_error *error);
/* The checkpoint's path below the run's folder, and with the folder; freed by mem_free. */
char *checkpoint_place(const char *name);
char *checkpoint_path(const char *run, const char *name);

#endif
