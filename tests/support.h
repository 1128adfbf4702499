/* What tests share: the check of a call, where their data is, and how a test without SmolLM2 says so. */
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

/* Fails the test, with the error's message, if a call does not return ESP_OK. Every file that uses it has one
 * `static esp_error error`, which its calls write to. */
#define OK(call)                                                                                             \
    do {                                                                                                     \
        if ((call) != ESP_OK) fail_msg("%s: %s (%s)", #call, error.message, error.hint);                     \
    } while (0)

/* Folder of models, tokenizers and expected numbers; each has a SOURCE.md. */
#define TEST_DATA ESPALIER_SOURCE_DIR "/tests/data"

/* The path of a file that a test writes, and removes: in $TMPDIR, of this process alone. */
static inline void test_path(char *out, size_t size, const char *name) {
    const char *folder = getenv("TMPDIR");
    snprintf(out, size, "%s/espalier-%d-%s", folder && *folder ? folder : "/tmp", (int)getpid(), name);
}

/* SmolLM2-135M-Instruct: $ESPALIER_SMOLLM2, else what tools/get-smollm2 wrote. Skips the running test, by
 * name, where it is absent; in CI (environment CI) that is a failure. */
static inline const char *smollm2_path(void) {
    const char *named = getenv("ESPALIER_SMOLLM2");
    const char *path = named && *named ? named : ESPALIER_SOURCE_DIR "/models/smollm2-135m-instruct.gguf";
    if (access(path, R_OK) == 0) return path;
    fprintf(stderr, "SKIPPED: needs %s (tools/get-smollm2)\n", path);
    if (getenv("CI")) fail_msg("%s is absent in CI", path);
    skip();
    return NULL;
}

#endif
