/* Options: one description of a setting serves the recipe file, `--set a.b=v`, the command-line flag, the
 * manual and the error messages. A table of options describes the fields of one plain struct (by offset);
 * this file parses text into such a struct, writes it back, and finds the nearest name for one that is
 * misspelt. */
#ifndef ESPALIER_BASE_OPTIONS_H
#define ESPALIER_BASE_OPTIONS_H

#include "base/error.h"
#include "base/memory.h"

#include <stdbool.h>

typedef enum {
    OPTION_INT,    /* int64_t */
    OPTION_FLOAT,  /* double, finite */
    OPTION_BOOL,   /* bool; as a flag it stands alone: --offline, --no-offline */
    OPTION_STRING, /* char *, owned by the struct, never NULL */
    OPTION_PATH,   /* char *, as OPTION_STRING */
    OPTION_ENUM,   /* a C enum (int sized) that counts `choices` from 0 */
} option_type;

enum {
    OPTION_REQUIRED = 1,  /* a verb's own flag that must be given */
    OPTION_ABOVE_LOW = 2, /* the range is open at its low end */
    OPTION_FREE = 4,      /* a recipe key that may differ between a run and its --resume */
    OPTION_REPEATED = 8,  /* a verb's own OPTION_STRING that may be given again: values a line each */
};

typedef struct {
    const char *key;  /* dotted name in a recipe ("search.simulations"); NULL for a verb's own flag */
    const char *flag; /* "--simulations", or NULL. A flag may occur again under another group of keys */
    option_type type;
    const char *choices; /* OPTION_ENUM: "bf16|f32" */
    const char *initial; /* the default, as text; NULL reads as 0, false or "" */
    double low, high;    /* numbers: the range, ends included; unchecked when both are 0 */
    unsigned marks;      /* OPTION_REQUIRED... */
    size_t offset;       /* of the field in the struct */
    const char *help;    /* one line */
} option;

typedef struct {
    const option *at;
    int count;
} option_table;

/* The option of this key or flag, or NULL. */
const option *option_by_key(option_table table, const char *key);

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
/* What option_set would accept, in words: "a whole number from 1 to 100000", "one of bf16, f32". */
void option_wants(const option *o, text_buffer *out);
/* The field as text that option_set reads back to the same bits. */
void option_get(const option *o, const void *target, text_buffer *out);
/* The name of an enum's value, borrowed into buffer. */
const char *option_choice(const option *o, int value, char *buffer, size_t size);

/* All fields to their defaults (target zeroed before), and the strings freed. */
void options_defaults(option_table table, void *target);
void options_free(option_table table, void *target);

/* Manual text, a paragraph an option: flag or key, type and range, default, help; wrapped to `width` columns.
 * Keys are shown only of the groups named ("run data": words; NULL for all), without a flag that may mean
 * several of them. */
void options_manual(option_table table, const char *groups, int width, text_buffer *out);

#endif
