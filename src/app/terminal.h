/* What a stream can show, according to its terminal and the environment (TERM, NO_COLOR, COLUMNS, the
 * locale). */
#ifndef ESPALIER_APP_TERMINAL_H
#define ESPALIER_APP_TERMINAL_H

#include "view/display.h"

#include <stdio.h>

/* Whether the stream is a terminal that can move its cursor: isatty, and TERM is not "dumb". */
bool terminal_is_live(FILE *stream);
/* Columns of the terminal, at least 20; `without` if the stream is no terminal and COLUMNS is not set. */
int terminal_width(FILE *stream, int without);
bool terminal_locale_is_utf8(void);
/* Colour on a live terminal unless NO_COLOR is set. Unicode if the locale is UTF-8, and always in files and
 * pipes. */
display terminal_display(FILE *stream, int width_without);

/* Writes untrusted text, without its control characters. */
void terminal_put(FILE *stream, const char *text);

#endif
