#include "app/stop.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* The only mutable global: a signal handler can reach nothing else. */
static volatile sig_atomic_t stop_requested;

static const char stop_line[] =
    "\nespalier: stopping after the current piece of work (again: quit at once)\n";

static void on_signal(int number) {
    if (stop_requested) { /* the second signal: the default action ends the program */
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    stop_requested = 1;
    ssize_t written = write(STDERR_FILENO, stop_line, sizeof stop_line - 1);
    (void)written;
}

void stop_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    sigemptyset(&action.sa_mask);
    action.sa_flags = SA_RESTART;
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    struct sigaction before;
    bool ignored = sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler == SIG_IGN;
    if (!ignored) sigaction(SIGHUP, &action, NULL); /* ignored under nohup, which is to stay so */
}

const volatile sig_atomic_t *stop_flag(void) {
    return &stop_requested;
}

int stop_line_columns(void) {
    return (int)sizeof stop_line - 3; /* without its two line ends and the zero */
}

esp_status stop_check(esp_error *error) {
    if (!stop_requested) return ESP_OK;
    return error_set(error, ESP_INTERRUPTED, "", "stopped on request; nothing was written");
}
