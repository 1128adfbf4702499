/* Feeds: stretches of ids on their way into runs of the KV cache. A request is a list of feeds; decoding adds
 * to it. */
#ifndef ESPALIER_ENGINE_FEED_H
#define ESPALIER_ENGINE_FEED_H

#include "engine/engine.h"

typedef enum {
    FEED_PREFILL, /* ids of a place on the path */
    FEED_DECODE,  /* one sampled token per call, of all sequences that agree so far */
    FEED_SCORE,   /* the tokens of a known sequence */
    FEED_TAIL,    /* a stretch of tails; tails share what they agree in */
    FEED_SUFFIX,  /* the suffix after one tail */
} feed_kind;

/* What a feed's run continues: the run of another feed of the request, or one that is in the cache already;
 * with neither it begins at position 0. */
typedef struct {
    int32_t feed, run; /* -1: not that one */
} attach_point;

typedef struct {
    const int32_t *ids;
    int32_t place, from; /* the ids are the place's, from number `from` on */
    bool extends;        /* continues the run that holds the place's first ids, instead of a new one */
    bool read_last;      /* the sequences' first tokens are read at its end */
} prefill_feed;

typedef struct {
    int32_t token;
    int32_t before; /* tokens of its sequences in the feeds above it */
} decode_feed;

typedef struct {
    const int32_t *ids; /* of the known sequence, without its last */
    int32_t sequence;
} score_feed;

typedef struct {
    const int32_t *ids;
} tail_feed;

typedef struct {
    const int32_t *ids;
    int32_t tail;
} suffix_feed;

typedef struct {
    feed_kind kind;
    int prefix;
    attach_point after;
    int32_t run;          /* own reference; -1 until its first ids are fed */
    int64_t n, done, now; /* ids in all, computed, and in the call that is being put together */
    bool diverges;        /* more than one sequence continues from its end, each in a run of its own */
    union {
        prefill_feed prefill;
        decode_feed decode;
        score_feed score;
        tail_feed tail;
        suffix_feed suffix;
    } as;
} feed;

/* The ids that come next. */
static inline const int32_t *feed_ids(const feed *f) {
    switch (f->kind) {
    case FEED_PREFILL:
        return f->as.prefill.ids + f->done;
    case FEED_DECODE:
        return &f->as.decode.token;
    case FEED_SCORE:
        return f->as.score.ids + f->done;
    case FEED_TAIL:
        return f->as.tail.ids + f->done;
    case FEED_SUFFIX:
        return f->as.suffix.ids + f->done;
    }
    return NULL;
}

#endif
