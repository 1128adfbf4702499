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

#ifdef __cplusplus
}
#endif

#endif
