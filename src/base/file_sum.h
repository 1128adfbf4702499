/* SHA-256 of files, as `sha256sum` prints it. */
#ifndef ESPALIER_BASE_FILE_SUM_H
#define ESPALIER_BASE_FILE_SUM_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILE_SUM_SIZE = 65 }; /* 64 hexadecimal digits and the zero */

typedef struct {
    int64_t bytes;
    char sha256[FILE_SUM_SIZE];
} file_sum;

/* Reads the whole file, which must be a regular one (a symbolic link to one will do). */
esp_status file_sum_of(const char *path, file_sum *out, esp_error *error);
/* The same of bytes in memory. */
esp_status file_sum_of_bytes(const void *bytes, size_t length, file_sum *out, esp_error *error);
bool file_sum_equal(const file_sum *a, const file_sum *b);

#endif
