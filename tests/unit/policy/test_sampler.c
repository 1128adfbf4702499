/* A source that gives its jobs bit by bit: the searches come out as those of an array, each job is handed
 * back done and once, and an error of the source stops everything.
 * timeout: 600 */
#include "tiny.h"

#include <string.h>

enum { JOBS = 12 };

static search_config small_search(void) {
    search_config c;
    search_config_defaults(&c);
    c.limits.root_probe = 0;
    c.limits.simulations = 2;
    c.limits.breadth_root = 3;
    c.limits.breadth = 2;
    c.limits.horizon = 2;
    c.limits.max_steps = 2;
    c.rewards.judge = true;
    return c;
}

static const char *const questions[] = {"Tom has 3 cats and 2 dogs. How many pets?",
                                        "Lily ate 4 of 9 cakes. How many are left?",
                                        "A toy costs 2 coins. What do 6 toys cost?"};

/* At most `window` jobs that were given are not done. */
typedef struct {
    problem problems[JOBS];
    search_job jobs[JOBS];
    int64_t given, window, done, replicas, fails_at;
    int64_t dealt[2];
    bool was_done[JOBS];
} feeder;

static source_answer feeder_next(void *user, int replica, int replicas, search_job **job) {
    feeder *f = user;
    f->replicas = replicas;
    int64_t at = f->dealt[replica] * replicas + replica;
    if (at >= JOBS) return SOURCE_END;
    if (at >= f->done + f->window) return SOURCE_LATER;
    f->dealt[replica]++;
    f->given++;
    *job = &f->jobs[at];
    return SOURCE_JOB;
}

static esp_status feeder_done(void *user, search_job *job, esp_error *e) {
    feeder *f = user;
    int64_t at = job - f->jobs;
    assert_true(search_is_done(job->search));
    assert_int_equal(job->counts.computed,
                     job->counts.distinct + job->counts.suffixes + job->counts.recomputed);
    assert_false(f->was_done[at]);
    f->was_done[at] = true;
    f->done++;
    return f->done == f->fails_at ? error_fail(e, "mend it", "the disk is full") : ESP_OK;
}

static void feeder_fill(feeder *f, const search_config *config) {
    *f = (feeder){.window = JOBS};
    for (int i = 0; i < JOBS; i++) {
        f->problems[i] = (problem){.index = i, .id = "p", .question = questions[i % 3], .gold = "5"};
        f->jobs[i] = (search_job){.problem = &f->problems[i], .gold_known = true};
        OK(search_new(&f->jobs[i].search, config, rng_mix(rng_key(7), (uint64_t)i), &error));
    }
}

static void feeder_free(feeder *f) {
    for (int i = 0; i < JOBS; i++) search_free(f->jobs[i].search);
}

static esp_status run(sampler *s, feeder *f) {
    search_source source = {.expected = JOBS, .next = feeder_next, .done = feeder_done, .user = f};
    return s->ops->search(s, &source, &error);
}

static void same_tree(const search *a, const search *b) {
    assert_int_equal(search_node_count(a), search_node_count(b));
    assert_int_equal(search_top(a), search_top(b));
    for (int32_t v = 0; v < search_node_count(a); v++) {
        search_node x = search_node_at(a, v), y = search_node_at(b, v);
        assert_int_equal(x.n, y.n);
        if (x.n) assert_memory_equal(x.ids, y.ids, (size_t)x.n * sizeof *x.ids);
        if (x.logprob != y.logprob || x.C != y.C || x.Q != y.Q) fail_msg("node %d differs", v);
    }
}

static void jobs_may_come_later(void **state) {
    (void)state;
    bench b = bench_open_on("ref"); /* a row's bits do not depend on its batch */
    search_config config = small_search();
    feeder all;
    feeder_fill(&all, &config);
    sampler *s;
    OK(lm_new(&s, b.m, b.words, &usual, &error));
    assert_string_equal(s->ops->name, "lm");
    OK(sampler_search(s, all.jobs, JOBS, NULL, NULL, &error));
    const int64_t windows[] = {1, 3, 5, JOBS};
    for (size_t k = 0; k < sizeof windows / sizeof *windows; k++) {
        feeder some;
        feeder_fill(&some, &config);
        some.window = windows[k];
        OK(run(s, &some));
        assert_int_equal(some.done, JOBS);
        assert_int_equal(some.replicas, 2); /* a small model on two threads */
        for (int i = 0; i < JOBS; i++) same_tree(all.jobs[i].search, some.jobs[i].search);
        feeder_free(&some);
    }
    sampler_free(s);
    feeder_free(&all);
    bench_close(&b);
}

static void an_error_of_the_source_stops_all(void **state) {
    (void)state;
    bench b = bench_open_on("cpu");
    search_config config = small_search();
    for (int64_t window = 2; window <= JOBS; window += JOBS - 2) {
        feeder f;
        feeder_fill(&f, &config);
        f.window = window;
        f.fails_at = 2;
        sampler *s;
        OK(lm_new(&s, b.m, b.words, &usual, &error));
        assert_int_equal(run(s, &f), ESP_FAILED);
        assert_string_equal(error.message, "the disk is full");
        if (window < JOBS) assert_true(f.given < JOBS);
        sampler_free(s);
        feeder_free(&f);
    }
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_may_come_later),
        cmocka_unit_test(an_error_of_the_source_stops_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
