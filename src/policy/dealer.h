/* Hands the jobs of a source to replicas on threads of their own, one call at a time. A replica that has
 * nothing to do sleeps until a job is done. */
#ifndef ESPALIER_POLICY_DEALER_H
#define ESPALIER_POLICY_DEALER_H

#include "policy/sampler.h"

#include <pthread.h>

typedef struct {
    const search_source *source;
    int replicas;
    int running, waiting; /* replicas */
    int64_t given;        /* jobs of this round */
    int64_t changes;      /* jobs done and replicas ended so far */
    bool *ended;          /* [replicas] were told SOURCE_END */
    bool failed;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} dealer;

void dealer_init(dealer *d, const search_source *source, int replicas);
void dealer_destroy(dealer *d);
void dealer_enter(dealer *d); /* a replica begins */
/* wait: the replica has nothing else to do, so that it sleeps until there is a job. false: none now, or with
 * wait none for it in this round. */
bool dealer_next(dealer *d, int replica, bool wait, search_job **job);
esp_status dealer_done(dealer *d, search_job *job, esp_error *error);
void dealer_leave(dealer *d, bool failed); /* a replica ends; where one failed, all end */
/* Replicas ended without having been told so by the source: where there were fewer threads than replicas and
 * all of them waited for jobs of one that had no thread yet. Another round goes on. */
bool dealer_another_round(dealer *d);

#endif
