/* The command line: `espalier VERB [options] [positionals]`, parsed from tables. A verb's own options fill
 * its own plain struct (base/options.h). Flags from the recipe's table, and --set a.b=v, become overrides of
 * a recipe. A misspelt name is an error (ESP_USAGE) that suggests the nearest name. */
#ifndef ESPALIER_APP_CLI_H
#define ESPALIER_APP_CLI_H

#include "recipe/recipe.h"

typedef struct {
    const char *name;        /* "run" */
    const char *summary;     /* one line */
    const char *positionals; /* as shown in the usage: "RECIPE.yaml"; NULL: none */
    int least, most;         /* how many positionals; most -1: any number */
    option_table options;    /* the verb's own flags. One whose .key is set is another name of that recipe key
                                and has no field. An own flag hides a    recipe flag of the same name */
    const char *recipe_groups; /* groups of recipe keys whose flags the verb accepts ("run model data"). A
                                 flag that occurs in several of them is an error that names their keys. NULL:
                                 the verb takes no recipe and no --set */
    const char *about;         /* longer text for --help; may be NULL */
} cli_verb;

typedef struct {
    bool help, json;    /* --help or -h, --json: every verb has them */
    char **positionals; /* borrowed from argv */
    int positional_count;
    recipe_override *overrides; /* in the order given */
    int override_count;
    arena *memory;
} cli_arguments;

/* Finds the verb that argv[1] names. An unknown or missing verb is ESP_USAGE; the message suggests the
 * nearest. */
esp_status cli_find_verb(const cli_verb **out, const cli_verb *verbs, int n, int argc, char **argv,
                         esp_error *error);

/* Parses argv[2...] into `own` (the verb's struct: set to its defaults first; NULL where it has no options)
 * and *out.
 * Forms: --flag value, --flag=value, --switch, --no-switch. `--` ends the options; `-` is a positional. With
 * --help nothing is required. On failure (ESP_USAGE) there is nothing to free. */
esp_status cli_parse(cli_arguments *out, const cli_verb *verb, void *own, int argc, char **argv,
                     esp_error *error);
void cli_free(cli_arguments *a, const cli_verb *verb, void *own);

/* Whether the flag of this row of the recipe's table means it on the verb's command line. */
bool cli_flag_fits(const cli_verb *verb, option_table table, const option *o);

/* The text of `espalier VERB --help` and of `espalier --help`; width in columns. */
void cli_verb_help(const cli_verb *verb, int width, text_buffer *out);
void cli_overview(const cli_verb *verbs, int n, text_buffer *out);

#endif
