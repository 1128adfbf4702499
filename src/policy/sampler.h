/* Who proposes and judges steps. A sampler takes whole jobs (a search, a chain) and gives them back done; how
 * it fills batches, keeps what was computed, or asks another machine is its own affair. */
#ifndef ESPALIER_POLICY_SAMPLER_H
#define ESPALIER_POLICY_SAMPLER_H

#include "prompt/prompt.h"

/* ---- What was computed ---- */

/* A token counts once per prefix: computed = distinct + suffixes + recomputed. `distinct` is the least any
 * implementation could compute: each different (prefix, token) once - prompts, sampled tokens that were
 * continued (of a dropped duplicate and of a step's dropped end too), tokens the judge read, gold steps.
 * What jobs begin with alike counts once for all that a replica was given together. */
typedef struct {
    int64_t sampled;        /* tokens of candidates and chains, as sampled or appended */
    int64_t judged;         /* tokens of the steps that were judged; what siblings agree in, once */
    int64_t suffixes;       /* tokens of judge suffixes */
    int64_t judge_prefixes; /* tokens of the judge's prompt before the steps, once per tree that was judged */
    int64_t prompts;        /* tokens of prompts and judge prefixes, what jobs share counted once */
    int64_t gold;           /* tokens of gold steps that were scored */
    int64_t computed;       /* tokens that went through the model */
    int64_t distinct;       /* of those, the different ones, suffixes aside: the tree's own tokens */
    int64_t recomputed; /* of those, tokens computed before, suffixes aside: keys that were evicted for want
                           of room or were not shared */
} token_counts;
void token_counts_add(token_counts *sum, const token_counts *c);
/* What the judge read, shared between trees or not (docs/method.md 1.3): its prefix once per tree, steps,
 * suffixes. */
int64_t token_counts_judged(const token_counts *c);

/* ---- Searches ---- */

typedef struct {
    const problem *problem;
    search *search;          /* fresh; made and freed by the caller */
    bool gold_known;         /* false (evaluation, docs/method.md 3.2): gold and rationale are never read */
    int32_t max_step_tokens; /* this problem's own limit where it is lower than the settings'; 0: none */
    void *owner;             /* the caller's own */
    token_counts counts;     /* out: of this tree alone; what jobs share belongs to the first of them */
} search_job;

typedef enum {
    SOURCE_JOB,   /* *job is one more */
    SOURCE_LATER, /* none now, but there will be more once a job that runs is done */
    SOURCE_END,   /* no more */
} source_answer;

/* Called between model calls: jobs done, tokens sampled so far. */
typedef void sampler_progress(void *user, int64_t done, int64_t sampled);

/* Where searches come from and go to. No two calls of next and done run at the same time; both may come from
 * another thread than the caller's. */
typedef struct {
    int64_t expected; /* about how many jobs there will be: decides how many replicas are worth starting */
    /* The next job for replica 0 .. replicas - 1. A replica asks until it is told LATER or END before it
     * starts, and then whenever it has started all it was given. For equal bits from run to run, which
     * replica gets a job must not depend on time: deal by the job's number. */
    source_answer (*next)(void *user, int replica, int replicas, search_job **job);
    /* The job is done: its search has ended and its counts are final. An error stops all. */
    esp_status (*done)(void *user, search_job *job, esp_error *error);
    sampler_progress *progress; /* by the caller's thread; may be NULL */
    void *user;
} search_source;

/* ---- Chains: evaluation and generation ---- */

typedef struct {
    const int32_t *prompt; /* [prompt_count]; neighbouring jobs with equal prompts share their keys */
    int64_t prompt_count;
    float temperature; /* 0: greedy */
    rng_key_t key;
    int32_t max_tokens;
    bool free_form; /* only end-of-sequence and max_tokens end it, the task's answer marker does not */
    /* out; freed by chain_job_free */
    token_list ids;
    MEM_LIST(float) logprobs; /* of the untempered model */
    MEM_LIST(int32_t)
    ends;             /* where each step ends (docs/method.md 2.0), by lines and sentences; the last
                         is ids.count */
    text_buffer text; /* without control tokens; at is never NULL */
    bool finished;    /* by end-of-sequence or the answer's line */
} chain_job;
void chain_job_free(chain_job *job);

/* ---- Known texts ---- */

typedef struct {
    const int32_t *prompt; /* [prompt_count]; neighbouring jobs with equal prompts share their keys */
    int64_t prompt_count;
    const int32_t *ids; /* [count], at least 1: what follows the prompt */
    int64_t count;
    float *logprobs; /* out, [count]: of each id, given all before it */
} score_job;

/* ---- Samplers ---- */

/* Weights to sample with from now on: the number of the update they follow, and where they are. */
typedef struct {
    int64_t number;
    const char *folder;
} policy_version;

typedef struct sampler sampler;

typedef struct {
    const char *name;
    /* Runs searches to their end. Outcomes are those of task_grade where gold is known, else
     * FINISHED_UNKNOWN. Fails where a prompt leaves no room for an answer, ESP_INTERRUPTED on request; the
     * searches that are not done are then of no use. */
    esp_status (*search)(sampler *s, const search_source *source, esp_error *error);
    /* counts: in all jobs; may be NULL. */
    esp_status (*chains)(sampler *s, chain_job *jobs, int64_t n, token_counts *counts,
                         sampler_progress *progress, void *user, esp_error *error);
    /* Scores what is known; jobs done are counted by prompts. counts: in all jobs; may be NULL. Fails where a
     * prompt and its ids do not fit in the context. */
    esp_status (*score)(sampler *s, score_job *jobs, int64_t n, token_counts *counts,
                        sampler_progress *progress, void *user, esp_error *error);
    esp_status (*publish)(sampler *s, const policy_version *version, esp_error *error);
    void (*free)(sampler *s);
} sampler_ops;

/* What every sampler begins with. */
struct sampler {
    const sampler_ops *ops;
    const prompt_words *words; /* borrowed */
    int64_t context;           /* positions of the model */
    bool example; /* the judge sees the gold rationale where gold is known (docs/method.md 3.1) */
};

void sampler_free(sampler *s); /* NULL: nothing */
/* Tokens of a chain that the context has room for, after the longer of the two prompts; less than 1: such a
 * problem can be neither searched nor answered. gold_known: as in search_job. */
esp_status sampler_room(const sampler *s, const problem *p, bool gold_known, bool judge, int64_t *room,
                        esp_error *error);
/* All n searches of an array; replica r of R gets jobs [n r / R, n (r + 1) / R). */
esp_status sampler_search(sampler *s, search_job *jobs, int64_t n, sampler_progress *progress, void *user,
                          esp_error *error);
esp_status sampler_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts,
                          sampler_progress *progress, void *user, esp_error *error);
esp_status sampler_score(sampler *s, score_job *jobs, int64_t n, token_counts *counts,
                         sampler_progress *progress, void *user, esp_error *error);

#endif
