/* The presets, src/recipe/presets/NAME.yaml, as they are part of the program. A preset has an `about`, may
 * `extend` another one, and gives values to keys of `search` and `learn` (recipe.h). */
#ifndef ESPALIER_RECIPE_PRESETS_H
#define ESPALIER_RECIPE_PRESETS_H

#include <stddef.h>

typedef struct {
    const char *name;
    const char *about; /* its `about` */
    const char *yaml;
    size_t length;
} preset_file;

/* In the order in which help lists them, `default` first; NULL past the last. */
const preset_file *preset_file_at(int index);
/* Of preset `index`, or NULL. */
const char *preset_name(int index);
const char *preset_about(int index);

#endif
