/* Settings as texts, and where each was read: what a YAML file says before anything is resolved. */
#ifndef ESPALIER_RECIPE_SETTINGS_H
#define ESPALIER_RECIPE_SETTINGS_H

#include "base/options.h"

typedef struct {
    const option *option; /* the first row of the table with that key */
    char *value;
    char *where; /* "file:line:column", or the flag */
} setting;
typedef MEM_LIST(setting) settings;
void settings_free(settings *s);

/* What a preset says of itself; both may be NULL, and are freed by the caller. */
typedef struct {
    char *about, *extends;
} yaml_header;

/* Appends the settings of a YAML text to *out. header NULL: the text is a recipe and has none. An unknown
 * key, a value of the wrong kind (a list, quoted text for a number) and a key given twice are errors with
 * name, line and column; whether a value is in range is found when it is applied. */
esp_status settings_read_yaml(const char *name, const char *yaml, size_t length, option_table table,
                              yaml_header *header, settings *out, esp_error *error);

/* Fails for a key that no option has, with the nearest one. */
esp_status settings_unknown_key(option_table table, const char *where, const char *key, esp_error *error);

#endif
