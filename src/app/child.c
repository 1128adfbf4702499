#include "app/child.h"

#include "app/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- requests to stop ---- */

static bool is_ignored(int number) {
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

void child_watch_begin(child_watch *w) {
    w->stopped = false;
    sigemptyset(&w->waited);
    sigaddset(&w->waited, SIGINT);
    sigaddset(&w->waited, SIGTERM);
    sigaddset(&w->waited, SIGCHLD);
    if (!is_ignored(SIGHUP)) sigaddset(&w->waited, SIGHUP);
    sigprocmask(SIG_BLOCK, &w->waited, &w->before);
}

void child_watch_end(child_watch *w) {
    child_stopped(w); /* what has come is taken, so that the mask can go */
    sigprocmask(SIG_SETMASK, &w->before, NULL);
}

bool child_stopped(child_watch *w) {
    const struct timespec none = {0};
    int number;
    while ((number = sigtimedwait(&w->waited, NULL, &none)) > 0 || (number < 0 && errno == EINTR))
        w->stopped = w->stopped || (number > 0 && number != SIGCHLD);
    return w->stopped;
}

/* ---- the child ---- */

static _Noreturn void be_child(child_watch *w, int to, pid_t parent, esp_status (*work)(void *, esp_error *),
                               void *context) {
    esp_error error = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(ESP_FAILED); /* it ended before that call */
    sigprocmask(SIG_SETMASK, &w->before, NULL);
    keeper_offer();
    error.code = work(context, &error);
    fflush(NULL);
    if (write(to, &error, sizeof error) != (ssize_t)sizeof error) _exit(ESP_FAILED);
    _exit((int)error.code);
}

/* Waits until the child has ended; *how is what waitpid says. */
static void wait_for(child_watch *w, pid_t child, int *how) {
    for (;;) {
        siginfo_t info;
        if (waitpid(child, how, WNOHANG) == child) return;
        int number = sigwaitinfo(&w->waited, &info);
        if (number < 0 || number == SIGCHLD) continue;
        w->stopped = true;
        /* The terminal sends its signals to the child itself. */
        if (info.si_code != SI_KERNEL) kill(child, number);
    }
}

static esp_status how_it_ended(int how, esp_error *error) {
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL)
        return error_fail(error, "if nobody did, the machine ran out of memory (see dmesg)",
                          "its process was killed (signal 9)");
    if (WIFSIGNALED(how))
        return error_fail(error, "", "its process ended by signal %d (%s)", WTERMSIG(how),
                          strsignal(WTERMSIG(how)));
    return error_fail(error, "", "its process ended with status %d", WEXITSTATUS(how));
}

esp_status child_run(child_watch *w, esp_status (*work)(void *context, esp_error *error), void *context,
                     esp_error *error) {
    int pipe_of[2], how = 0;
    if (pipe2(pipe_of, O_CLOEXEC) != 0)
        return error_fail(error, "close some files", "cannot make a pipe: %s", strerror(errno));
    fflush(NULL); /* what is still here must not be written by both */
    pid_t parent = getpid(), child = fork();
    if (child == 0) be_child(w, pipe_of[1], parent, work, context);
    int failed = errno;
    close(pipe_of[1]);
    esp_error said = {0};
    ssize_t n = 0;
    if (child > 0) {
        wait_for(w, child, &how);
        n = read(pipe_of[0], &said, sizeof said); /* smaller than a pipe's buffer */
    }
    close(pipe_of[0]);
    if (child < 0)
        return error_fail(error, "end some processes", "cannot start a process: %s", strerror(failed));
    if (n != (ssize_t)sizeof said) return how_it_ended(how, error);
    if (said.code != ESP_OK && error) *error = said;
    return said.code;
}
