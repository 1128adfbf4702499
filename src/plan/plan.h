/* What a recipe will need, before anything runs: memory by part, and the time of each phase, from the recipe,
 * the data's lengths and speeds measured on this machine. Searches are not guessed at: the search itself runs
 * on made-up steps as long as the data's, and what it asked for is counted. */
#ifndef ESPALIER_PLAN_PLAN_H
#define ESPALIER_PLAN_PLAN_H

#include "recipe/session.h"

#include <jansson.h>

/* Speeds of the model on this machine. */
typedef struct {
    double prefill; /* tokens per second through the layers, prompts and steps fed to the judge */
    double decode;  /* sampled tokens per second with `decode_width` sequences side by side */
    int64_t decode_width;
    double train;  /* distinct tokens per second, forward and backward */
    double update; /* seconds of one optimizer step */
} plan_rates;

/* Measures them in a few seconds on one layer of the model's own shape with random weights, scaled to all
 * layers. width: sequences side by side. */
esp_status plan_measure(const model_config *config, compute *c, int64_t width, plan_rates *out,
                        esp_error *error);

/* Means over the data: over at most 256 problems of each set, evenly taken. */
typedef struct {
    int64_t train_problems, test_problems;
    int64_t sft_problems;                              /* whose worked solutions SFT learns */
    double prompt_tokens, judge_tokens, suffix_tokens; /* judge_tokens: its prefix */
    double steps, step_tokens; /* of a gold rationale; where there is none, 6 steps of 24 tokens */
    double longest;            /* prompt and rationale, tokens */
    double right;              /* share of sampled chains that are right; not known before a run: 0.05 */
} plan_data;

typedef struct {
    double weights, masters, optimizer, activations, kv, reference; /* bytes; reference: the SFT policy's
                                                                       weights where learn.reference is sft */
    double total, available;
} plan_memory;

typedef struct {
    const char *name;                   /* "sft", "search", "learn", "evaluate", "compare" */
    int64_t times;                      /* how often in the run */
    double sampled, prefilled, trained; /* tokens each time */
    int64_t updates;                    /* each time */
    double seconds;                     /* each time */
} plan_phase;

enum { PLAN_PHASES = 5 };

typedef struct {
    plan_memory memory;
    plan_phase phases[PLAN_PHASES];
    double nodes, pairs, right_chains; /* a tree */
    double seconds;                    /* of all */
    plan_data data;
    plan_rates rates;
} plan;

/* rates: measured here or by the caller. config: of the model that the recipe names. */
plan plan_make(const recipe *r, const model_config *config, const plan_data *data, const plan_rates *rates);
/* All of it for a session with its problems read: configuration, data, rates where NULL. */
esp_status plan_session(session *s, const plan_rates *rates, plan *out, esp_error *error);
/* Memory alone; needs no data and no rates. longest: tokens of the longest row, 0 where not known. */
plan_memory plan_memory_of(const recipe *r, const model_config *config, double longest);
/* An error with the figures by part where the run cannot fit. */
esp_status plan_check(const plan_memory *memory, esp_error *error);

json_t *plan_json(const plan *p); /* new reference */
void plan_table(const plan *p, text_buffer *out);

#endif
