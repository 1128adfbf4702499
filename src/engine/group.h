/* A group of sequences from inside: its prompts, its places in the cache, and at most one open request. */
#ifndef ESPALIER_ENGINE_GROUP_H
#define ESPALIER_ENGINE_GROUP_H

#include "engine/cache.h"
#include "engine/feed.h"
#include "engine/hash_set.h"

typedef MEM_LIST(int32_t) id_list;

/* A sequence of the open request. */
typedef struct {
    int32_t feed;            /* it continues at this feed's end; -1: ended */
    int32_t count;           /* tokens so far */
    int32_t last;            /* the last of them */
    engine_ask ask;          /* the last question, */
    int reads;               /* in this number of reads */
    rng_key_t prefix_hash;   /* of everything that was fed */
    int32_t kept_feed, kept; /* once ended: the feed whose run has its first `kept` tokens; -1: none */
} sequence;

/* Ids that all groups of a lot begin with. */
typedef struct {
    id_list ids;
    int32_t run; /* -1: none */
    int64_t done;
    int64_t counted; /* of the ids, in the lot's counts */
} shared_prefix;

/* Groups that were added together. What their prompts begin with is computed once for all of them; lots share
 * nothing with each other, so that what is computed for one does not depend on what ran before it. */
typedef struct {
    shared_prefix shared[ENGINE_PREFIXES];
    int64_t first;  /* number of its first group */
    int64_t groups; /* that have not ended */
    engine_counts counts;
} group_lot;

struct sequence_group {
    void *user;
    int64_t number; /* in the order of adding */
    group_lot *lot;
    id_list prompt[ENGINE_PREFIXES]; /* after what the lot shares */
    cache_places places;
    engine_request request;
    bool open;       /* its feeds are at work */
    int open_prefix; /* the prompt it is below; `request` may be the next one already when it is closed */
    bool over;
    int64_t paused;          /* until that model call; 0: it is not */
    int32_t begun;           /* sequences of the request that have begun */
    int32_t width;           /* sequences and tails that have not ended */
    int64_t promised, taken; /* pages of the open request */
    int32_t feeds_left;      /* not complete */
    MEM_LIST(feed) feeds;
    MEM_LIST(sequence) sequences;
    MEM_LIST(int32_t) tail_feeds; /* the feed where each tail ends; -1: none of its own */
    hash_set seen;                /* tokens that were wanted of the model so far */
    engine_counts counts;
};

/* Pages in `in` of what the lot shares. kv: of each prompt. */
int64_t lot_pages(const group_lot *lot, kv_cache *const kv[ENGINE_PREFIXES], const kv_cache *in);

int32_t group_add_feed(sequence_group *g, feed f);
void group_close_feeds(kv_cache *const kv[ENGINE_PREFIXES], sequence_group *g); /* their runs are released */
void group_clear(kv_cache *const kv[ENGINE_PREFIXES], sequence_group *g); /* everything the group holds */

/* Piece number i of the request's path, 0 being the prompt. */
engine_piece group_piece(const sequence_group *g, int32_t i);

/* Counts ids not seen before after prefix hash `prefix`; returns the hash of the extended prefix. */
rng_key_t group_count(sequence_group *g, rng_key_t prefix, const int32_t *ids, int64_t n);
/* Counts what the open request is certain to need: its path, known sequences and tails. Sequences get the
 * hash of the path. */
void group_count_request(sequence_group *g);

#endif
