#include "grader/grader.h"

#include "base/parallel.h"
#include "grader/desk.h"
#include "grader/protocol.h"
#include "store/store.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* A question that was asked, or whose verdict is remembered. */
typedef struct {
    uint8_t key[16];
    char *problem;  /* its name */
    char *question; /* NULL once it is answered */
    bool taken, done, given_up;
    grader_verdict verdict; /* its reason is owned */
} entry;

struct grader_desk {
    grader_settings set;
    char *command, *url; /* what set's point to */
    const grader_ops *ops;
    text_buffer name;
    store *kept; /* NULL: none */
    int bell;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    MEM_LIST(entry) entries;    /* a ticket is a place in it */
    int64_t *slots, slot_count; /* open addressing by key: ticket + 1; 0: free */
    int64_t next;               /* no entry before this one waits to be taken */
    MEM_LIST(int64_t) answered; /* not delivered yet */
    bool closing, failed;
    esp_error error;
    grader_counts counts;
};

struct grader {
    grader_desk desk;
};

/* ---- entries by key ---- */

static int64_t *slot_of(grader_desk *d, const uint8_t *key) {
    uint64_t at;
    memcpy(&at, key, sizeof at);
    for (;; at++) {
        int64_t *slot = &d->slots[at & (uint64_t)(d->slot_count - 1)];
        if (*slot == 0 || memcmp(d->entries.at[*slot - 1].key, key, 16) == 0) return slot;
    }
}

static void more_slots(grader_desk *d) {
    mem_free(d->slots);
    d->slot_count = d->slot_count ? 2 * d->slot_count : 1024;
    d->slots = MEM_ARRAY(int64_t, d->slot_count);
    for (int64_t i = 0; i < d->entries.count; i++) *slot_of(d, d->entries.at[i].key) = i + 1;
}

static int64_t add_entry(grader_desk *d, const entry *e) {
    if (2 * (d->entries.count + 1) > d->slot_count) more_slots(d);
    MEM_LIST_PUSH(&d->entries, *e);
    *slot_of(d, e->key) = d->entries.count;
    return d->entries.count - 1;
}

static void key_of(const grader_desk *d, const char *question, uint8_t *out) {
    XXH3_state_t *state = XXH3_createState();
    XXH3_128bits_reset(state);
    XXH3_128bits_update(state, d->name.at, d->name.length + 1); /* with the zero that ends it */
    XXH3_128bits_update(state, question, strlen(question));
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(out, canonical.digest, 16);
    XXH3_freeState(state);
}

/* ---- the thread's side ---- */

const char *desk_question(grader_desk *d, int64_t *ticket) {
    const char *question = NULL;
    pthread_mutex_lock(&d->lock);
    while (d->next < d->entries.count && !question) {
        entry *e = &d->entries.at[d->next++];
        if (e->done || e->taken) continue;
        e->taken = true;
        d->counts.asked++;
        question = e->question;
        *ticket = d->next - 1;
    }
    pthread_mutex_unlock(&d->lock);
    return question;
}

const char *desk_question_at(grader_desk *d, int64_t ticket) {
    pthread_mutex_lock(&d->lock);
    const char *question = d->entries.at[ticket].question;
    pthread_mutex_unlock(&d->lock);
    return question;
}

int desk_bell(const grader_desk *d) {
    return d->bell;
}

void desk_woken(grader_desk *d) {
    uint64_t rung;
    (void)!read(d->bell, &rung, sizeof rung);
}

static void ring(const grader_desk *d) {
    uint64_t one = 1;
    (void)!write(d->bell, &one, sizeof one);
}

bool desk_is_closing(grader_desk *d) {
    pthread_mutex_lock(&d->lock);
    bool closing = d->closing;
    pthread_mutex_unlock(&d->lock);
    return closing;
}

void desk_answer(grader_desk *d, int64_t ticket, const grader_verdict *verdict, bool given_up) {
    pthread_mutex_lock(&d->lock);
    entry *e = &d->entries.at[ticket];
    e->verdict = *verdict;
    e->verdict.reason = mem_strdup(verdict->reason);
    e->given_up = given_up;
    if (given_up) {
        d->counts.given_up++;
        d->counts.why = e->verdict.reason;
    }
    MEM_LIST_PUSH(&d->answered, ticket);
    pthread_mutex_unlock(&d->lock);
}

/* The row of an answered entry. */
static store_verdict row_of(const entry *e) {
    store_verdict row = {.problem = e->problem,
                         .correct =
                             e->verdict.verdict == GRADE_UNKNOWN ? -1 : e->verdict.verdict == GRADE_EQUAL,
                         .reward = e->verdict.scored ? e->verdict.reward : NAN,
                         .reason = e->verdict.reason};
    memcpy(row.key, e->key, sizeof row.key);
    return row;
}

/* Entries may move while the lock is free, but what they point to stays, and only this thread answers. */
static esp_status keep_answered(grader_desk *d, esp_error *error) {
    MEM_LIST(store_verdict) rows = {0};
    pthread_mutex_lock(&d->lock);
    for (int64_t i = 0; i < d->answered.count; i++) {
        const entry *e = &d->entries.at[d->answered.at[i]];
        if (!e->given_up) MEM_LIST_PUSH(&rows, row_of(e));
    }
    pthread_mutex_unlock(&d->lock);
    esp_status status = rows.count > 0 ? store_add_verdicts(d->kept, rows.at, rows.count, error) : ESP_OK;
    MEM_LIST_FREE(&rows);
    return status;
}

esp_status desk_deliver(grader_desk *d, esp_error *error) {
    if (d->answered.count == 0) return ESP_OK; /* only this thread adds to it */
    if (d->kept) ESP_TRY(keep_answered(d, error));
    pthread_mutex_lock(&d->lock);
    for (int64_t i = 0; i < d->answered.count; i++) {
        entry *e = &d->entries.at[d->answered.at[i]];
        e->done = true;
        mem_free(e->question);
        e->question = NULL;
    }
    d->answered.count = 0;
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return ESP_OK;
}

static void *work(void *user) {
    grader_desk *d = user;
    esp_error error = {0};
    esp_status status = d->ops->work(d, &d->set, &error);
    /* What was answered before the end, or before another question failed, is kept all the same. */
    esp_status delivered = desk_deliver(d, status == ESP_OK ? &error : NULL);
    if (status == ESP_OK) status = delivered;
    pthread_mutex_lock(&d->lock);
    if (status != ESP_OK) {
        d->failed = true;
        d->error = error;
    }
    pthread_cond_broadcast(&d->changed);
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

/* ---- the asking side ---- */

grader_settings grader_settings_of(const task_grading *g) {
    static const grader_kind kinds[] = {[TASK_GRADES] = GRADER_TASK,
                                        [TASK_GRADED_BY_COMMAND] = GRADER_COMMAND,
                                        [TASK_GRADED_BY_HTTP] = GRADER_HTTP};
    return (grader_settings){.kind = kinds[g->grader],
                             .command = g->command,
                             .url = g->url,
                             .workers = g->workers,
                             .in_flight = g->in_flight,
                             .seconds = g->seconds,
                             .start_seconds = g->start_seconds,
                             .memory_mb = g->memory_mb,
                             .restarts = g->restarts};
}

esp_status grader_open(grader **out, const grader_settings *settings, esp_error *error) {
    *out = NULL;
    grader *g = MEM_NEW(grader);
    grader_desk *d = &g->desk;
    *d = (grader_desk){.set = *settings,
                       .command = mem_strdup(settings->command),
                       .url = mem_strdup(settings->url),
                       .ops = settings->kind == GRADER_HTTP ? &grader_http : &grader_command,
                       .bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    d->set.command = d->command;
    d->set.url = d->url;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &clock);
    pthread_condattr_destroy(&clock);
    esp_status status = d->ops->check(&d->set, &d->name, error);
    if (status == ESP_OK && d->bell < 0)
        status =
            error_fail(error, "close other programs", "the system refuses an event: %s", strerror(errno));
    if (status == ESP_OK)
        *out = g;
    else
        grader_close(g);
    return status;
}

void grader_close(grader *g) {
    if (!g) return;
    grader_desk *d = &g->desk;
    pthread_mutex_lock(&d->lock);
    d->closing = true;
    pthread_mutex_unlock(&d->lock);
    ring(d);
    if (d->started) pthread_join(d->thread, NULL);
    store_close(d->kept);
    for (int64_t i = 0; i < d->entries.count; i++) {
        mem_free(d->entries.at[i].problem);
        mem_free(d->entries.at[i].question);
        mem_free((char *)d->entries.at[i].verdict.reason);
    }
    MEM_LIST_FREE(&d->entries);
    MEM_LIST_FREE(&d->answered);
    mem_free(d->slots);
    mem_free(d->command);
    mem_free(d->url);
    text_free(&d->name);
    if (d->bell >= 0) close(d->bell);
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->changed);
    mem_free(g);
}

static void remember_one(void *user, const store_verdict *row) {
    grader_desk *d = user;
    entry e = {.taken = true,
               .done = true,
               .verdict = {.verdict = row->correct < 0 ? GRADE_UNKNOWN
                                      : row->correct   ? GRADE_EQUAL
                                                       : GRADE_DIFFERENT,
                           .scored = !isnan(row->reward),
                           .reward = isnan(row->reward) ? 0 : row->reward,
                           .reason = mem_strdup(row->reason)}};
    memcpy(e.key, row->key, sizeof e.key);
    add_entry(d, &e);
}

esp_status grader_remember(grader *g, const char *folder, esp_error *error) {
    ESP_TRY(store_open(&g->desk.kept, folder, STORE_BESIDE, error));
    return store_read_verdicts(g->desk.kept, remember_one, &g->desk, error);
}

static void fail_to_start(grader_desk *d) {
    d->failed = true;
    error_fail(&d->error, "close other programs", "the system refuses another thread");
}

int64_t grader_ask(grader *g, const problem *p, const char *text, size_t length) {
    grader_desk *d = &g->desk;
    entry e = {.question = protocol_question(p, text, length)};
    key_of(d, e.question, e.key);
    pthread_mutex_lock(&d->lock);
    if (!d->slot_count) more_slots(d);
    int64_t ticket = *slot_of(d, e.key) - 1;
    if (ticket >= 0) {
        d->counts.remembered++;
        mem_free(e.question);
    } else {
        e.problem = mem_strdup(p->id);
        ticket = add_entry(d, &e);
        if (!d->started) d->started = parallel_start(&d->thread, work, d);
        if (!d->started) fail_to_start(d);
    }
    pthread_mutex_unlock(&d->lock);
    ring(d);
    return ticket;
}

/* Waits for news, a tenth of a second at most: a request to stop makes no noise. */
static void wait_for_news(grader_desk *d) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 100000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&d->changed, &d->lock, &until);
}

esp_status grader_take(grader *g, int64_t ticket, grader_verdict *out, esp_error *error) {
    grader_desk *d = &g->desk;
    esp_status status = ESP_OK;
    pthread_mutex_lock(&d->lock);
    while (!d->entries.at[ticket].done && status == ESP_OK) {
        if (d->failed) {
            if (error) *error = d->error;
            status = d->error.code;
        } else if (d->set.stop && *d->set.stop) {
            status = error_set(error, ESP_INTERRUPTED, NULL, "stopped on request");
        } else {
            wait_for_news(d);
        }
    }
    if (status == ESP_OK) *out = d->entries.at[ticket].verdict;
    pthread_mutex_unlock(&d->lock);
    return status;
}

grader_counts grader_counts_of(grader *g) {
    pthread_mutex_lock(&g->desk.lock);
    grader_counts counts = g->desk.counts;
    pthread_mutex_unlock(&g->desk.lock);
    return counts;
}
