/* What tests share: the check of a call, where the outside data lies, and how a test that lacks it says so.
 */
#ifndef ESPALIER_TESTS_SUPPORT_H
#define ESPALIER_TESTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* Fails the test, with what was said, where a call does not return ESP_OK. Every file that uses it has one
 * `static esp_error error`, which its calls write to. */
#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != ESP_OK) fail_msg("%s: %s (%s)", #call, error.message, error.hint);                     \
    } while (0)

/* Folder of goldens and data sets that are not part of the project: $ESPALIER_SHARED, else ../shared. */
static inline const char *shared_folder(void) {
    const char *named = getenv("ESPALIER_SHARED");
    return named && *named ? named : ESPALIER_SOURCE_DIR "/../shared";
}

/* Path of a file in it, in a buffer that the next call overwrites. Skips the running test, by name and
 * loudly, where the file is absent; in CI (environment CI) that is a failure. */
#define SHARED_PATH(relative) shared_path_(relative, __func__)
static inline const char *shared_path_(const char *relative, const char *test) {
    static char path[8][4096];
    static int turn;
    char *p = path[turn = (turn + 1) % 8];
    snprintf(p, sizeof path[0], "%s/%s", shared_folder(), relative);
    if (access(p, R_OK) == 0) return p;
    fprintf(stderr, "SKIPPED: %s needs %s\n", test, p);
    if (getenv("CI")) fail_msg("%s is absent in CI", p);
    skip();
    return NULL;
}

#endif
