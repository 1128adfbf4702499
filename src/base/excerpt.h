/* The beginning of a text that came from outside, to be quoted in one line. */
#ifndef ESPALIER_BASE_EXCERPT_H
#define ESPALIER_BASE_EXCERPT_H

#include "base/memory.h"

enum { EXCERPT_MOST = 100 };

/* Appends text[0, length), any bytes, as UTF-8 without control characters: line ends and tabs are spaces,
 * what cannot be shown is U+FFFD. At most `most` bytes; "..." says that there is more. */
void excerpt(const char *text, size_t length, size_t most, text_buffer *out);

#endif
