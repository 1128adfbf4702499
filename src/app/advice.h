/* What to do about an error, in the words of the command line: the library's hint, and the flags that do it.
 */
#ifndef ESPALIER_APP_ADVICE_H
#define ESPALIER_APP_ADVICE_H

#include "app/cli.h"

/* Appends nothing where there is nothing to advise. verb: the one that failed; NULL: none was found. */
void advice(const esp_error *error, const cli_verb *verb, text_buffer *out);

#endif
