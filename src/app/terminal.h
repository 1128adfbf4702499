/* What a stream can show: asked of the terminal behind it and of the environment (TERM, NO_COLOR, COLUMNS,
 * the locale). */
#ifndef ESPALIER_APP_TERMINAL_H
#define ESPALIER_APP_TERMINAL_H

#include "view/display.h"

#include <stdio.h>

/* A terminal that can move its cursor: one by isatty that is not TERM=dumb. */
bool terminal_is_live(FILE *stream);
/* Columns of the terminal, at least 20; `without` where the stream is none and COLUMNS does not say. */
int terminal_width(FILE *stream, int without);
bool terminal_locale_is_utf8(void);
/* Colour on a live terminal unless NO_COLOR is set. Unicode where the locale is UTF-8, and in files and
 * pipes, whose readers decide for themselves. */
display terminal_display(FILE *stream, int width_without);

/* Writes a line or lines of foreign text harmlessly. */
void terminal_put(FILE *stream, const char *text);

#endif
