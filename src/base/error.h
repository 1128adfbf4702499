/* Errors: every call that can fail returns an esp_status and fills an esp_error with what failed, where, and
 * what to do about it. ESP_TRY passes a failure up. Only app/ prints or exits. */
#ifndef ESPALIER_BASE_ERROR_H
#define ESPALIER_BASE_ERROR_H

#include "espalier.h"

#include <stdarg.h>

/* Returns a failed status to the caller. The call that failed has filled the esp_error. */
#define ESP_TRY(expr)                                                                                        \
    do {                                                                                                     \
        esp_status esp_try_status = (expr);                                                                  \
        if (esp_try_status != ESP_OK) return esp_try_status;                                                 \
    } while (0)

/* Fills *error with code, a printf-style message (what and where) and a hint (what to do; may be NULL), and
 * returns code, so that a failing function ends in `return error_set(...)`. error may be NULL. */
esp_status error_set(esp_error *error, esp_status code, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The common case: ESP_FAILED. */
#define error_fail(error, hint, ...) error_set((error), ESP_FAILED, (hint), __VA_ARGS__)

/* After error_set: why it failed, for callers that act on it. Returns error->code. */
esp_status error_because(esp_error *error, esp_reason reason);
/* The same for ESP_REASON_UNSET and others that are about a key of the recipe ("model.path"). */
esp_status error_about(esp_error *error, esp_reason reason, const char *setting);

/* Puts "context: " before the message that is already there (a file name, a key). Returns error->code. */
esp_status error_prefix(esp_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
