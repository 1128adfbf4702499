/* Stopping on request: Ctrl-C, SIGTERM or SIGHUP (the terminal was closed) sets a flag that long work checks;
 * a second one quits at once. Under nohup SIGHUP stays ignored. */
#ifndef ESPALIER_APP_STOP_H
#define ESPALIER_APP_STOP_H

#include "base/error.h"

#include <signal.h>

/* Installs the signal handler. A verb that checks the flag calls this first. */
void stop_install(void);
const volatile sig_atomic_t *stop_flag(void);
/* Columns of the line that the first signal writes, without the line ends around it. */
int stop_line_columns(void);
/* ESP_INTERRUPTED if the flag is set. */
esp_status stop_check(esp_error *error);

#endif
