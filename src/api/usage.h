/* A wrong call of a public function. */
#ifndef ESPALIER_API_USAGE_H
#define ESPALIER_API_USAGE_H

#include "base/error.h"

static inline esp_status usage(esp_error *error, const char *function, const char *what) {
    return error_set(error, ESP_USAGE, "see espalier.h", "%s: %s", function, what);
}

#endif
