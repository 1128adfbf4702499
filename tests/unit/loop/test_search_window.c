/* A window over waves: commits come in order and whole, a replica has jobs of no more waves than the window
 * says and in a block is never without one while there are more, no more waves than a block's are in memory,
 * what each replica gets does not depend on time, and a cut, a failure and a stop leave all waves that are
 * complete. */
#include "support.h"

#include "loop/search_window.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { PER_WAVE = 5, MOST_WAVES = 12, REPLICAS = 3 };

/* ---- a sampler that only hands jobs around ---- */

typedef struct {
    sampler base;
    int replicas;
    int64_t window, block;               /* of the plan */
    rng_key_t key;                       /* in which order jobs end */
    int64_t stop_after;                  /* jobs; -1: never */
    int64_t took[MOST_WAVES * PER_WAVE]; /* by job: its replica */
    int64_t done[MOST_WAVES];            /* jobs of each wave */
    int64_t expected;                    /* what the source said */
} fake_sampler;

typedef struct {
    fake_sampler *f;
    const search_source *source;
    MEM_LIST(search_job *) held[REPLICAS];
    bool ended[REPLICAS];
} hands;

static int64_t number_of(const search_job *job) {
    return job->max_step_tokens; /* where make_wave has put it */
}

/* Takes all jobs that there are for a replica. */
static void take_jobs(hands *h, int replica) {
    search_job *job;
    bool idle = h->held[replica].count == 0;
    for (;;) {
        source_answer answer = h->source->next(h->source->user, replica, h->f->replicas, &job);
        h->ended[replica] = answer == SOURCE_END;
        if (answer != SOURCE_JOB) break;
        h->f->took[number_of(job)] = replica;
        MEM_LIST_PUSH(&h->held[replica], job);
        for (int64_t i = 0; i < h->held[replica].count; i++)
            assert_true(number_of(h->held[replica].at[i]) / PER_WAVE >
                        number_of(job) / PER_WAVE - h->f->window);
    }
    bool waits = idle && !h->ended[replica] && h->held[replica].count == 0;
    assert_true(!waits || h->f->block < MOST_WAVES);
}

static esp_status end_one(hands *h, int replica, rng_key_t key, esp_error *error) {
    int64_t n = h->held[replica].count, i = (int64_t)rng_below(key, 3, (uint64_t)n);
    search_job *job = h->held[replica].at[i];
    h->held[replica].at[i] = h->held[replica].at[n - 1];
    h->held[replica].count--;
    h->f->done[number_of(job) / PER_WAVE]++;
    return h->source->done(h->source->user, job, error);
}

static esp_status hand_around(sampler *s, const search_source *source, esp_error *error) {
    fake_sampler *f = (fake_sampler *)s;
    hands h = {.f = f, .source = source};
    f->expected = source->expected;
    esp_status status = ESP_OK;
    for (int64_t turn = 0, done = 0; status == ESP_OK; turn++) {
        bool busy = false;
        for (int r = 0; r < f->replicas; r++) {
            if (h.held[r].count == 0 || rng_below(f->key, (uint64_t)turn, 2)) take_jobs(&h, r);
            busy = busy || h.held[r].count > 0;
        }
        if (!busy) {
            bool all_ended = true;
            for (int r = 0; r < f->replicas; r++) all_ended = all_ended && h.ended[r];
            if (all_ended) break;
            continue;
        }
        int r = (int)rng_below(f->key, (uint64_t)turn + 1000000, (uint64_t)f->replicas);
        if (h.held[r].count == 0) continue;
        if (done++ == f->stop_after)
            status = error_set(error, ESP_INTERRUPTED, NULL, "stopped");
        else
            status = end_one(&h, r, rng_mix(f->key, (uint64_t)turn), error);
    }
    for (int r = 0; r < REPLICAS; r++) MEM_LIST_FREE(&h.held[r]);
    return status;
}

static const sampler_ops fake_ops = {.name = "fake", .search = hand_around};

/* ---- waves ---- */

typedef struct {
    int64_t window, first, committed; /* committed: the wave that comes next */
    int64_t last;                     /* commit says so with this wave; -1: never */
    int64_t fail_make, fail_commit;   /* these waves fail; -1: none */
    int64_t empty;                    /* this wave has no jobs; -1: none */
    int64_t block, made;              /* waves that were made, and in memory at most */
    pthread_mutex_t lock;
} ledger;

static esp_status make(void *user, search_wave *out, esp_error *error) {
    ledger *l = user;
    pthread_mutex_lock(&l->lock);
    l->made++;
    assert_true(l->made - l->committed <= l->block);
    pthread_mutex_unlock(&l->lock);
    if (out->wave == l->fail_make) return error_fail(error, NULL, "no wave %d", (int)out->wave);
    if (out->wave == l->empty) return ESP_OK;
    out->jobs = MEM_ARRAY(search_job, PER_WAVE);
    out->ordinals = MEM_ARRAY(int64_t, PER_WAVE);
    for (int64_t i = 0; i < PER_WAVE; i++) {
        out->jobs[i] = (search_job){.max_step_tokens = (int32_t)(out->wave * PER_WAVE + i)};
        out->ordinals[out->count++] = i;
    }
    return ESP_OK;
}

static esp_status commit(void *user, const search_wave *wave, bool *last, esp_error *error) {
    ledger *l = user;
    if (wave->wave % 3 == 1) usleep(300); /* a slow disk */
    pthread_mutex_lock(&l->lock);
    assert_int_equal(wave->wave, l->committed);
    assert_int_equal(wave->done, wave->count);
    assert_int_equal(wave->count, wave->wave == l->empty ? 0 : PER_WAVE);
    bool fails = wave->wave == l->fail_commit;
    if (!fails) l->committed++;
    pthread_mutex_unlock(&l->lock);
    *last = wave->wave == l->last;
    return fails ? error_fail(error, NULL, "no room for wave %d", (int)wave->wave) : ESP_OK;
}

static esp_status run(ledger *l, fake_sampler *f, bool *last, esp_error *error) {
    search_window_plan plan = {.first = l->first,
                               .end = MOST_WAVES,
                               .window = l->window,
                               .block = l->block,
                               .expected = PER_WAVE,
                               .make = make,
                               .commit = commit,
                               .user = l};
    f->base.ops = &fake_ops;
    f->window = l->window;
    f->block = l->block;
    l->committed = l->made = l->first;
    pthread_mutex_init(&l->lock, NULL);
    esp_status status = search_window_run(&plan, &f->base, last, error);
    pthread_mutex_destroy(&l->lock);
    assert_int_equal(f->expected, PER_WAVE);
    return status;
}

static ledger usual(int64_t window) {
    return (ledger){
        .window = window, .block = MOST_WAVES, .last = -1, .fail_make = -1, .fail_commit = -1, .empty = -1};
}

/* The first wave that is not complete. */
static int64_t complete(const fake_sampler *f) {
    int64_t wave = 0;
    while (wave < MOST_WAVES && f->done[wave] == PER_WAVE) wave++;
    return wave;
}

static void all_waves_are_committed_in_order(void **state) {
    (void)state;
    int64_t took[MOST_WAVES * PER_WAVE];
    for (uint64_t seed = 0; seed < 120; seed++) {
        bool last;
        esp_error error = {0};
        ledger l = usual(1 + (int64_t)seed % 4);
        if (seed % 5 == 4) l.empty = (int64_t)seed % MOST_WAVES;
        fake_sampler f = {.replicas = 1 + (int)(seed / 4) % REPLICAS, .key = rng_key(seed), .stop_after = -1};
        OK(run(&l, &f, &last, &error));
        assert_false(last);
        assert_int_equal(l.committed, MOST_WAVES);
        if (l.empty >= 0) continue;
        for (int64_t i = 0; i < MOST_WAVES * PER_WAVE; i++) { /* a slice each, whatever the order of ends */
            int64_t slice = 0;
            while (i % PER_WAVE >= PER_WAVE * (slice + 1) / f.replicas) slice++;
            took[i] = slice;
        }
        assert_memory_equal(took, f.took, sizeof took);
    }
}

/* However unevenly the replicas work: what is in memory is bounded, and nobody waits for ever. */
static void a_block_bounds_what_is_in_memory(void **state) {
    (void)state;
    int64_t most = 0;
    for (uint64_t seed = 0; seed < 120; seed++) {
        bool last;
        esp_error error = {0};
        ledger l = usual(1 + (int64_t)seed % 4);
        l.block = 1 + (int64_t)seed % 5;
        l.first = (int64_t)seed % 3;
        fake_sampler f = {.replicas = 1 + (int)seed % REPLICAS, .key = rng_key(seed), .stop_after = -1};
        if (seed % 4 == 1) l.last = MOST_WAVES - 2;
        OK(run(&l, &f, &last, &error));
        assert_int_equal(last, l.last >= 0);
        assert_int_equal(l.committed, last ? l.last + 1 : MOST_WAVES);
        most = l.made > most ? l.made : most;
    }
    assert_int_equal(most, MOST_WAVES);
}

static void a_cut_drops_what_was_begun_beyond_it(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        bool last;
        esp_error error = {0};
        ledger l = usual(1 + (int64_t)seed % 4);
        l.first = (int64_t)seed % 3;
        l.last = l.first + (int64_t)seed % 6;
        fake_sampler f = {.replicas = 1 + (int)seed % REPLICAS, .key = rng_key(seed), .stop_after = -1};
        OK(run(&l, &f, &last, &error));
        assert_true(last);
        assert_int_equal(l.committed, l.last + 1);
    }
}

static void a_stop_leaves_whole_waves(void **state) {
    (void)state;
    int64_t some = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        bool last;
        esp_error error = {0};
        ledger l = usual(1 + (int64_t)seed % 4);
        fake_sampler f = {.replicas = 2, .key = rng_key(seed), .stop_after = (int64_t)seed % 40};
        assert_int_equal(run(&l, &f, &last, &error), ESP_INTERRUPTED);
        assert_int_equal(l.committed, complete(&f));
        some += l.committed;
    }
    assert_true(some > 60);
}

static void failures_are_reported(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 40; seed++) {
        bool last;
        esp_error error = {0};
        ledger l = usual(1 + (int64_t)seed % 4);
        bool making = seed % 2;
        *(making ? &l.fail_make : &l.fail_commit) = (int64_t)seed % 7;
        fake_sampler f = {.replicas = 2, .key = rng_key(seed), .stop_after = -1};
        assert_int_equal(run(&l, &f, &last, &error), ESP_FAILED);
        assert_non_null(strstr(error.message, making ? "no wave " : "no room for wave "));
        assert_true(l.committed <= (int64_t)seed % 7);
        assert_int_equal(l.committed, making ? complete(&f) : (int64_t)seed % 7);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_waves_are_committed_in_order),
        cmocka_unit_test(a_block_bounds_what_is_in_memory),
        cmocka_unit_test(a_cut_drops_what_was_begun_beyond_it),
        cmocka_unit_test(a_stop_leaves_whole_waves),
        cmocka_unit_test(failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
