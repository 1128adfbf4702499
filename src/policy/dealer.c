#include "policy/dealer.h"

#include <assert.h>

void dealer_init(dealer *d, const search_source *source, int replicas) {
    *d = (dealer){.source = source, .replicas = replicas, .ended = MEM_ARRAY(bool, replicas)};
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->changed, NULL);
}

void dealer_destroy(dealer *d) {
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->changed);
    mem_free(d->ended);
}

void dealer_enter(dealer *d) {
    pthread_mutex_lock(&d->lock);
    d->running++;
    pthread_mutex_unlock(&d->lock);
}

/* Sleeps until a job is done or a replica ends. False: all others are asleep, so nobody would wake this one.
 */
static bool sleep_until_changed(dealer *d) {
    if (d->waiting + 1 == d->running) return false;
    int64_t seen = d->changes;
    d->waiting++;
    while (d->changes == seen) pthread_cond_wait(&d->changed, &d->lock);
    d->waiting--;
    return true;
}

static void wake(dealer *d) {
    d->changes++;
    pthread_cond_broadcast(&d->changed);
}

bool dealer_next(dealer *d, int replica, bool wait, search_job **job) {
    pthread_mutex_lock(&d->lock);
    source_answer answer = SOURCE_LATER;
    while (!d->failed) {
        answer = d->source->next(d->source->user, replica, d->replicas, job);
        if (answer != SOURCE_LATER || !wait || !sleep_until_changed(d)) break;
    }
    d->ended[replica] = answer == SOURCE_END;
    bool found = answer == SOURCE_JOB && !d->failed;
    d->given += found;
    pthread_mutex_unlock(&d->lock);
    return found;
}

esp_status dealer_done(dealer *d, search_job *job, esp_error *error) {
    pthread_mutex_lock(&d->lock);
    esp_status status = d->source->done(d->source->user, job, error);
    wake(d);
    pthread_mutex_unlock(&d->lock);
    return status;
}

void dealer_leave(dealer *d, bool failed) {
    pthread_mutex_lock(&d->lock);
    d->running--;
    d->failed = d->failed || failed;
    wake(d);
    pthread_mutex_unlock(&d->lock);
}

bool dealer_another_round(dealer *d) {
    for (int r = 0; r < d->replicas && !d->failed; r++)
        if (!d->ended[r]) {
            assert(d->given > 0); /* a source that has more when all its jobs are done must give one */
            d->given = 0;
            return true;
        }
    return false;
}
