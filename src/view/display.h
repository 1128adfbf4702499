/* Any text on a terminal, harmlessly: what a model or a data set wrote may hold escape sequences, control
 * characters, invalid UTF-8, marks that turn the direction of writing, or a megabyte. Here it becomes
 * printable characters with a known width in columns: ESC is shown as a symbol, never sent. Pure: text to
 * text. */
#ifndef ESPALIER_VIEW_DISPLAY_H
#define ESPALIER_VIEW_DISPLAY_H

#include "base/memory.h"

#include <stdbool.h>

/* What the terminal can show. */
typedef struct {
    bool unicode; /* it reads UTF-8; otherwise all that is not ASCII becomes ? and drawings are made of - | +
                   */
    bool colour;
    int width; /* columns of a line */
} display;

/* Appends `n` bytes of text in printable form, on one line: white space and line ends within become one
 * space, and are dropped at both ends; a control character becomes its symbol (U+241B for ESC; ^[ without
 * Unicode), what is not UTF-8, unassigned, or a mark of writing direction becomes U+FFFD (?). A character
 * keeps at most four combining marks. */
void display_clean(text_buffer *out, bool unicode, const char *text, size_t n);
/* The same with lines kept: for messages of several lines. */
void display_clean_lines(text_buffer *out, bool unicode, const char *text, size_t n);

/* Columns that clean text (display_clean's, or our own drawing without escape sequences) takes. */
int display_columns(const char *text);
/* Bytes of the longest beginning of clean text that takes at most `width` columns. */
size_t display_fit(const char *text, int width);
/* Appends clean text, cut to `width` columns with an ellipsis where it is longer. */
void display_cut(text_buffer *out, bool unicode, const char *text, int width);

/* Bytes of the next line of clean text when it is wrapped at `width` columns, at a space where there is one;
 * *skip: bytes of white space to pass over behind it. 0 at the end. At least one character is taken. */
size_t display_wrap(const char *text, int width, size_t *skip);

/* 1,234,567. */
void display_count(text_buffer *out, int64_t n);
/* "0:07", "1:02:03", "2 d 4 h". */
void display_duration(text_buffer *out, double seconds);

#endif
