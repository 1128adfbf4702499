/* UTF-8, as RFC 3629 has it. */
#ifndef ESPALIER_BASE_UTF8_H
#define ESPALIER_BASE_UTF8_H

#include <stddef.h>

/* Length in bytes of the character at text (1 to 4), of which `length` bytes are left; 0 if the bytes are not
 * valid UTF-8. */
size_t utf8_length(const char *text, size_t length);

#endif
