/* Makes any text safe for a terminal. Text from a model or a data set may contain escape sequences, control
 * characters, invalid UTF-8, marks that change the direction of writing, or be very long. It becomes
 * printable characters with a known width in columns; ESC is shown as a symbol and never sent. Pure functions
 * from text to text. */
#ifndef ESPALIER_VIEW_DISPLAY_H
#define ESPALIER_VIEW_DISPLAY_H

#include "base/memory.h"

#include <stdbool.h>

/* The terminal's capabilities. */
typedef struct {
    bool unicode; /* it displays UTF-8; otherwise non-ASCII characters become ? and drawings use - | + */
    bool colour;
    int width; /* columns of a line */
} display;

/* Appends `n` bytes of text in printable form, on one line. White space and line ends become one space and
 * are removed at both ends. A control character becomes its symbol (U+241B for ESC; ^[ without Unicode).
 * Invalid UTF-8, unassigned characters and marks of writing direction become U+FFFD (?). A character keeps at
 * most four combining marks. */
void display_clean(text_buffer *out, bool unicode, const char *text, size_t n);
/* The same, keeping line ends: for messages of several lines. */
void display_clean_lines(text_buffer *out, bool unicode, const char *text, size_t n);

/* The width in columns of clean text (from display_clean, or drawn without escape sequences). */
int display_columns(const char *text);
/* The length in bytes of the longest beginning of clean text that is at most `width` columns wide. */
size_t display_fit(const char *text, int width);
/* Appends clean text; if it is wider than `width` columns, it is cut and ends in an ellipsis. */
void display_cut(text_buffer *out, bool unicode, const char *text, int width);

/* Wraps clean text at `width` columns, at a space if possible: returns the bytes of the next line (at least
 * one character; 0 at the end). *skip: the bytes of white space to skip after it. */
size_t display_wrap(const char *text, int width, size_t *skip);

/* 1,234,567. */
void display_count(text_buffer *out, int64_t n);
/* "0:07", "1:02:03", "2 d 4 h". */
void display_duration(text_buffer *out, double seconds);

#endif
