/* A small model's engines, one per thread: each over a replica of the model and a KV cache of its own, which
 * together hold what the settings say. A model of some size has one engine, whose operations take all threads
 * inside. */
#ifndef ESPALIER_ENGINE_REPLICAS_H
#define ESPALIER_ENGINE_REPLICAS_H

#include "engine/engine.h"

typedef struct engine_replicas engine_replicas;

esp_status engine_replicas_new(engine_replicas **out, model *m, const engine_settings *settings,
                               esp_error *error);
void engine_replicas_free(engine_replicas *r);

/* How many replicas are worth starting for that many jobs. */
int engine_replicas_for(const engine_replicas *r, int64_t jobs);

typedef void replica_progress(void *user, int64_t done, int64_t sampled);
/* What one replica does, on a thread of its own: runs its engine, as often as it likes. It reports done and
 * sampled of its own alone, by replica_note(place, ...). */
typedef struct replica_place replica_place;
typedef esp_status replica_work(void *user, engine *e, int replica, replica_place *place, esp_error *error);
void replica_note(replica_place *place, int64_t done, int64_t sampled);

/* Runs `count` replicas until all have returned; the first error counts. tokens_each: about
 * how many tokens of its own a sequence has; this decides how many sequences can keep their keys in a core's
 * cache. progress (may be NULL) gets the sums, by the calling thread only. */
esp_status engine_replicas_run(engine_replicas *r, int count, int64_t tokens_each, replica_work *work,
                               void *user, replica_progress *progress, void *progress_user, esp_error *error);

#endif
