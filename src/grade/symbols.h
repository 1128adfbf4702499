/* Tables of what clean.c replaces. */
#ifndef ESPALIER_GRADE_SYMBOLS_H
#define ESPALIER_GRADE_SYMBOLS_H

#include <stddef.h>
#include <stdint.h>

/* The replacement of a Unicode character; NULL where it has none. */
const char *symbol_of_character(uint32_t code);
/* 0 to 9 where the character is a decimal digit of any script, else -1. */
int symbol_digit(uint32_t code);

typedef enum {
    COMMAND_REPLACE, /* by `text` */
    COMMAND_WORDS,   /* its argument is words, not mathematics: \text */
    COMMAND_SIZE,    /* goes away with the dot that may follow: \left. */
    COMMAND_ARGUMENT /* goes away with its argument: \hspace{1em} */
} command_action;

typedef struct {
    const char *name;
    command_action action;
    const char *text;
} command;
/* The LaTeX command of that name (without the backslash); NULL for one that is kept as it is. */
const command *symbol_command(const char *name, size_t length);

#endif
