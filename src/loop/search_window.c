#include "loop/search_window.h"

#include <assert.h>
#include <pthread.h>

/* Where a replica is: it is given its slice of one wave after the other. */
typedef struct {
    int64_t wave, given; /* given: jobs of its slice of this wave */
} place;

typedef struct {
    const search_window_plan *plan;
    pthread_mutex_t lock; /* of all that follows */
    pthread_cond_t changed;
    search_wave *waves; /* [window], wave w at w % window */
    int64_t committed;  /* waves before this one are committed */
    int64_t made;       /* waves before this one are made */
    place *places;      /* [replicas]; NULL before the first job */
    bool last;          /* no more waves are wanted */
    bool searched;      /* nothing more will be done: the committing thread ends after what is complete */
    esp_status status;  /* of make and commit */
    esp_error error;
} window;

static search_wave *wave_at(const window *w, int64_t wave) {
    return &w->waves[wave % w->plan->window];
}

static bool is_complete(const search_wave *wave) {
    return wave->done == wave->count;
}

static void wave_clear(search_wave *wave) {
    for (int64_t i = 0; i < wave->count; i++) search_free(wave->jobs[i].search);
    mem_free(wave->jobs);
    mem_free(wave->ordinals);
    text_free(&wave->left_out);
    *wave = (search_wave){0};
}

/* ---- committing ---- */

static void note_failure(window *w, esp_status status, const esp_error *error) {
    if (status == ESP_OK || w->status != ESP_OK) return;
    w->status = status;
    w->error = *error;
}

/* The oldest wave, where it is complete and not committed; NULL otherwise. */
static search_wave *oldest_complete(const window *w) {
    bool there = w->status == ESP_OK && !w->last && w->committed < w->made;
    return there && is_complete(wave_at(w, w->committed)) ? wave_at(w, w->committed) : NULL;
}

static void *commit_waves(void *user) {
    window *w = user;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        search_wave *oldest = oldest_complete(w);
        if (!oldest && w->searched) break;
        if (!oldest) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        esp_error error = {0};
        bool last = false;
        pthread_mutex_unlock(&w->lock); /* the search goes on meanwhile */
        esp_status status = w->plan->commit(w->plan->user, oldest, &last, &error);
        pthread_mutex_lock(&w->lock);
        note_failure(w, status, &error);
        wave_clear(oldest);
        w->last = last;
        w->committed++;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- giving jobs to replicas ---- */

static void make_wave(window *w) {
    search_wave *wave = wave_at(w, w->made);
    *wave = (search_wave){.wave = w->made};
    esp_error error = {0};
    note_failure(w, w->plan->make(w->plan->user, wave, &error), &error);
    for (int64_t i = 0; i < wave->count; i++) wave->jobs[i].owner = wave;
    w->made++;
    pthread_cond_broadcast(&w->changed); /* none of its problems may be searchable: it is complete then */
}

static search_job *job_of_slice(const window *w, place *at, int replica, int replicas) {
    const search_wave *wave = wave_at(w, at->wave);
    int64_t first = wave->count * replica / replicas, end = wave->count * (replica + 1) / replicas;
    return first + at->given < end ? &wave->jobs[first + at->given++] : NULL;
}

/* No job is with a replica. */
static bool all_are_complete(const window *w) {
    for (int64_t i = w->committed; i < w->made; i++)
        if (!is_complete(wave_at(w, i))) return false;
    return true;
}

/* The window is full: it moves on when its oldest wave is committed. Where all jobs are done there is nothing
 * to do but to wait for that; otherwise the replica asks again when a job is done. */
static bool wait_for_commit(window *w) {
    if (!all_are_complete(w)) return false;
    int64_t committed = w->committed;
    while (w->committed == committed && w->status == ESP_OK) pthread_cond_wait(&w->changed, &w->lock);
    return true;
}

/* A replica's slice of a wave is given whole before LATER is answered, and not together with the next one's:
 * what the sampler makes of jobs that it is given together (prompts that begin alike) is then the same in
 * every run, a resumed one too. */
static source_answer next_of(window *w, place *at, int replica, int replicas, search_job **job) {
    const search_window_plan *plan = w->plan;
    for (;;) {
        if (w->status != ESP_OK || w->last || at->wave >= plan->end) return SOURCE_END;
        if (at->wave >= w->committed + plan->window) {
            if (!wait_for_commit(w)) return SOURCE_LATER;
        } else if (at->wave >= w->made) {
            make_wave(w);
        } else {
            *job = job_of_slice(w, at, replica, replicas);
            if (*job) return SOURCE_JOB;
            bool had_jobs = at->given > 0;
            *at = (place){.wave = at->wave + 1};
            if (had_jobs) return SOURCE_LATER;
        }
        /* waves without a job for this replica may be committed before it reaches them */
        if (at->wave < w->committed) *at = (place){.wave = w->committed};
    }
}

static source_answer next_job(void *user, int replica, int replicas, search_job **job) {
    window *w = user;
    pthread_mutex_lock(&w->lock);
    if (!w->places) {
        w->places = MEM_ARRAY(place, replicas);
        for (int i = 0; i < replicas; i++) w->places[i].wave = w->plan->first;
    }
    if (w->places[replica].wave < w->committed) w->places[replica] = (place){.wave = w->committed};
    source_answer answer = next_of(w, &w->places[replica], replica, replicas, job);
    pthread_mutex_unlock(&w->lock);
    return answer;
}

static esp_status job_done(void *user, search_job *job, esp_error *error) {
    window *w = user;
    pthread_mutex_lock(&w->lock);
    search_wave *wave = job->owner;
    wave->done++;
    assert(wave->done <= wave->count);
    if (is_complete(wave)) pthread_cond_broadcast(&w->changed);
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
    pthread_mutex_lock(&w->lock);
    make_wave(w);
    int64_t expected = wave_at(w, w->plan->first)->count;
    pthread_mutex_unlock(&w->lock);
    search_source source = {
        .expected = expected, .next = next_job, .done = job_done, .progress = tell, .user = w};
    if (pthread_create(&committing, NULL, commit_waves, w) != 0)
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
    window w = {.plan = plan,
                .waves = MEM_ARRAY(search_wave, plan->window),
                .committed = plan->first,
                .made = plan->first};
    pthread_mutex_init(&w.lock, NULL);
    pthread_cond_init(&w.changed, NULL);
    esp_status status = search_and_commit(&w, policy, error);
    *last = w.last;
    pthread_mutex_destroy(&w.lock);
    pthread_cond_destroy(&w.changed);
    for (int64_t i = 0; i < plan->window; i++) wave_clear(&w.waves[i]);
    mem_free(w.waves);
    mem_free(w.places);
    return status;
}
