/* The manual page espalier(1), written from the tables of verbs, options and recipe keys: `espalier help
 * --man`. */
#ifndef ESPALIER_APP_MANUAL_H
#define ESPALIER_APP_MANUAL_H

#include "app/cli.h"

/* Appends the page as troff with the man macros. */
void manual_page(const cli_verb *verbs, int n, const char *version, text_buffer *out);

#endif
