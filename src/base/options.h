/* Options: one description of a setting serves the recipe file, `--set a.b=v`, the command-line flag, the
 * manual and the error messages. A table of options describes the fields of one plain struct (by offset);
 * this file parses text into such a struct, writes it back, and finds the nearest name for a misspelt one.
 *
 * A table can be composed of the tables of several modules (options_compose): each module describes its own
 * struct, and the composed table describes a larger struct that contains them. Some of these modules may be
 * alternatives, one of which is chosen by the value of an enumeration (`search.rule: puct`): their structs
 * share one place, and only the rows of the chosen one apply. */
#ifndef ESPALIER_BASE_OPTIONS_H
#define ESPALIER_BASE_OPTIONS_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

typedef enum {
    OPTION_INT,    /* int64_t */
    OPTION_FLOAT,  /* double, finite */
    OPTION_BOOL,   /* bool; as a flag it takes no value: --offline, --no-offline */
    OPTION_STRING, /* char *, owned by the struct, never NULL */
    OPTION_PATH,   /* char *, as OPTION_STRING */
    OPTION_ENUM,   /* a C enum (int sized) that counts its names from 0 */
} option_type;

enum {
    OPTION_REQUIRED = 1,  /* a verb's own flag that must be given */
    OPTION_ABOVE_LOW = 2, /* the range is open at its low end */
    OPTION_FREE = 4,      /* a recipe key that may differ between a run and its --resume */
    OPTION_REPEATED = 8,  /* a verb's own OPTION_STRING that may be given again: one value per line */
    OPTION_LIST = 16,     /* an OPTION_STRING with one value per line; a file may write a list */
    OPTION_ROWS = 32,     /* an OPTION_STRING of JSON rows, one per line; a file may write a list of maps */
    OPTION_LATER = 64,    /* a recipe key that a run may change on the way (loop/recipe_change.h) */
};

typedef struct {
    const char *key;  /* name in a recipe, in a composed table with its group ("search.simulations"); NULL for
                         a verb's own flag */
    const char *flag; /* "--simulations", or NULL. A flag may occur again under another group of keys */
    option_type type;
    const char *choices;              /* OPTION_ENUM: its names, "bf16|f32" */
    const char *(*choice)(int value); /* or a function that names them; NULL past the last */
    const char *(*about)(int value);  /* one line on each for the manual, or NULL */
    const char *initial;              /* the default, as text; NULL reads as 0, false or "" */
    double low, high;                 /* numbers: the range, ends included; unchecked when both are 0 */
    unsigned marks;                   /* OPTION_REQUIRED... */
    size_t offset;                    /* of the field in the struct */
    const char *help;                 /* one line */
    const char *chooser; /* set by options_compose: the row applies only where the option with this key */
    int chosen;          /* has this value; NULL: always */
} option;

typedef struct {
    const option *at;
    int count;
} option_table;

/* A table as part of a larger one. */
typedef struct {
    const char *group;   /* goes before each key, with a dot; NULL: nothing */
    option_table rows;   /* of a struct that */
    size_t base;         /* begins here in the larger one */
    const char *chooser; /* whole key of the enumeration that chooses between this part and others, or NULL */
    int chosen;          /* the value that chooses this one */
} option_part;

/* A place for the options of whichever alternative is chosen. No alternative may have texts or paths, which
 * would have to be freed when the choice changes. */
typedef union {
    double aligned;
    unsigned char bytes[256];
} option_space;

/* The table of all parts, in their order. Alternatives may have rows with the same key and flag. */
option_table options_compose(const option_part *parts, int n, arena *memory);

/* Whether a row of a composed table applies to `target`, given what is chosen there. */
bool option_applies(option_table table, const option *o, const void *target);
/* The row with this key that applies to `target`, or NULL. */
const option *option_in_use(option_table table, const char *key, const void *target);
/* "search.rule gumbel", or "learn.loss dpo, ipo or dpop": when a row, and those of other alternatives with
 * the same key, default and help, apply. Nothing for a row that always does. */
void option_condition(option_table table, const option *o, text_buffer *out);
/* Whether an earlier row has the same key, default and help, for another alternative. */
bool option_is_repeated(option_table table, const option *o);

/* The first option of this key, or NULL. */
const option *option_by_key(option_table table, const char *key);

/* Whether a key is of one of the groups ("run sft": words). groups or key NULL: true. */
bool option_in_groups(const char *key, const char *groups);

/* The option with this flag in the first of the named groups ("run sft": words) that has it, or NULL. groups
 * NULL: in the whole table. A switch is also found by --no-flag; *negated (may be NULL) says so. */
const option *option_by_flag(option_table table, const char *flag, const char *groups, bool *negated);

/* How many keys of the named groups this flag may mean; their names, joined by `between`, are appended to
 * *out (may be NULL). */
int option_meanings(option_table table, const char *flag, const char *groups, const char *between,
                    text_buffer *out);

/* The nearest of n names by edit distance (insert, delete, replace, swap neighbours), or NULL when none is
 * near. */
const char *name_nearest(const char *const *names, int n, const char *name);
const char *option_nearest_key(option_table table, const char *key);

/* Sets the field of `target` from text; on a wrong type or range the error says what is wanted
 * ("search.simulations must be a whole number from 1 to 100000, not "five""), and the field is left alone. */
esp_status option_set(const option *o, void *target, const char *text, esp_error *error);
/* Whether the field holds what option_set would accept; strings always do. */
esp_status option_check(const option *o, const void *target, esp_error *error);
/* What option_set would accept, in words: "a whole number from 1 to 100000", "one of bf16, f32". */
void option_wants(const option *o, text_buffer *out);
/* The field as text that option_set reads back to the same bits. */
void option_get(const option *o, const void *target, text_buffer *out);
/* The name of an enum's value, borrowed into buffer. */
const char *option_choice(const option *o, int value, char *buffer, size_t size);

/* All fields to their defaults, in a target that was zeroed before or has been filled already. */
void options_defaults(option_table table, void *target);
/* Only the fields of the alternatives that are chosen in `target`: for when a choice has changed. */
void options_defaults_of_choice(option_table table, void *target);
/* The default as it is shown: line ends as \n. Nothing where there is none. */
void option_initial(const option *o, text_buffer *out);
/* Frees the strings. */
void options_free(option_table table, void *target);

/* Manual text, a paragraph an option: flag or key, type and range, default, help; wrapped to `width` columns.
 * Keys are shown only of the groups named ("run data": words; NULL for all), without a flag that may mean
 * several of them. */
void options_manual(option_table table, const char *groups, int width, text_buffer *out);

#endif
