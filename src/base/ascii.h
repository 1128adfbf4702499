/* Classes of bytes, whatever the locale. A byte of a character outside ASCII is in none. */
#ifndef ESPALIER_BASE_ASCII_H
#define ESPALIER_BASE_ASCII_H

#include <stdbool.h>

static inline bool is_digit(unsigned char c) {
    return c >= '0' && c <= '9';
}

/* Space, tab, line feed, vertical tab, form feed, carriage return. */
static inline bool is_blank(unsigned char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

#endif
