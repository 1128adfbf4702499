/* The output folder of a verb: it appears complete or not at all. Files are written to a temporary folder
 * next to it, which is renamed at the end, and removed if anything fails. */
#ifndef ESPALIER_APP_OUT_FOLDER_H
#define ESPALIER_APP_OUT_FOLDER_H

#include "base/error.h"

typedef struct {
    char *path, *aside; /* aside: the temporary folder to write to */
    char *made;         /* the topmost parent folder that had to be created; NULL: none */
} out_folder;

/* Creates the temporary folder, so that a place that cannot be written to is an error before any work is
 * done. `path` may exist if it is empty or contains only the files of a model; anything else is refused. */
esp_status out_folder_begin(out_folder *o, const char *path, esp_error *error);
/* Renames the folder to its final name and frees `o`. On failure nothing is left behind. */
esp_status out_folder_end(out_folder *o, esp_error *error);
/* Removes the temporary folder and frees `o`. */
void out_folder_abort(out_folder *o);

#endif
