/* A folder that a verb writes: it appears whole under its name or not at all. What is written goes into a
 * folder beside it, which is renamed at the end and removed when anything fails. */
#ifndef ESPALIER_APP_OUT_FOLDER_H
#define ESPALIER_APP_OUT_FOLDER_H

#include "base/error.h"

typedef struct {
    char *path, *aside; /* aside: where to write */
    char *made;         /* the topmost folder that had to be made on the way; NULL: none */
} out_folder;

/* Makes the folder aside, so that a place which cannot be written to is known before any work. path may
 * exist if it is empty or holds a model as this program writes one; anything else is refused. */
esp_status out_folder_begin(out_folder *o, const char *path, esp_error *error);
/* Puts it in place; frees. On failure nothing is left behind. */
esp_status out_folder_end(out_folder *o, esp_error *error);
/* Removes what was written; frees. */
void out_folder_abort(out_folder *o);

#endif
