/* Espalier: Monte Carlo tree search over reasoning steps, and preference learning from what the search found.
 * The library's one public header. */
#ifndef ESPALIER_H
#define ESPALIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ESP_VERSION "0.1.0"

/* Marks what libespalier.so shows; all else in it is hidden. */
#if defined(__GNUC__)
#define ESP_API __attribute__((visibility("default")))
#else
#define ESP_API
#endif

/* What a call returns; an esp_error says more. The values are also the program's exit codes. */
typedef enum {
    ESP_OK = 0,          /* done */
    ESP_FAILED = 1,      /* bad input, a failing disk, not enough memory: the message says which */
    ESP_USAGE = 2,       /* the caller's words are off: an unknown option, a missing argument */
    ESP_INTERRUPTED = 3, /* stopped on request; finished work is kept */
} esp_status;

typedef struct {
    esp_status code;
    char message[1024]; /* what went wrong and where */
    char hint[512];     /* what to do about it; may be empty */
} esp_error;

/* The version of the library that runs (ESP_VERSION is that of the header compiled against). */
ESP_API const char *esp_version(void);

#ifdef __cplusplus
}
#endif

#endif
