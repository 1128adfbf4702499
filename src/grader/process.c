#include "grader/process.h"

#include "base/clock.h"
#include "base/excerpt.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Bytes read from a stream at a time: what floods waits its turn. A pipe holds one such piece. */
enum { PIECE = 65536 };

/* ---- start ---- */

/* Both ends of the pipes of a program: [0] is read from. */
typedef struct {
    int in[2], out[2], err[2], life[2];
} pipes;

static void close_all(const int *fds, int n) {
    for (int i = 0; i < n; i++)
        if (fds[i] >= 0) close(fds[i]);
}

static bool open_pipes(pipes *p) {
    memset(p, -1, sizeof *p);
    if (pipe2(p->in, O_CLOEXEC) == 0 && pipe2(p->out, O_CLOEXEC) == 0 && pipe2(p->err, O_CLOEXEC) == 0 &&
        pipe2(p->life, O_CLOEXEC) == 0)
        return true;
    close_all(p->in, 8);
    return false;
}

static bool has_keeper(void) {
    const char *of = getenv(PROCESS_KEEPER_VARIABLE);
    return of && strtol(of, NULL, 10) == (long)getpid();
}

/* Signals are as a shell would leave them, though the thread that starts it blocks them all. */
static void set_attributes(posix_spawnattr_t *attributes) {
    sigset_t none, usual;
    sigemptyset(&none);
    sigfillset(&usual);
    posix_spawnattr_init(attributes);
    posix_spawnattr_setflags(attributes,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(attributes, 0);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &usual);
}

static int spawn(pid_t *pid, char *const *argv, const pipes *p, bool kept) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    set_attributes(&attributes);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, p->in[0], 0);
    posix_spawn_file_actions_adddup2(&files, p->out[1], 1);
    posix_spawn_file_actions_adddup2(&files, p->err[1], 2);
    if (kept) posix_spawn_file_actions_adddup2(&files, p->life[0], PROCESS_LIFELINE);
    int failed = kept ? posix_spawn(pid, "/proc/self/exe", &files, &attributes, argv, environ)
                      : posix_spawnp(pid, argv[0], &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    return failed;
}

static int spawn_kept(pid_t *pid, char *const *argv, int64_t memory_mb, const pipes *p) {
    MEM_LIST(char *) words = {0};
    char limit[24], name[] = "espalier", word[] = PROCESS_KEEPER_WORD;
    snprintf(limit, sizeof limit, "%lld", (long long)memory_mb);
    MEM_LIST_PUSH(&words, name);
    MEM_LIST_PUSH(&words, word);
    MEM_LIST_PUSH(&words, limit);
    for (; *argv; argv++) MEM_LIST_PUSH(&words, *argv);
    MEM_LIST_PUSH(&words, NULL);
    int failed = spawn(pid, words.at, p, true);
    MEM_LIST_FREE(&words);
    return failed;
}

static int spawn_bare(pid_t *pid, char *const *argv, int64_t memory_mb, const pipes *p) {
    int failed = spawn(pid, argv, p, false);
    rlim_t bytes = (rlim_t)memory_mb << 20;
    if (!failed && memory_mb > 0) prlimit(*pid, RLIMIT_DATA, &(struct rlimit){bytes, bytes}, NULL);
    return failed;
}

esp_status process_start(process *p, char *const *argv, int64_t memory_mb, esp_error *error) {
    pipes ends;
    bool kept = has_keeper();
    if (!open_pipes(&ends))
        return error_fail(error, "close other programs, or raise the limit of open files (ulimit -n)",
                          "cannot start %s: %s", argv[0], strerror(errno));
    int failed =
        kept ? spawn_kept(&p->pid, argv, memory_mb, &ends) : spawn_bare(&p->pid, argv, memory_mb, &ends);
    close_all((int[]){ends.in[0], ends.out[1], ends.err[1], ends.life[0]}, 4);
    if (failed) {
        close_all((int[]){ends.in[1], ends.out[0], ends.err[0], ends.life[1]}, 4);
        p->pid = 0;
        return error_fail(error, "check the program's name and permissions", "cannot start %s: %s", argv[0],
                          strerror(failed));
    }
    p->in = ends.in[1], p->out = ends.out[0], p->err = ends.err[0];
    p->lifeline = kept ? ends.life[1] : -1;
    if (!kept) close(ends.life[1]);
    p->end = pidfd_open(p->pid, 0);
    int streams[] = {p->in, p->out, p->err};
    for (int i = 0; i < 3; i++) fcntl(streams[i], F_SETFL, O_NONBLOCK);
    text_clear(&p->to_write);
    p->written = p->said_length = 0;
    lines_clear(&p->lines);
    return ESP_OK;
}

/* ---- its streams ---- */

static void close_stream(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static void write_more(process *p) {
    while (p->written < p->to_write.length) {
        ssize_t n = write(p->in, p->to_write.at + p->written, p->to_write.length - p->written);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (n < 0) break; /* nobody reads any more: its end, or the time limit, will say so */
        p->written += (size_t)n;
    }
    text_clear(&p->to_write);
    p->written = 0;
}

/* False: the stream has ended. */
static bool read_some(int fd, char *piece, ssize_t *n) {
    *n = read(fd, piece, PIECE);
    bool later = *n < 0 && (errno == EAGAIN || errno == EINTR);
    if (*n < 0) *n = 0;
    return *n > 0 || later;
}

static void keep_said(process *p, const char *bytes, size_t n) {
    size_t most = sizeof p->said;
    if (n > most) bytes += n - most, n = most;
    size_t drop = p->said_length + n > most ? p->said_length + n - most : 0;
    memmove(p->said, p->said + drop, p->said_length - drop);
    p->said_length -= drop;
    memcpy(p->said + p->said_length, bytes, n);
    p->said_length += n;
}

bool process_exchange(process *p) {
    char piece[PIECE];
    ssize_t n;
    struct pollfd end = {.fd = p->end, .events = POLLIN};
    bool ended = poll(&end, 1, 0) == 1;
    write_more(p);
    bool speaks = p->err < 0 || read_some(p->err, piece, &n);
    if (p->err >= 0) keep_said(p, piece, (size_t)n);
    if (!speaks) close_stream(&p->err);
    bool open = read_some(p->out, piece, &n);
    lines_add(&p->lines, piece, (size_t)n);
    /* What it wrote before it ended is read to the end; of what it has started nobody is listened to. */
    return open && !(ended && n == 0);
}

/* ---- end ---- */

static void add_how(int status, bool kept, text_buffer *how) {
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    int number = WIFSIGNALED(status) ? WTERMSIG(status) : kept && code > 128 ? code - 128 : 0;
    if (number)
        text_printf(how, "was ended by signal %d (%s)", number, strsignal(number));
    else
        text_printf(how, "ended with status %d", code);
}

/* The last line that it wrote to standard error. */
static void add_said(const process *p, text_buffer *how) {
    size_t end = p->said_length;
    while (end > 0 && strchr(" \t\r\n", p->said[end - 1])) end--;
    size_t begin = end;
    while (begin > 0 && p->said[begin - 1] != '\n') begin--;
    if (end == begin) return;
    text_puts(how, "; it said: ");
    excerpt(p->said + begin, end - begin, sizeof p->said, how);
}

void process_hang_up(process *p) {
    if (p->pid) close_stream(&p->in);
}

/* What is in the pipe of its standard error. No more than that: it may still write. */
static void read_last_words(process *p) {
    char piece[PIECE];
    ssize_t n = 1;
    for (int i = 0; i < 2 && n > 0 && p->err >= 0; i++) {
        read_some(p->err, piece, &n);
        keep_said(p, piece, (size_t)n);
    }
}

void process_end(process *p, double until, text_buffer *how) {
    if (p->pid == 0) return;
    close_stream(&p->in);
    struct pollfd end = {.fd = p->end, .events = POLLIN};
    double left = until - clock_seconds();
    if (left > 0) poll(&end, 1, (int)ceil(1000 * fmin(left, PROCESS_PATIENCE)));
    read_last_words(p);
    bool kept = p->lifeline >= 0;
    if (kept)
        close(p->lifeline);
    else
        kill(-p->pid, SIGKILL);
    int status = 0;
    while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (how) {
        add_how(status, kept, how);
        add_said(p, how);
    }
    close_all((int[]){p->out, p->err, p->end}, 3);
    p->pid = 0;
}

void process_free(process *p) {
    text_free(&p->to_write);
    lines_free(&p->lines);
}
