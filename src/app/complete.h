/* What may come next on a command line: for the completion of shells (tools/completion). */
#ifndef ESPALIER_APP_COMPLETE_H
#define ESPALIER_APP_COMPLETE_H

#include "app/cli.h"

/* words: those after the program's name, the last one being typed (may be empty). Appends a line per
 * candidate, "name" or "name<TAB>what it is", all of which begin with what was typed. Nothing: a file is
 * wanted, or a value that cannot be listed. */
void complete_words(const cli_verb *verbs, int n, char *const *words, int count, text_buffer *out);

#endif
