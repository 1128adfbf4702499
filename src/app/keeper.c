/* The keeper of a grader's program (grader/process.h): a small process between the two. It starts the
 * program, and when the program ends, or the process that wanted it asks for the end or is gone, it ends
 * whatever the program has started, also what has left its group or its session: as the reaper of its
 * descendants, the keeper gets back each process whose own parent has ended. */
#include "app/keeper.h"

#include "grader/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the new process. */
static void become(char **argv, long memory_mb, pid_t keeper) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != keeper) _exit(1);
    rlim_t bytes = (rlim_t)memory_mb << 20;
    if (memory_mb > 0) setrlimit(RLIMIT_DATA, &(struct rlimit){bytes, bytes});
    execvp(argv[0], argv);
    fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

/* Kills the children that there are now. False: the system does not list them. */
static bool kill_children(void) {
    char name[64], list[4096];
    snprintf(name, sizeof name, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, list, sizeof list - 1);
    close(fd);
    list[n > 0 ? n : 0] = '\0';
    for (char *at = list, *end; *at; at = end) {
        long pid = strtol(at, &end, 10);
        if (end == at || *end != ' ') break; /* of one that did not fit, `list` has the first digits only */
        if (pid > 0) kill((pid_t)pid, SIGKILL);
    }
    return true;
}

/* Until nothing is left. The children of a child that ends become the keeper's own. */
static void end_all(pid_t program, bool has_ended, int *status) {
    int how;
    if (!has_ended) kill(program, SIGKILL);
    for (bool listed = true; listed;) {
        listed = kill_children();
        pid_t pid = waitpid(-1, &how, listed ? 0 : WNOHANG);
        if (pid == program) *status = how;
        if (pid < 0 && errno == ECHILD) return;
    }
}

/* Waits until the program has ended (true) or is to end. */
static bool wait_for_end(pid_t program, int signals, int *status) {
    struct pollfd both[] = {{.fd = PROCESS_LIFELINE, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    for (;;) {
        struct signalfd_siginfo about;
        int how;
        if (poll(both, 2, -1) < 0 && errno != EINTR) return false;
        if (both[0].revents) return false;
        if (both[1].revents && read(signals, &about, sizeof about) < 0 && errno != EAGAIN) return false;
        for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;)
            if (pid == program) {
                *status = how;
                return true;
            }
    }
}

void keeper_offer(void) {
    char own[24];
    snprintf(own, sizeof own, "%lld", (long long)getpid());
    setenv(PROCESS_KEEPER_VARIABLE, own, 1);
}

int keeper_main(int argc, char **argv) {
    if (argc < 2) return 2;
    long memory_mb = strtol(argv[0], NULL, 10);
    sigset_t watched;
    sigfillset(&watched);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    int signals = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || fcntl(PROCESS_LIFELINE, F_SETFD, FD_CLOEXEC) != 0) return 1;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t keeper = getpid(), program = fork();
    if (program == 0) become(argv + 1, memory_mb, keeper);
    if (program < 0) return 1;
    for (int fd = 0; fd < 3; fd++) close(fd); /* the program alone has the pipes */
    int status = 0;
    bool has_ended = wait_for_end(program, signals, &status);
    end_all(program, has_ended, &status);
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
