/* The engine from inside: models, caches, and what is in flight between a run's first model call and its
 * last. */
#ifndef ESPALIER_ENGINE_STATE_H
#define ESPALIER_ENGINE_STATE_H

#include "engine/group.h"

/* Whose a feed of the present call is. */
typedef struct {
    sequence_group *group; /* NULL: the shared ids of the lot, of prefix `feed` */
    group_lot *lot;
    int32_t feed;
    int64_t first_read;
} feed_owner;

/* A model with its cache, and what it is to compute in the present call. */
typedef struct {
    model *m;
    kv_cache *kv;
    int64_t promised; /* pages promised to open requests and not yet taken */
    int64_t room;     /* tokens that the call has room for */
    MEM_LIST(kv_feed) feeds;
    MEM_LIST(kv_read) reads;
    MEM_LIST(feed_owner) owners;
} cached_model;

struct engine {
    cached_model models[ENGINE_PREFIXES];
    int model_count;
    cached_model *of[ENGINE_PREFIXES]; /* the model of each prompt, */
    kv_cache *kv[ENGINE_PREFIXES];     /* and its cache */
    engine_settings set;
    /* the run */
    MEM_LIST(sequence_group *) groups; /* started in this order */
    int64_t started, done;
    MEM_LIST(sequence_group *) active;
    MEM_LIST(group_lot *) lots;
    int32_t in_flight; /* sequences */
    int64_t tick;
    int64_t calls; /* model calls; those that were passed over for want of anything to do count too */
    int64_t sampled;
};

esp_status engine_check_stop(const engine *e, esp_error *error); /* ESP_INTERRUPTED on request */

#endif
