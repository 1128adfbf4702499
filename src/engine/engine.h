/* Many sequences through one model and one KV cache, or through two models, one for each prompt. The engine
 * knows tokens only: no search, no task, no step. It fills each model call from all requests in flight
 * (continuous batching: the slot of a sequence that has ended is taken by the next request of any group), and
 * computes every token once per prefix: sequences share their path, and each other's tokens for as long as
 * these agree.
 *
 * Requests of one group follow one another; requests of different groups run side by side. A request starts
 * only when the pages that it may take at worst are free and not promised to another, so what has started
 * always ends: there is no half-done work to undo and no deadlock. Cached ids that no open request needs may
 * be evicted at any time, least recently used first; they are computed again on demand.
 *
 * A random number is a function of (sequence's key, token) alone (docs/architecture.md, idea 4). */
#ifndef ESPALIER_ENGINE_ENGINE_H
#define ESPALIER_ENGINE_ENGINE_H

#include "base/random.h"
#include "model/model.h"

#include <signal.h>

typedef struct engine engine;

/* A group's ids are computed below one of two prompts (the policy's and the judge's, for whoever uses it),
 * each by the engine's one model or by a model of its own. */
enum { ENGINE_PREFIXES = 2, ENGINE_ANSWERS = 2 };
enum { ENGINE_USUAL_SEQUENCES = 64, ENGINE_USUAL_BATCH_TOKENS = 512 };

typedef struct {
    int64_t kv_tokens;        /* size of the KV cache */
    int32_t max_batch_tokens; /* tokens of one model call; 0: ENGINE_USUAL_BATCH_TOKENS */
    int32_t max_sequences;    /* sequences in flight; 0: ENGINE_USUAL_SEQUENCES */
    model *second; /* borrowed; computes what is below prompt 1, with a half of the cache, from the same
                      tokens; NULL: the one model computes both */
    bool unshared; /* to compare with: one sequence at a time, each with its whole prompt computed again */
    const volatile sig_atomic_t *stop; /* looked at between calls; not zero: ESP_INTERRUPTED. May be NULL */
} engine_settings;

/* model is borrowed. Fails on settings out of range and when the cache does not fit in memory. */
esp_status engine_new(engine **out, model *m, const engine_settings *settings, esp_error *error);
void engine_free(engine *e);
/* Size of a cache in which `count` sequences of at most `most` tokens run side by side after one prompt. */
int64_t engine_cache_tokens(int64_t prompt, int64_t most, int64_t count);
void engine_limit_sequences(engine *e, int32_t max_sequences); /* between runs */
int32_t engine_max_sequences(const engine *e);
model *engine_model(const engine *e); /* that of prompt 0 */

/* Tokens, as policy/sampler.h's token_counts has them. `distinct` counts each different (prefix, token) once.
 */
typedef struct {
    int64_t computed, distinct;
    int64_t prompts;  /* distinct ones of prompts */
    int64_t tails;    /* of tails that were scored; what tails of one request agree in, once */
    int64_t suffixes; /* of suffixes after tails */
} engine_counts;

/* ---- Requests ---- */

/* A stretch of ids between a prompt and where a request starts. `place` numbers what the engine may keep in
 * the cache (a node of a tree); the prompt itself is place 0, which no piece may name. The pieces before
 * sequences are former sequences, those before tails former tails: they are computed in the same way again.
 */
typedef struct {
    int32_t place;
    const int32_t *ids;
    int64_t n;
} engine_piece;

typedef struct {
    int64_t most; /* tokens it can take at worst */
    rng_key_t key;
    float temperature;    /* 0: greedy */
    const int32_t *known; /* its tokens are known and are scored, not sampled; NULL: sampled */
    int64_t known_count;
} engine_sequence;

typedef struct {
    const int32_t *ids;
    int64_t n;
} engine_tail;

/* What is read where a sequence ends now. */
typedef struct {
    bool sample;   /* draw its next token */
    int32_t score; /* the log-prob of this token there; -1: none */
    bool answers;  /* and those of the request's two answers */
} engine_ask;

typedef struct {
    int32_t token;                 /* the sampled one, or the scored one where none was sampled */
    float logprob;                 /* of it, by the untempered model */
    float score;                   /* of the scored token, where both were asked for */
    float answers[ENGINE_ANSWERS]; /* of the two answers, where they were asked for */
} engine_token;

/* Who makes something of the answers. */
typedef struct {
    engine_ask (*ask)(void *user, int32_t sequence);
    /* False: the sequence has ended; *keep is then how many of its tokens are worth keeping in the cache, -1
     * none. */
    bool (*take)(void *user, int32_t sequence, const engine_token *token, int32_t *keep);
    void (*known)(void *user, int32_t sequence, int64_t at, float logprob);
    void (*tail)(void *user, int32_t tail, int answer, float logprob);
} engine_reader;

/* After a path: sequences to be sampled or scored, or tails (not both), after each of which (and the suffix)
 * the log-probs of two answers are read. All arrays are the caller's and stay until the request is complete.
 */
typedef struct {
    int prefix; /* the prompt it is below */
    const engine_piece *path;
    int32_t pieces;
    const engine_sequence *sequences;
    int32_t sequence_count;
    int32_t width;  /* sequences to reserve room for; at least sequence_count */
    bool divisible; /* it may be cut: as many of its first sequences begin as there is room for */
    const engine_tail *tails;
    int32_t tail_count;
    const int32_t *suffix;
    int64_t suffix_count;
    int32_t answers[ENGINE_ANSWERS]; /* of tails, and of sequences that ask for them */
    const engine_reader *reader;
    void *user;
} engine_request;

/* ---- Groups ---- */

typedef struct sequence_group sequence_group;

/* user: the client's own. The group is the engine's and lives until the run ends. */
sequence_group *engine_add_group(engine *e, void *user);
void *group_user(const sequence_group *g);
/* Before the first request: the ids of a prompt (copied). */
void group_set_prompt(sequence_group *g, int prefix, const int32_t *ids, int64_t n);
/* The next request; the first one when the group is added, later ones from `finished`. */
void group_request(sequence_group *g, const engine_request *request);
/* From `finished`: what follows is not known yet. After as many model calls more, or earlier where nothing
 * else can run, the client is asked again (engine_client.resumed); meanwhile the request stays as it is, and
 * others go on. A number of calls and no event decides, so that batches are the same whenever the news comes.
 */
void group_pause(engine *e, sequence_group *g, int64_t calls);
/* No more requests. */
void group_end(sequence_group *g);
int32_t group_begun(const sequence_group *g); /* sequences of a divisible request that have run */
const engine_counts *group_counts(const sequence_group *g);
/* Tokens of the prompts that the groups of its lot share, where it is the first of them; else NULL. */
const engine_counts *group_shared_counts(const sequence_group *g);
/* Of the complete request: keeps a sequence's tokens, or a tail's ids, in the cache as those of a new place.
 */
void group_keep_sequence(engine *e, sequence_group *g, int32_t sequence, int32_t place);
void group_keep_tail(engine *e, sequence_group *g, int32_t tail, int32_t place);
/* Drops the places 0 .. n - 1 that are not marked: no request will need them again. */
void group_keep_only(engine *e, sequence_group *g, const uint8_t *marked, int32_t n);

/* ---- Running ---- */

typedef struct {
    /* Adds groups, if there are more now. wait: nothing is in flight, so that it may sleep until there are;
     * where it then adds none, the run ends. */
    esp_status (*more)(void *user, engine *e, bool wait, esp_error *error);
    /* The group's request is complete. The client takes what it wants to keep, and sets the next request or
     * ends the group. */
    esp_status (*finished)(void *user, engine *e, sequence_group *g, esp_error *error);
    /* The same for a group that `finished` has paused; NULL where it never does. It may wait: all that is in
     * flight waits too. */
    esp_status (*resumed)(void *user, engine *e, sequence_group *g, esp_error *error);
    /* The group has ended. May be NULL. */
    esp_status (*done)(void *user, engine *e, sequence_group *g, esp_error *error);
    void (*progress)(void *user, int64_t groups_done, int64_t sampled); /* between calls; may be NULL */
    void *user;
} engine_client;

/* Runs until all groups have ended. The groups that one call of `more` adds are a lot: what all their prompts
 * begin with is computed once for them, whatever else is in flight. Fails when the cache is smaller than one
 * request needs (the message says how large it must be), ESP_INTERRUPTED on request. Afterwards there are no
 * groups and the cache is empty, in any case. */
esp_status engine_run(engine *e, const engine_client *client, esp_error *error);

#endif
