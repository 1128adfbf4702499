/* Settings as texts, and where each was read: what a YAML file says before anything is resolved. */
#ifndef ESPALIER_FORMATS_SETTINGS_H
#define ESPALIER_FORMATS_SETTINGS_H

#include "base/options.h"

typedef struct {
    const option *option; /* the first row of the table with that key */
    char *value;
    char *where; /* "file:line:column", or the flag */
} setting;
typedef MEM_LIST(setting) settings;
void settings_free(settings *s);

/* What a preset or a task says of itself; both may be NULL, and are freed by the caller. */
typedef struct {
    char *about, *extends;
} yaml_header;

typedef struct {
    const char *name; /* of the text, for errors */
    const char *yaml;
    size_t length;
    option_table table;
    const char *group; /* the text has the keys of this group of the table alone, without its name; "": all */
    yaml_header *header; /* NULL: the text is a recipe and has none */
} settings_source;

/* Appends the settings of a YAML text to *out. An unknown key, a value of the wrong kind (a list, quoted text
 * for a number) and a key given twice are errors with name, line and column; whether a value is in range is
 * found when it is applied. A list becomes lines (OPTION_LIST, OPTION_ROWS). A text in place of a group sets
 * the key of that name in another group, and so does `extends` in it: `task: arc` and `task: {extends: arc}`
 * are `data: {task: arc}`. */
esp_status settings_read_yaml(const settings_source *source, settings *out, esp_error *error);

/* Fails for a key that no option has, with the nearest one. */
esp_status settings_unknown_key(option_table table, const char *where, const char *key, esp_error *error);

/* Sets the field of `target` that a setting is of. A key of another alternative than the chosen one is an
 * error, unless the value is that one's default. Errors name where the setting was read. */
esp_status settings_apply(option_table table, void *target, const setting *s, esp_error *error);
/* Puts the place before the message of an error where its key was read last; false where none of these
 * settings is of the key that the error is about. group: the keys of the error are of this group of the
 * table; "": all. */
bool settings_place(const settings *from, const char *group, esp_error *error);
/* Applies those settings that choose between alternatives, so that the keys of these are known. */
esp_status settings_apply_choices(option_table table, void *target, const settings *from, esp_error *error);
/* Of the others, those whose key is in use where the choices were made (base/options.h); the rest is passed
 * over. */
esp_status settings_apply_chosen(option_table table, void *target, const settings *from, esp_error *error);

#endif
