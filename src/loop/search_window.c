#include "loop/search_window.h"

#include "base/parallel.h"

#include <assert.h>

/* A wave in flight: the owner of its jobs. */
typedef struct {
    search_wave wave;
    int64_t *done; /* [replicas] jobs of each one's slice that are done */
} flight;

/* Where a replica is: it is given its slice of one wave after the other. */
typedef struct {
    int64_t wave, given; /* given: jobs of its slice of this wave */
    int64_t open;        /* its slices of the waves before this one are done */
} place;

typedef struct {
    const search_window_plan *plan;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    MEM_LIST(flight *) made; /* the waves from plan->first on; NULL once committed */
    int64_t committed;       /* waves before this one are committed */
    int replicas;            /* 0 before the first job */
    place *places;           /* [replicas] */
    bool last;               /* no more waves are wanted */
    bool searched;     /* no job will be done any more: the committing thread ends after what is complete */
    esp_status status; /* of make and commit */
    esp_error error;
} window;

static int64_t made_end(const window *w) {
    return w->plan->first + w->made.count;
}

static flight *flight_of(const window *w, int64_t wave) {
    assert(wave >= w->plan->first && wave < made_end(w));
    return w->made.at[wave - w->plan->first];
}

static bool is_complete(const search_wave *wave) {
    return wave->done == wave->count;
}

static void flight_free(flight *f) {
    if (!f) return;
    for (int64_t i = 0; i < f->wave.count; i++) search_free(f->wave.jobs[i].search);
    mem_free(f->wave.jobs);
    mem_free(f->wave.ordinals);
    text_free(&f->wave.left_out);
    mem_free(f->done);
    mem_free(f);
}

/* Jobs first .. first + count - 1 of a wave are the replica's. */
typedef struct {
    int64_t first, count;
} slice;

static slice slice_of(const window *w, const search_wave *wave, int replica) {
    int64_t first = wave->count * replica / w->replicas;
    return (slice){first, wave->count * (replica + 1) / w->replicas - first};
}

/* ---- committing ---- */

static bool is_wanted(const window *w) {
    return w->status == ESP_OK && !w->last;
}

static void note_failure(window *w, esp_status status, const esp_error *error) {
    if (status == ESP_OK || w->status != ESP_OK) return;
    w->status = status;
    w->error = *error;
}

/* The oldest wave that is not committed, where it is complete and wanted; NULL otherwise. */
static flight *oldest_complete(const window *w) {
    if (w->last || w->committed >= made_end(w)) return NULL;
    flight *f = flight_of(w, w->committed);
    return is_complete(&f->wave) ? f : NULL;
}

static void *commit_waves(void *user) {
    window *w = user;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        flight *oldest = oldest_complete(w);
        if (!oldest && w->searched) break;
        if (!oldest) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        esp_error error = {0};
        bool last = false;
        pthread_mutex_unlock(&w->lock); /* the search goes on meanwhile */
        esp_status status = w->plan->commit(w->plan->user, &oldest->wave, &last, &error);
        pthread_mutex_lock(&w->lock);
        note_failure(w, status, &error);
        pthread_cond_broadcast(&w->changed); /* a block may begin, or never will */
        if (status != ESP_OK) break;
        w->last = last;
        w->made.at[w->committed - w->plan->first] = NULL;
        w->committed++;
        flight_free(oldest);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- giving jobs to replicas ---- */

static void begin_replicas(window *w, int replicas) {
    if (w->replicas) return;
    w->replicas = replicas;
    w->places = MEM_ARRAY(place, replicas);
    for (int i = 0; i < replicas; i++) w->places[i] = (place){w->plan->first, 0, w->plan->first};
}

/* False: it failed, and there is no such wave. */
static bool make_wave(window *w) {
    flight *f = MEM_NEW(flight);
    *f = (flight){.wave = {.wave = made_end(w)}, .done = MEM_ARRAY(int64_t, w->replicas)};
    esp_error error = {0};
    esp_status status = w->plan->make(w->plan->user, &f->wave, &error);
    note_failure(w, status, &error);
    if (status != ESP_OK) {
        flight_free(f);
        return false;
    }
    for (int64_t i = 0; i < f->wave.count; i++) f->wave.jobs[i].owner = f;
    MEM_LIST_PUSH(&w->made, f);
    pthread_cond_broadcast(&w->changed); /* none of its problems may be searchable: it is complete then */
    return true;
}

/* Whether the replica has done its slice of a wave. */
static bool slice_is_done(const window *w, int64_t wave, int replica) {
    if (wave < w->committed) return true;
    const flight *f = flight_of(w, wave);
    return f->done[replica] == slice_of(w, &f->wave, replica).count;
}

/* Whether its open jobs are of fewer waves than the window has. */
static bool may_begin(const window *w, place *at, int replica) {
    while (at->open < at->wave && slice_is_done(w, at->open, replica)) at->open++;
    return at->wave < at->open + w->plan->window;
}

/* Whether the waves of all blocks before that of `wave` are committed. Where they are complete, it sleeps
 * until they are: no job runs then that could be held up. */
static bool block_may_begin(window *w, int64_t wave) {
    int64_t first = wave - wave % w->plan->block;
    for (int64_t before = w->committed; before < first; before++)
        if (!is_complete(&flight_of(w, before)->wave)) return false;
    while (w->committed < first && is_wanted(w)) pthread_cond_wait(&w->changed, &w->lock);
    return true;
}

static search_job *job_of_slice(const window *w, place *at, int replica) {
    flight *f = flight_of(w, at->wave);
    slice own = slice_of(w, &f->wave, replica);
    return at->given < own.count ? &f->wave.jobs[own.first + at->given++] : NULL;
}

/* A replica's slice of a wave is given whole before LATER is answered, and not together with the next one's:
 * what the sampler makes of jobs that it is given together (prompts that begin alike) is then the same in
 * every run, a resumed one too. */
static source_answer next_of(window *w, place *at, int replica, search_job **job) {
    while (is_wanted(w) && at->wave < w->plan->end) {
        if (!may_begin(w, at, replica) || !block_may_begin(w, at->wave)) return SOURCE_LATER;
        if (!is_wanted(w)) break;
        if (at->wave < w->committed) { /* it had no job there */
            *at = (place){at->wave + 1, 0, at->open};
            continue;
        }
        if (at->wave == made_end(w) && !make_wave(w)) break;
        *job = job_of_slice(w, at, replica);
        if (*job) return SOURCE_JOB;
        bool had_jobs = at->given > 0;
        *at = (place){at->wave + 1, 0, at->open};
        if (had_jobs) return SOURCE_LATER;
    }
    return SOURCE_END;
}

static source_answer next_job(void *user, int replica, int replicas, search_job **job) {
    window *w = user;
    pthread_mutex_lock(&w->lock);
    begin_replicas(w, replicas);
    source_answer answer = next_of(w, &w->places[replica], replica, job);
    pthread_mutex_unlock(&w->lock);
    return answer;
}

/* Whose slice the job belongs to. */
static int replica_of(const window *w, const search_wave *wave, const search_job *job) {
    int replica = 0;
    while (slice_of(w, wave, replica).first + slice_of(w, wave, replica).count <= job - wave->jobs) replica++;
    return replica;
}

static esp_status job_done(void *user, search_job *job, esp_error *error) {
    window *w = user;
    pthread_mutex_lock(&w->lock);
    flight *f = job->owner;
    f->done[replica_of(w, &f->wave, job)]++;
    f->wave.done++;
    assert(f->wave.done <= f->wave.count);
    if (is_complete(&f->wave)) pthread_cond_broadcast(&w->changed);
    esp_status status = w->last ? ESP_INTERRUPTED : w->status;
    if (status != ESP_OK && error) *error = w->error;
    pthread_mutex_unlock(&w->lock);
    return status;
}

static void tell(void *user, int64_t done, int64_t sampled) {
    const search_window_plan *plan = ((window *)user)->plan;
    if (plan->progress) plan->progress(plan->user, done, sampled);
}

/* ---- the whole ---- */

static esp_status search_and_commit(window *w, sampler *policy, esp_error *error) {
    pthread_t committing;
    search_source source = {
        .expected = w->plan->expected, .next = next_job, .done = job_done, .progress = tell, .user = w};
    if (!parallel_start(&committing, commit_waves, w))
        return error_fail(error, "close other programs", "the system refuses another thread");
    esp_status status = policy->ops->search(policy, &source, error);
    pthread_mutex_lock(&w->lock);
    w->searched = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(committing, NULL);
    if (w->status == ESP_OK) return w->last ? ESP_OK : status;
    if (error) *error = w->error;
    return w->status;
}

esp_status search_window_run(const search_window_plan *plan, sampler *policy, bool *last, esp_error *error) {
    window w = {.plan = plan, .committed = plan->first};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.changed, NULL);
    esp_status status = search_and_commit(&w, policy, error);
    *last = w.last;
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.changed);
    for (int64_t i = 0; i < w.made.count; i++) flight_free(w.made.at[i]);
    MEM_LIST_FREE(&w.made);
    mem_free(w.places);
    return status;
}
