/* The language-model policy: who proposes and judges steps, for many searches at once, over one KV cache. One
 * scheduler fills each call of model_extend from all searches in flight (continuous batching: the slot of a
 * finished step is taken by the next request of any tree), and every token is computed once in each prefix:
 * candidates of a node share its run, and each other's for as long as their tokens agree.
 *
 * Token ids are the truth: a step keeps the ids that were sampled. A random number is a function of
 * (request, candidate, token) alone (docs/architecture.md, idea 4), so what a tree becomes does not depend on
 * what else is in the batch, up to the rounding of matrix products of another height.
 *
 * The end of a chain has one form: where a newline ends the answer's line, end-of-sequence takes the
 * newline's place, and its log-prob is the one at that place, as supervised fine-tuning teaches it; where the
 * newline stands in one token with other text, that token stays and end-of-sequence comes behind it. */
#ifndef ESPALIER_POLICY_LM_H
#define ESPALIER_POLICY_LM_H

#include "model/model.h"
#include "prompt/prompt.h"

#include <signal.h>

typedef struct lm_policy lm_policy;

enum { LM_USUAL_SEQUENCES = 64, LM_USUAL_BATCH_TOKENS = 512 };

typedef struct {
    float temperature;          /* (2.3) T of the candidates, > 0 */
    search_step_mode step_mode; /* (2.0) */
    bool prose;                 /* (2.0) the end of a sentence ends a step too */
    int32_t max_step_tokens;    /* (2.0) at least 1 */
    int32_t max_chain_tokens;   /* (2.0) all steps of a chain together; at least max_step_tokens */
    bool example;             /* (3.1) the gold rationale stands in the judge's prefix, where gold is known */
    int64_t kv_tokens;        /* size of the KV cache */
    int32_t max_batch_tokens; /* tokens of one model call; 0: LM_USUAL_BATCH_TOKENS */
    int32_t max_sequences;    /* sequences in flight; 0: LM_USUAL_SEQUENCES */
    bool plain; /* lm_search, to compare with: one tree and one candidate at a time, all computed anew */
    const volatile sig_atomic_t *stop; /* looked at between calls; not zero: ESP_INTERRUPTED. May be NULL */
    int64_t *tree_nanoseconds; /* the time in search_next and search_feed is added to it; NULL: no clock */
} lm_settings;

/* model and words are borrowed. Fails on settings out of range and when the cache does not fit in memory. */
esp_status lm_new(lm_policy **out, model *m, const prompt_words *words, const lm_settings *settings,
                  esp_error *error);
void lm_free(lm_policy *p);
const prompt_words *lm_words(const lm_policy *p);

/* Tokens of a chain that the model's context has room for, after the longer of the two prompts; less than 1:
 * such a problem can be neither searched nor answered. gold_known: as in lm_search_job. */
esp_status lm_room(const lm_policy *p, const problem *problem, bool gold_known, bool judge, int64_t *room,
                   esp_error *error);

/* ---- Counting ---- */

/* Of a token, what counts is the id and all that stands before it: computed = distinct + suffixes +
 * recomputed. Distinct are those that no way of sharing could leave out: of both prompts, the prompt itself;
 * of the steps, each token behind which the policy was asked for another one (a step's last only where its
 * node was expanded; also of a step that was dropped as a duplicate, and of a step's dropped end) or that the
 * judge had to read; and so of gold steps. Each is counted once in its prompt, however many candidates,
 * children or requests begin with it. Workers of a small model share nothing, so that what all jobs begin
 * with counts once for each of them. */
typedef struct {
    int64_t sampled;    /* tokens of candidates and chains, as sampled or appended */
    int64_t judged;     /* tokens of the steps that were judged; what siblings agree in, once */
    int64_t suffixes;   /* tokens of judge suffixes */
    int64_t prompts;    /* tokens of prompts and judge prefixes, what jobs share counted once */
    int64_t gold;       /* tokens of gold steps that were scored */
    int64_t computed;   /* tokens that went through the model */
    int64_t distinct;   /* of those, the different ones, suffixes aside: the tree's own tokens */
    int64_t recomputed; /* of those, tokens computed before, suffixes aside: keys that were given up for want
                           of room or were not shared */
} lm_counts;

/* Called between calls of the model: jobs done, tokens sampled so far. */
typedef void lm_progress(void *user, int64_t done, int64_t sampled);

/* ---- Searching ---- */

typedef struct {
    const problem *problem;
    search *search;          /* fresh, made and freed by the caller; done when lm_search returns ESP_OK */
    bool gold_known;         /* false (evaluation, 3.2): neither gold nor rationale is looked at at all */
    int32_t max_step_tokens; /* this problem's own limit where it is lower than the settings'; 0: none */
    lm_counts
        counts; /* out: of this tree alone; what is shared among jobs belongs to the first that used it */
} lm_search_job;

/* Drives all searches to their end. Outcomes are SEARCH_RIGHT or WRONG by task_grade where gold is known,
 * else FINISHED_UNKNOWN. Fails when a prompt leaves no room for an answer in the model's context, when the
 * cache is smaller than one request needs (the message says how large it must be), ESP_INTERRUPTED on
 * request; the KV cache is empty again in any case, and the searches are then of no use. */
esp_status lm_search(lm_policy *p, lm_search_job *jobs, int64_t n, lm_progress *progress, void *user,
                     esp_error *error);

/* ---- Chains: evaluation and generation ---- */

typedef struct {
    const int32_t *prompt; /* [prompt_count]; neighbouring jobs with equal prompts share their keys */
    int64_t prompt_count;
    float temperature; /* 0: greedy */
    rng_key_t key;
    int32_t max_tokens;
    bool free_form; /* only end-of-sequence and max_tokens end it, the task's answer marker does not */
    /* out; freed by lm_chain_free */
    token_list ids;
    MEM_LIST(float) logprobs; /* of the untempered model */
    MEM_LIST(int32_t) ends;   /* where each step ends (2.0), by lines and sentences; the last is ids.count */
    text_buffer text;         /* without control tokens; at is never NULL */
    bool finished;            /* by end-of-sequence or the answer's line */
} lm_chain_job;

esp_status lm_chains(lm_policy *p, lm_chain_job *jobs, int64_t n, lm_counts *counts, lm_progress *progress,
                     void *user, esp_error *error);
void lm_chain_free(lm_chain_job *job);

#endif
