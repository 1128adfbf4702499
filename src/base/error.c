#include "base/error.h"

#include <stdio.h>
#include <string.h>

esp_status error_set(esp_error *error, esp_status code, const char *hint, const char *format, ...) {
    if (!error) return code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    snprintf(error->hint, sizeof error->hint, "%s", hint ? hint : "");
    error->code = code;
    error->reason = ESP_REASON_OTHER;
    error->setting[0] = '\0';
    error->resumable = false;
    return code;
}

esp_status error_because(esp_error *error, esp_reason reason) {
    if (!error) return ESP_FAILED;
    error->reason = reason;
    return error->code;
}

esp_status error_about(esp_error *error, esp_reason reason, const char *setting) {
    if (!error) return ESP_FAILED;
    snprintf(error->setting, sizeof error->setting, "%s", setting);
    return error_because(error, reason);
}

esp_status error_prefix(esp_error *error, const char *format, ...) {
    if (!error) return ESP_FAILED;
    char before[sizeof error->message], whole[2 * sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(before, sizeof before, format, arguments);
    va_end(arguments);
    snprintf(whole, sizeof whole, "%s: %s", before, error->message);
    memcpy(error->message, whole, sizeof error->message - 1);
    error->message[sizeof error->message - 1] = '\0';
    return error->code;
}
