/* The many ways to write one thing, made one: Unicode and LaTeX as people and models write them become the
 * ASCII that the parser reads. Digits of all scripts become 0 to 9, every minus "-", every times "*",
 * superscripts
 * "^{...}"; sizes, fonts, colours and delimiters of mathematics go away. The tables are in symbols.c. */
#ifndef ESPALIER_GRADE_CLEAN_H
#define ESPALIER_GRADE_CLEAN_H

#include "base/memory.h"

/* What has no ASCII of its own. These bytes of the input become spaces, so they can mean nothing else. */
#define CLEAN_SET_OPEN    '\x02' /* \{ */
#define CLEAN_SET_CLOSE   '\x03'
#define CLEAN_WORDS_OPEN  '\x0e' /* \text{ */
#define CLEAN_WORDS_CLOSE '\x0f'
#define CLEAN_COMMA       '\x1d' /* a comma inside a number for certain: "{,}" and ",\!" */
#define CLEAN_TIGHT_SPACE '\x1f' /* a space that does not end a number: fixed, narrow, "\," */

typedef MEM_LIST(uint32_t) clean_places;
/* Appends text[0, length), any bytes, to *out. Linear time; at most 12 bytes for each byte. places, which may
 * be NULL, gets for each byte of *out where in the text it is from, and the length after the last. */
void clean_text(const char *text, size_t length, text_buffer *out, clean_places *places);

#endif
