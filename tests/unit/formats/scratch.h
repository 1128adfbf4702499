/* A folder that a test may fill, and a few helpers around it. */
#ifndef ESPALIER_TESTS_FORMATS_SCRATCH_H
#define ESPALIER_TESTS_FORMATS_SCRATCH_H

#include "base/file.h"
#include "base/memory.h"
#include "support.h"

#include <dirent.h>
#include <string.h>

static char scratch_folder[256];

static inline int scratch_make(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(scratch_folder, sizeof scratch_folder, "%s/espalier-formats-XXXXXX",
             base && *base ? base : P_tmpdir);
    return mkdtemp(scratch_folder) ? 0 : -1;
}

static inline int scratch_remove(void **state) {
    (void)state;
    return folder_remove(scratch_folder, NULL) == ESP_OK ? 0 : -1;
}

/* Path of a file in the folder; a buffer of eight turns. */
static inline const char *scratch_path(const char *name) {
    static char path[8][512];
    static int turn;
    char *p = path[turn = (turn + 1) % 8];
    snprintf(p, sizeof path[0], "%s/%s", scratch_folder, name);
    return p;
}

static inline const char *scratch_write(const char *name, const void *bytes, size_t n) {
    const char *path = scratch_path(name);
    FILE *f = fopen(path, "wb"); /* not file_write_all: its fsync is slow, and some tests write thousands */
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

/* Number of entries in the folder. */
static inline int scratch_count(void) {
    DIR *d = opendir(scratch_folder);
    assert_non_null(d);
    int n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

/* The last call failed as ESP_FAILED with a message that holds each of the parts. */
#define ASSERT_FAILED(status, error, ...)                                                                    \
    assert_failed_((status), (error), (const char *const[]){__VA_ARGS__, NULL})
static inline void assert_failed_(esp_status status, const esp_error *error, const char *const *parts) {
    assert_int_equal(status, ESP_FAILED);
    for (; *parts; parts++)
        if (!strstr(error->message, *parts)) fail_msg("\"%s\" is not in: %s", *parts, error->message);
}
#define ASSERT_OK(status, error)                                                                             \
    do {                                                                                                     \
        if ((status) != ESP_OK) fail_msg("%s", (error)->message);                                            \
    } while (0)

#endif
