/* The log of replies: what a search was told grows the same search again, from a file and from bytes, up to
 * the place where a log is torn, damaged or another job's. */
#include "support.h"
#include "../search/synthetic.h"

#include "base/file.h"
#include "policy/reply_log.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static esp_error error;

static char *new_path(void) {
    char *path = mem_strdup("/tmp/espalier-reply-log-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    return path;
}

/* Runs a search to its end and logs its replies. */
static synthetic *run_logged(reply_log *log, const search_config *config, uint64_t seed, uint64_t job) {
    synthetic *y = synthetic_new(config, seed);
    search_request asked;
    for (int32_t number = 0;; number++) {
        search_next(y->s, &asked);
        if (asked.kind == SEARCH_DONE) return y;
        search_reply reply = synthetic_reply(y, &asked);
        OK(reply_log_add(log, job, number, y->s, &asked, 1000 + job, &reply, &error));
        OK(search_feed(y->s, &reply, &error));
    }
}

static int32_t fed_from(const reply_log *log, uint64_t job, search *s) {
    int32_t fed;
    OK(reply_log_feed(log, job, s, &fed, &error));
    return fed;
}

static search *fresh(const search_config *config, uint64_t seed) {
    search *s;
    OK(search_new(&s, config, rng_key(seed), &error));
    return s;
}

enum { SEARCHES = 24 };

static search_config config_of(uint64_t seed) {
    search_config c = synthetic_config(seed);
    if (seed % 3 == 1) c.limits.root_probe = 3;
    if (seed % 3 == 2) c.limits.gold_injection = true;
    return c;
}

static void replies_grow_the_same_searches(void **state) {
    (void)state;
    char *path = new_path();
    reply_log *log, *again, *copy;
    synthetic *first[SEARCHES];
    OK(reply_log_open(&log, path, &error));
    for (uint64_t i = 0; i < SEARCHES; i++) {
        search_config config = config_of(i);
        first[i] = run_logged(log, &config, i, 7 * i);
    }
    OK(reply_log_sync(log, &error));
    OK(reply_log_open(&again, path, &error));
    size_t n, m;
    const uint8_t *bytes = reply_log_bytes(log, &n), *read = reply_log_bytes(again, &m);
    assert_true(n == m && n > 1000);
    assert_memory_equal(bytes, read, n);
    OK(reply_log_from_bytes(&copy, bytes, n, &error));
    assert_int_equal(reply_log_count(copy), reply_log_count(log));
    const reply_log *logs[] = {log, again, copy};
    for (uint64_t i = 0; i < SEARCHES; i++)
        for (int j = 0; j < 3; j++) {
            search_config config = config_of(i);
            search *s = fresh(&config, i);
            assert_true(fed_from(logs[j], 7 * i, s) > 0);
            assert_true(search_is_done(s));
            assert_same_search(s, first[i]->s);
            search_free(s);
        }
    for (int i = 0; i < SEARCHES; i++) synthetic_free(first[i]);
    reply_log_close(log);
    reply_log_close(again);
    reply_log_close(copy);
    unlink(path);
    mem_free(path);
}

/* What the log has is fed, and the search goes on from there to the same end. */
static void a_search_goes_on_from_a_log(void **state) {
    (void)state;
    search_config config = synthetic_config(5);
    reply_log *log = reply_log_new(), *part;
    synthetic *whole = run_logged(log, &config, 5, 1);
    size_t n;
    const uint8_t *bytes = reply_log_bytes(log, &n);
    size_t at = 0;
    int32_t cuts = 0;
    for (;; cuts++) {
        OK(reply_log_from_bytes(&part, bytes, at, &error));
        synthetic *y = synthetic_new(&config, 5);
        assert_int_equal(fed_from(part, 1, y->s), cuts);
        while (synthetic_step(y)) {
        }
        assert_same_search(y->s, whole->s);
        synthetic_free(y);
        reply_log_close(part);
        if (at == n) break;
        at += bytes[at] | (size_t)bytes[at + 1] << 8 | (size_t)bytes[at + 2] << 16;
    }
    assert_int_equal(cuts, reply_log_count(log));
    assert_true(cuts > 4);
    synthetic_free(whole);
    reply_log_close(log);
}

/* Torn at every byte: the whole records before it are kept, and the file is cut to them. */
static void a_torn_tail_is_dropped(void **state) {
    (void)state;
    search_config config = plain_config();
    config.limits.simulations = 2;
    config.limits.max_steps = 2;
    char *path = new_path();
    reply_log *log = reply_log_new(), *torn, *refused;
    synthetic_free(run_logged(log, &config, 3, 1));
    size_t n;
    const uint8_t *bytes = reply_log_bytes(log, &n);
    int64_t seen = 0;
    for (size_t k = 0; k <= n; k++) {
        OK(file_write_all(path, bytes, k, &error));
        OK(reply_log_open(&torn, path, &error));
        size_t kept;
        (void)reply_log_bytes(torn, &kept);
        assert_true(kept <= k);
        assert_true(reply_log_count(torn) == seen || reply_log_count(torn) == seen + 1);
        seen = reply_log_count(torn);
        struct stat about;
        assert_int_equal(stat(path, &about), 0);
        assert_int_equal(about.st_size, kept);
        esp_error why = {0};
        esp_status status = reply_log_from_bytes(&refused, bytes, k, &why); /* a message has no torn end */
        assert_int_equal(status, kept == k ? ESP_OK : ESP_FAILED);
        if (status != ESP_OK) assert_non_null(strstr(why.message, "no whole record"));
        reply_log_close(refused);
        reply_log_close(torn);
    }
    assert_int_equal(seen, reply_log_count(log));
    /* and it is appended to after its last whole record */
    OK(file_write_all(path, bytes, n - 1, &error));
    OK(reply_log_open(&torn, path, &error));
    search *s = fresh(&config, 3);
    int32_t fed = fed_from(torn, 1, s);
    assert_int_equal(fed, seen - 1);
    search_free(s);
    synthetic *y = synthetic_new(&config, 3);
    assert_int_equal(fed_from(torn, 1, y->s), fed);
    search_request asked;
    search_next(y->s, &asked);
    search_reply reply = synthetic_reply(y, &asked);
    OK(reply_log_add(torn, 1, fed, y->s, &asked, 1001, &reply, &error));
    size_t m;
    const uint8_t *mended = reply_log_bytes(torn, &m);
    assert_int_equal(m, n);
    assert_memory_equal(mended, bytes, n);
    synthetic_free(y);
    reply_log_close(torn);
    reply_log_close(log);
    unlink(path);
    mem_free(path);
}

/* A flipped bit ends the log before the record that has it. */
static void a_flipped_bit_is_found(void **state) {
    (void)state;
    search_config config = plain_config();
    config.limits.simulations = 3;
    reply_log *log = reply_log_new(), *damaged;
    synthetic *whole = run_logged(log, &config, 4, 1);
    size_t n;
    const uint8_t *bytes = reply_log_bytes(log, &n);
    uint8_t *copy = mem_alloc(n);
    char *path = new_path();
    for (uint64_t i = 0; i < 600; i++) {
        size_t bit = (size_t)rng_below(rng_key(8), i, n * 8);
        memcpy(copy, bytes, n);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(reply_log_from_bytes(&damaged, copy, n, &error), ESP_FAILED);
        OK(file_write_all(path, copy, n, &error));
        OK(reply_log_open(&damaged, path, &error));
        size_t kept;
        (void)reply_log_bytes(damaged, &kept);
        assert_true(kept <= bit / 8);
        search *s = fresh(&config, 4);
        assert_int_equal(fed_from(damaged, 1, s), reply_log_count(damaged));
        search_free(s);
        reply_log_close(damaged);
    }
    mem_free(copy);
    unlink(path);
    mem_free(path);
    synthetic_free(whole);
    reply_log_close(log);
}

static void other_requests_are_not_answered(void **state) {
    (void)state;
    search_config config = plain_config(), other;
    config.limits.simulations = 2;
    other = config;
    reply_log *log = reply_log_new();
    synthetic *whole = run_logged(log, &config, 9, 1);
    search *s = fresh(&config, 9);
    assert_int_equal(fed_from(log, 2, s), 0); /* another job */
    search_free(s);
    s = fresh(&config, 10);
    assert_int_equal(fed_from(log, 1, s), 0); /* another key */
    search_free(s);
    other.limits.breadth_root++;
    s = fresh(&other, 9);
    assert_int_equal(fed_from(log, 1, s), 0); /* another number of candidates */
    search_free(s);
    other = config;
    other.limits.simulations = 60; /* the same requests for a while */
    s = fresh(&other, 9);
    int32_t fed = fed_from(log, 1, s);
    assert_true(fed > 0 && !search_is_done(s));
    search_free(s);
    synthetic_free(whole);
    reply_log_close(log);
}

/* After a resume with other replies the later ones count. */
static void the_last_reply_of_a_number_counts(void **state) {
    (void)state;
    search_config config = plain_config();
    reply_log *log = reply_log_new();
    synthetic *y = synthetic_new(&config, 1);
    search_request asked;
    search_next(y->s, &asked);
    search_reply reply = synthetic_reply(y, &asked);
    OK(reply_log_add(log, 1, 0, y->s, &asked, 1, &reply, &error));
    reply.candidate_count = 1;
    OK(reply_log_add(log, 1, 0, y->s, &asked, 2, &reply, &error));
    search *s = fresh(&config, 1);
    assert_int_equal(fed_from(log, 1, s), 1);
    assert_int_equal(search_node_count(s), 2);
    search_free(s);
    synthetic_free(y);
    reply_log_close(log);
}

/* A record that is whole and answers the request, with a reply that the search refuses. */
static void what_the_search_refuses_is_an_error(void **state) {
    (void)state;
    search_config config = plain_config();
    reply_log *log = reply_log_new();
    search *s = fresh(&config, 1);
    search_request asked;
    search_next(s, &asked);
    search_candidate c = {.n = 3, .logprob = NAN};
    search_reply reply = {.candidates = &c, .candidate_count = 1};
    OK(reply_log_add(log, 1, 0, s, &asked, 1, &reply, &error));
    int32_t fed;
    assert_int_equal(reply_log_feed(log, 1, s, &fed, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "reply 0 of job 1"));
    assert_int_equal(fed, 0);
    c = (search_candidate){.n = 0};
    assert_int_equal(reply_log_add(log, 1, 1, s, &asked, 1, &reply, &error), ESP_FAILED);
    assert_int_equal(reply_log_count(log), 1);
    search_free(s);
    reply_log_close(log);
}

/* A write that is refused leaves the log as it was. */
static void a_full_disk(void **state) {
    (void)state;
    char *path = new_path();
    pid_t child = fork();
    if (child == 0) {
        search_config config = plain_config();
        struct rlimit limit = {600, 600};
        reply_log *log, *again;
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        if (reply_log_open(&log, path, &error) != ESP_OK) _exit(1);
        synthetic *y = synthetic_new(&config, 2);
        search_request asked;
        esp_status status = ESP_OK;
        int32_t number = 0;
        for (; status == ESP_OK; number++) {
            search_next(y->s, &asked);
            if (asked.kind == SEARCH_DONE) _exit(2);
            search_reply reply = synthetic_reply(y, &asked);
            status = reply_log_add(log, 1, number, y->s, &asked, 1, &reply, &error);
            if (status == ESP_OK && search_feed(y->s, &reply, NULL) != ESP_OK) _exit(3);
        }
        if (error.reason != ESP_REASON_DISK_FULL || reply_log_count(log) != number - 1) _exit(4);
        if (reply_log_open(&again, path, &error) != ESP_OK) _exit(5);
        _exit(reply_log_count(again) == number - 1 ? 0 : 6);
    }
    int ended;
    assert_int_equal(waitpid(child, &ended, 0), child);
    assert_true(WIFEXITED(ended));
    assert_int_equal(WEXITSTATUS(ended), 0);
    unlink(path);
    mem_free(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_grow_the_same_searches),
        cmocka_unit_test(a_search_goes_on_from_a_log),
        cmocka_unit_test(a_torn_tail_is_dropped),
        cmocka_unit_test(a_flipped_bit_is_found),
        cmocka_unit_test(other_requests_are_not_answered),
        cmocka_unit_test(the_last_reply_of_a_number_counts),
        cmocka_unit_test(what_the_search_refuses_is_an_error),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
