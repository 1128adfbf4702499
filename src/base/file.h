/* Files: read whole, map, and write atomically: a kill at any moment leaves either the old file or the new
 * one. */
#ifndef ESPALIER_BASE_FILE_H
#define ESPALIER_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Reads the whole file, a regular one of at most LIMIT_TEXT_FILE bytes, and adds a terminating zero; freed by
 * mem_free. */
esp_status file_read(const char *path, char **bytes, size_t *length, esp_error *error);
esp_status file_read_stdin(char **bytes, size_t *length, esp_error *error); /* the same, whatever it is */

/* Opens a file to read that must be a regular one, at the end of any symbolic links: a FIFO, a device or a
 * folder is an error, and never waited for. */
esp_status file_open_regular(const char *path, int *fd, esp_error *error);

/* A read-only mapping. An empty file has `at` NULL and length 0. */
typedef struct {
    const uint8_t *at;
    size_t length;
} file_map;
esp_status file_map_open(file_map *map, const char *path, esp_error *error);
void file_map_close(file_map *map);

/* Atomic write of one file: a temporary file next to the target is written, fsynced and renamed.
 * file_write_begin opens it; write to ->stream with fwrite; file_write_end commits; file_write_abort
 * discards. On failure the temporary file is removed. */
typedef struct {
    FILE *stream;
    char *path, *aside;
} file_writer;
esp_status file_write_begin(file_writer *w, const char *path, esp_error *error);
esp_status file_write_end(file_writer *w, esp_error *error);
void file_write_abort(file_writer *w);
esp_status file_write_all(const char *path, const void *bytes, size_t length, esp_error *error);

bool file_exists(const char *path);
bool file_is_folder(const char *path);
esp_status folder_make(const char *path, esp_error *error); /* and its parents; may already exist */
/* Only the folder itself: its parent must be there, and it must not. */
esp_status folder_make_new(const char *path, esp_error *error);
esp_status folder_remove(const char *path, esp_error *error); /* and its contents; may be absent */
/* Replaces `path` with the finished folder `aside`: fsync of the contents, then in one call both names are
 * exchanged, and the older folder, now `aside`, is removed. A file system without such a call gets two
 * renames: the older folder to PATH.PID.old, then `aside` to `path`. */
esp_status folder_replace(const char *aside, const char *path, esp_error *error);
char *path_join(const char *a, const char *b); /* freed by mem_free */

#endif
