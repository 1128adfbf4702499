/* Stopping on request: Ctrl-C and SIGTERM set a flag that long work looks at; a second one quits at once. */
#ifndef ESPALIER_APP_STOP_H
#define ESPALIER_APP_STOP_H

#include "base/error.h"

#include <signal.h>

/* From now on a signal sets the flag. A verb that looks at the flag calls it first. */
void stop_install(void);
const volatile sig_atomic_t *stop_flag(void);
/* Columns of the line that the first signal writes; it stands between two line ends. */
int stop_line_columns(void);
/* ESP_INTERRUPTED where the flag is set. */
esp_status stop_check(esp_error *error);

#endif
