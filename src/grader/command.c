/* Graders that are programs: a line of JSON for each question on their standard input, a line for each answer
 * on their standard output, in any order. */
#include "base/clock.h"
#include "base/file.h"
#include "grader/desk.h"
#include "grader/process.h"
#include "grader/protocol.h"
#include "grader/schedule.h"

#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    LONGEST_LINE = 1 << 20,  /* of an answer */
    LARGEST_NAMED = 64 << 20 /* a file among the arguments whose contents name the grader too */
};

typedef struct {
    grader_desk *desk;
    const grader_settings *set;
    char *words;                /* the lines of the command, ended by zeros */
    MEM_LIST(char *) arguments; /* ends in NULL */
    schedule *plan;
    process *workers; /* [set->workers] */
    struct pollfd *watched;
} command;

static const char hint[] =
    "the program must read one question per line and write one answer per line, and nothing else, to "
    "standard output (docs/graders.md); run it by hand with a question";

/* ---- what it is called ---- */

/* The first argument as a file; freed by mem_free. NULL: there is none. */
static char *find_program(const char *name) {
    if (strchr(name, '/')) return access(name, X_OK) == 0 && !file_is_folder(name) ? mem_strdup(name) : NULL;
    const char *path = getenv("PATH");
    for (const char *at = path ? path : "/usr/local/bin:/usr/bin:/bin"; *at;) {
        size_t n = strcspn(at, ":");
        char *folder = mem_strndup(n ? at : ".", n ? n : 1), *whole = path_join(folder, name);
        mem_free(folder);
        if (access(whole, X_OK) == 0 && !file_is_folder(whole)) return whole;
        mem_free(whole);
        at += n + (at[n] == ':');
    }
    return NULL;
}

/* An argument that is a file stands for its contents too: another version of a script is another grader. */
static void name_argument(const char *word, text_buffer *name) {
    struct stat about;
    char *bytes;
    size_t length;
    text_append(name, word, strlen(word) + 1);
    if (stat(word, &about) != 0 || !S_ISREG(about.st_mode) || about.st_size > LARGEST_NAMED) return;
    if (file_read(word, &bytes, &length, NULL) != ESP_OK) return;
    text_printf(name, "%016llx", (unsigned long long)XXH3_64bits(bytes, length));
    mem_free(bytes);
}

static esp_status check(const grader_settings *set, text_buffer *name, esp_error *error) {
    const char *end = set->command ? set->command : "";
    size_t first = strcspn(end, "\n");
    if (first == 0) {
        error_set(error, ESP_USAGE, "write the program and its arguments as a list: [python3, grade.py]",
                  "task.grader is command, and no program is named");
        return error_about(error, ESP_REASON_UNSET, "task.grader_command");
    }
    char *word = mem_strndup(end, first), *program = find_program(word);
    esp_status status = ESP_OK;
    if (!program)
        status = error_fail(error, "check task.grader_command; the program must be executable",
                            "task.grader_command: there is no program %s", word);
    mem_free(word);
    mem_free(program);
    text_append(name, "command", sizeof "command");
    while (status == ESP_OK && *end) {
        size_t n = strcspn(end, "\n");
        word = mem_strndup(end, n);
        name_argument(word, name);
        mem_free(word);
        end += n + (end[n] == '\n');
    }
    return status;
}

/* ---- answers ---- */

static void take_line(command *c, int w, const char *line, size_t length) {
    protocol_answer answer;
    text_buffer why = {0};
    text_puts(&why, "wrote ");
    if (length == 0) {
        text_puts(&why, "an empty line");
    } else if (protocol_read(line, length, true, &answer, &why)) {
        if (schedule_answered(c->plan, w, answer.id, clock_seconds())) {
            desk_answer(c->desk, answer.id, &answer.verdict, false);
            text_clear(&why);
        } else {
            text_printf(&why, "an answer with id %lld, which it was not asked", (long long)answer.id);
        }
        json_decref(answer.from);
    }
    if (why.length > 0) schedule_wrote_nonsense(c->plan, w, why.at);
    text_free(&why);
}

static void take_lines(command *c, int w) {
    process *p = &c->workers[w];
    const char *line;
    size_t length;
    while (lines_next(&p->lines, &line, &length)) take_line(c, w, line, length);
    if (lines_unfinished(&p->lines) > LONGEST_LINE)
        schedule_wrote_nonsense(c->plan, w, "wrote more than a megabyte without an end of line");
}

static void exchange(command *c, int w) {
    process *p = &c->workers[w];
    if (p->pid == 0) return;
    bool runs = process_exchange(p);
    take_lines(c, w);
    if (runs) return;
    text_buffer how = {0};
    process_end(p, clock_seconds() + PROCESS_PATIENCE, &how);
    schedule_died(c->plan, w, how.at);
    text_free(&how);
}

/* ---- what the plan says ---- */

/* It is written as soon as the program reads: the next poll says so at once. */
static void send(command *c, const schedule_action *a) {
    protocol_line(desk_question_at(c->desk, a->question), a->question, &c->workers[a->worker].to_write);
}

static void give_up(command *c, const schedule_action *a) {
    char *reason = mem_printf("the grader %s", a->why);
    desk_answer(c->desk, a->question, &(grader_verdict){.verdict = GRADE_UNKNOWN, .reason = reason}, true);
    mem_free(reason);
}

/* Until there is nothing to do; *until: when there will be. */
static esp_status act(command *c, double *until, esp_error *error) {
    for (;;) {
        schedule_action a;
        schedule_next(c->plan, clock_seconds(), &a);
        switch (a.kind) {
        case SCHEDULE_START:
            ESP_TRY(process_start(&c->workers[a.worker], c->arguments.at, c->set->memory_mb, error));
            break;
        case SCHEDULE_SEND:
            send(c, &a);
            break;
        case SCHEDULE_KILL:
            process_end(&c->workers[a.worker], 0, NULL);
            break;
        case SCHEDULE_GIVE_UP:
            give_up(c, &a);
            break;
        case SCHEDULE_FAIL:
            return error_fail(error, hint, "the grader %s %s", c->arguments.at[0], a.why);
        case SCHEDULE_WAIT:
            *until = a.until;
            return ESP_OK;
        }
    }
}

/* ---- the loop ---- */

static void watch(command *c, int *count) {
    int n = 0;
    c->watched[n++] = (struct pollfd){.fd = desk_bell(c->desk), .events = POLLIN};
    for (int w = 0; w < c->set->workers; w++) {
        const process *p = &c->workers[w];
        if (p->pid == 0) continue;
        c->watched[n++] = (struct pollfd){.fd = p->out, .events = POLLIN};
        c->watched[n++] = (struct pollfd){.fd = p->err, .events = POLLIN};
        c->watched[n++] = (struct pollfd){.fd = p->end, .events = POLLIN};
        if (p->to_write.length > 0) c->watched[n++] = (struct pollfd){.fd = p->in, .events = POLLOUT};
    }
    *count = n;
}

static void wait_until(command *c, double until) {
    int count, ms = -1;
    watch(c, &count);
    if (isfinite(until)) {
        double left = ceil(1000 * (until - clock_seconds()));
        ms = left < 0 ? 0 : left > 1e6 ? 1000000 : (int)left;
    }
    poll(c->watched, (nfds_t)count, ms);
    desk_woken(c->desk);
}

static esp_status answer_all(command *c, esp_error *error) {
    double until = INFINITY;
    while (!desk_is_closing(c->desk)) {
        int64_t ticket;
        while (desk_question(c->desk, &ticket)) schedule_add(c->plan, ticket);
        ESP_TRY(act(c, &until, error));
        ESP_TRY(desk_deliver(c->desk, error));
        wait_until(c, until);
        for (int w = 0; w < c->set->workers; w++) exchange(c, w);
    }
    return ESP_OK;
}

static void split_words(command *c) {
    c->words = mem_strdup(c->set->command);
    for (char *at = c->words; *at;) {
        size_t n = strcspn(at, "\n");
        MEM_LIST_PUSH(&c->arguments, at);
        if (!at[n]) break;
        at[n] = '\0';
        at += n + 1;
    }
    MEM_LIST_PUSH(&c->arguments, NULL);
}

static esp_status work(grader_desk *desk, const grader_settings *set, esp_error *error) {
    command c = {.desk = desk,
                 .set = set,
                 .plan = schedule_new(&(schedule_settings){.workers = (int)set->workers,
                                                           .in_flight = (int)set->in_flight,
                                                           .seconds = set->seconds,
                                                           .start_seconds = set->start_seconds,
                                                           .restarts = set->restarts}),
                 .workers = MEM_ARRAY(process, set->workers),
                 .watched = MEM_ARRAY(struct pollfd, 1 + 4 * set->workers)};
    split_words(&c);
    esp_status status = answer_all(&c, error);
    for (int w = 0; w < set->workers; w++) process_hang_up(&c.workers[w]);
    double until = status == ESP_OK ? clock_seconds() + PROCESS_PATIENCE : 0; /* for all of them together */
    for (int w = 0; w < set->workers; w++) {
        process_end(&c.workers[w], until, NULL);
        process_free(&c.workers[w]);
    }
    MEM_LIST_FREE(&c.arguments);
    mem_free(c.words);
    mem_free(c.workers);
    mem_free(c.watched);
    schedule_free(c.plan);
    return status;
}

const grader_ops grader_command = {.check = check, .work = work};
