/* The language-model policy from inside. Private to src/policy/lm*.c.
 *
 * A grove is what is in flight for one tree (or for the chains of one prompt): handles on the keys of its
 * nodes, and at most one open request. An open request is a list of lanes; a lane feeds a stretch of ids to
 * one KV run. A request starts only when the pages it may take at worst are free and not promised to another,
 * so what has started always ends: there is no half-done work to give up and no deadlock. Keys of nodes that
 * no open request needs may be given up at any time, oldest first; they are computed again on demand. */
#ifndef ESPALIER_POLICY_LM_INNER_H
#define ESPALIER_POLICY_LM_INNER_H

#include "policy/dealer.h"
#include "policy/lm.h"
#include "text/steps.h"

/* Hold on the keys of a node's ids in one prefix. */
typedef struct {
    int32_t run;  /* -1: none */
    int32_t fed;  /* how many of the node's own ids are in the run or above it */
    bool sealed;  /* runs hang on this one: what follows needs a run of its own */
    bool pinned;  /* an open request stands on it */
    int64_t used; /* the tick of its last use */
} key_hold;

typedef struct {
    key_hold keys[PREFIXES];
} lm_node;

typedef enum {
    LANE_PATH,   /* ids of the problem or of a node on the way to where the request stands */
    LANE_RIDE,   /* one sampled token a call, of all candidates that agree so far */
    LANE_GOLD,   /* a gold step, to be scored */
    LANE_STEP,   /* a stretch of steps to be judged; siblings share what they agree in */
    LANE_SUFFIX, /* the judge's suffix behind one step */
} lane_kind;

typedef struct {
    lane_kind kind;
    int side;
    int32_t parent;        /* the lane whose run this one hangs on; -1: the run `base` */
    int32_t base;          /* borrowed; -1: none */
    int32_t run;           /* own hold; -1 until its first ids are fed */
    const int32_t *ids;    /* [n], but of a RIDE, whose one is `token` */
    int64_t n, done, take; /* take: in the call that is being put together */
    int32_t token;
    int32_t node, from; /* PATH: the ids are the node's, from there on */
    bool fork;          /* PATH: the candidates' first tokens are read at its end */
    bool split;         /* RIDE: more than one thing goes on from its end */
    int32_t mark; /* RIDE: a candidate's ids before its first; SUFFIX: which child; GOLD: which candidate */
} lane;

/* Where the next lane hangs: on a lane, or on a run. */
typedef struct {
    int32_t lane, run;
} lane_way;

/* A step, or a chain, in the making. */
typedef struct {
    int32_t lane; /* rides there; -1: ended */
    rng_key_t key;
    float temperature;  /* 0: greedy */
    int32_t max_tokens; /* of a chain; 0: the step's rules say */
    bool whole_chain;   /* goes on behind the ends of steps */
    bool gold;
    bool wants_eos; /* the answer's line has ended: end-of-sequence is scored next */
    bool finished, cut;
    int32_t dropped;  /* tokens sampled and not kept */
    rng_key_t behind; /* stands for the ids that were fed, for grove_count */
    token_list ids;
    MEM_LIST(float) logprobs;
    MEM_LIST(int32_t) ends; /* of steps, in ids */
    step_machine steps;
    int32_t hold_lane, hold_fed; /* once ended: the lane that has its first hold_fed ids; -1: none */
} candidate;

/* lm_distinct.c: open addressing, 0 is an empty slot. */
typedef struct {
    uint64_t *at; /* [slots], a power of two */
    int64_t slots, count;
} key_set;

typedef struct {
    search_job *job;     /* NULL for chains */
    const problem *gold; /* NULL where gold is not known: nothing gold goes another way */
    chain_job *chains;
    int64_t chain_count, chain_next; /* of one prompt; the first not begun */
    token_list prefix[PREFIXES];     /* ids behind what all jobs share */
    bool alone[PREFIXES];            /* begins otherwise than all others */
    int32_t chain_limit;             /* tokens a whole chain may have */
    int32_t step_limit;              /* tokens a step may have */
    step_rules rules;
    MEM_LIST(lm_node) nodes;
    int32_t top;
    search_request request;
    bool open; /* lanes are at work on the request */
    bool over;
    int32_t width;           /* sequences of the request that have not ended */
    int64_t promised, taken; /* pages of the open request */
    int32_t lanes_left;      /* not complete */
    MEM_LIST(lane) lanes;
    MEM_LIST(candidate) candidates;
    MEM_LIST(double) verdicts;     /* log P("A"), log P("B") of each child */
    MEM_LIST(int32_t) child_lanes; /* the STEP lane where each child ends; -1: none */
    token_counts counts;
    key_set computed; /* each token that was wanted of the model so far, with what stands before it */
} grove;

typedef struct lm_policy {
    sampler base;
    model *m;
    const prompt_words *words;
    lm_settings set;
    kv_cache *kv;
    struct lm_policy *side; /* [sides]: the same policy over other workers of a small model */
    int sides;
} lm_policy;

typedef struct wave wave;

/* What a wave of searches and a wave of chains do differently. */
typedef struct {
    /* Plans the lanes of the grove's request. Returns the pages it takes at worst; sets width. */
    int64_t (*plan)(wave *w, grove *g);
    /* The pages are there: makes the candidates. */
    esp_status (*begin)(wave *w, grove *g, esp_error *error);
    /* All lanes are complete: takes the result, and sets the next request or over. */
    esp_status (*finish)(wave *w, grove *g, esp_error *error);
    /* Adds groves that there are jobs for now; wait: nothing is in flight, so that it may sleep until there
     * is one. NULL: all are there from the beginning. */
    esp_status (*more)(wave *w, bool wait, esp_error *error);
    /* The grove is over. May be NULL. */
    esp_status (*done)(wave *w, grove *g, esp_error *error);
} wave_kind;

typedef struct {
    grove *g; /* NULL: what all share, of side `lane` */
    int32_t lane;
    int64_t first_read;
} feed_owner;

/* What is in flight between a job's first call of the model and the last job's last. */
struct wave {
    lm_policy *p;
    const wave_kind *kind;
    MEM_LIST(grove *) groves; /* started in this order */
    int64_t started, done;
    dealer *jobs; /* searches: where they come from */
    int replica;
    token_list shared[PREFIXES]; /* ids that all jobs begin with */
    int32_t shared_run[PREFIXES];
    int64_t shared_done[PREFIXES];
    MEM_LIST(grove *) active;
    int64_t promised;  /* pages promised to open requests and not yet taken */
    int32_t in_flight; /* sequences */
    int64_t tick;
    token_counts counts; /* of what all share */
    int64_t sampled;
    MEM_LIST(kv_feed) feeds;
    MEM_LIST(kv_read) reads;
    MEM_LIST(feed_owner) owners;
};

/* Pages that n tokens take in a run of their own. */
static inline int64_t pages_of(int64_t n) {
    return (n + KV_PAGE_TOKENS - 1) / KV_PAGE_TOKENS;
}

/* lm_sides.c: jobs dealt out to the workers of a small model, each a policy with a KV cache of its own. */
enum { LM_SIDES = 64 }; /* at most, the policy itself among them */
/* The jobs of one of `parts` replicas. */
typedef esp_status lm_part(lm_policy *p, void *jobs, int part, int parts, token_counts *counts,
                           sampler_progress *progress, void *user, esp_error *error);
esp_status lm_sides_new(lm_policy *p, esp_error *error);
void lm_sides_free(lm_policy *p);
/* How many replicas are worth starting for so many jobs. */
int lm_parts(const lm_policy *p, int64_t jobs);
/* Runs all parts, each on a thread; keys: tokens that a sequence has of its own, about. counts (may be NULL)
 * is their sum. progress is called by the calling thread only. */
esp_status lm_deal(lm_policy *p, void *jobs, int parts, lm_part *part, int64_t keys, token_counts *counts,
                   sampler_progress *progress, void *user, esp_error *error);

/* lm_keys.c: holds on the keys of nodes */
lm_node node_empty(void);
void hold_release(wave *w, key_hold *h);
/* Lanes from the deepest node on the way to `node` whose keys are there; *way is where the request's own
 * lanes hang, pages what the lanes take. The way is pinned until grove_unpin. fork: the last token is fed in
 * any case, for reads behind it. */
int64_t grove_plan_path(wave *w, grove *g, int32_t node, int side, bool fork, lane_way *way);
void grove_unpin(grove *g);
void grove_leave_behind(wave *w, grove *g);
void grove_release(wave *w, grove *g);
/* Gives up keys that no open request stands on, least recently used first, until so many pages came free. */
void wave_give_up(wave *w, int64_t pages);

/* lm_candidate.c: one step or chain, token by token */
void candidate_free(candidate *c);
/* The questions about what follows its last token; feed and at are left to the caller. Returns how many. */
int candidate_reads(const prompt_words *words, const candidate *c, kv_read out[2]);
/* Takes the answers. False: it has ended. */
bool candidate_take(const prompt_words *words, candidate *c, const kv_read *reads);
/* A sampled token, or one that is known (gold). False: it has ended; with wants_eos set, end-of-sequence is
 * to be scored behind its last token. */
bool candidate_push(const prompt_words *words, candidate *c, int32_t token, float logprob);
void candidate_add(candidate *c, int32_t token, float logprob);

/* lm_lanes.c: lanes and what comes back for them */
int32_t grove_add_lane(grove *g, lane l);
/* Lanes for the children to be judged, behind `way`: ids [children] with counts n. Returns the pages at
 * worst. */
int64_t lanes_plan_judge(grove *g, const lm_policy *p, const int32_t *const *ids, const int32_t *n,
                         int32_t children, lane_way way);
/* Appends the reads of a lane whose next `take` ids are being fed as feed number `feed`. */
void lane_ask(wave *w, grove *g, int32_t index, int32_t feed);
/* The ids were fed and the reads, if any, answered. */
void lane_deliver(wave *w, grove *g, int32_t index, const kv_read *reads);

/* lm_wave.c: the scheduler */
grove *wave_add_grove(wave *w);
/* Sets the ids that all groves begin with apart from their prefixes. */
void wave_share(wave *w);
/* Takes what all share off the prefixes of a grove that came later; one that begins otherwise shares nothing.
 */
void wave_join(wave *w, grove *g);
esp_status wave_run(wave *w, sampler_progress *progress, void *user, esp_error *error);
/* Gives up all that a grove holds. */
void grove_clear(wave *w, grove *g);
/* Frees everything; all pages are free again. */
void wave_free(wave *w);

/* lm_search.c, lm_chains.c: the operations of the sampler */
esp_status lm_search(sampler *s, const search_source *source, esp_error *error);
esp_status lm_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                     void *user, esp_error *error);
/* (3.1) A step's ids as the judge sees them: without end-of-sequence. */
int32_t grove_judged_length(const grove *g, const search_node *node);

/* lm_plain.c: in wave_run's place, with nothing shared */
esp_status plain_run(wave *w, sampler_progress *progress, void *user, esp_error *error);

/* lm_distinct.c: what had to be computed, counted once */
void key_set_free(key_set *s);
/* Counts ids behind `behind` that were not counted before; returns what stands for their end. */
rng_key_t grove_count(grove *g, rng_key_t behind, const int32_t *ids, int64_t n);
/* The same of a side's prompt and the steps down to `node`. */
rng_key_t grove_count_path(grove *g, int side, int32_t node);
/* candidate_take for a candidate whose ids were all fed, which is counted. */
bool grove_take(const lm_policy *p, grove *g, candidate *c, const kv_read *reads);
/* Sets recomputed from the others. */
void counts_close(token_counts *c);

/* lm.c */
step_rules lm_rules(const lm_policy *p);

#endif
