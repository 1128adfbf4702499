/* Chains, greedy or sampled, for evaluation and generation. */
#include "policy/answer.h"
#include "policy/lm_prompts.h"

#include <string.h>

/* The approximate number of tokens per chain. */
enum { CHAIN_TOKENS = 64 };

/* The chains of one prompt. */
typedef struct {
    const prompt_words *words;
    step_rules rules;
    answer_candidate *candidates; /* one per job of the group */
} chain_group;

static chain_job *job_at(const prompt_work *work, int64_t i) {
    return (chain_job *)work->user + i;
}

/* ---- Tokens from the engine ---- */

static engine_ask ask_chain(void *user, int32_t i) {
    const prompt_group *g = user;
    const chain_group *own = g->own;
    const answer_candidate *c = &own->candidates[g->begun + i];
    return (engine_ask){.sample = !c->wants_eos, .score = answer_scores_eos(c) ? prompt_eos(own->words) : -1};
}

static bool take_chain(void *user, int32_t i, const engine_token *token, int32_t *keep) {
    const prompt_group *g = user;
    const chain_group *own = g->own;
    *keep = -1; /* nothing continues a chain */
    return answer_take(own->words, &own->candidates[g->begun + i], token->token, token->logprob,
                       token->score);
}

static const engine_reader reader = {.ask = ask_chain, .take = take_chain};

/* ---- Results ---- */

static esp_status finish_chain(prompt_group *g, int64_t i, esp_error *error) {
    const chain_group *own = g->own;
    answer_candidate *c = &own->candidates[i];
    chain_job *job = job_at(g->work, g->first + i);
    g->sampled += c->ids.count + c->dropped;
    if (c->ends.count == 0 || c->ends.at[c->ends.count - 1] < c->ids.count)
        MEM_LIST_PUSH(&c->ends, (int32_t)c->ids.count);
    job->finished = c->finished;
    MEM_LIST_APPEND(&job->ids, c->ids.at, c->ids.count);
    MEM_LIST_APPEND(&job->logprobs, c->logprobs.at, c->logprobs.count);
    MEM_LIST_APPEND(&job->ends, c->ends.at, c->ends.count);
    return prompt_text(own->words, c->ids.at, c->ids.count, &job->text, error);
}

static esp_status finished(prompt_group *g, int64_t n, esp_error *error) {
    for (int64_t i = g->begun; i < g->begun + n; i++) ESP_TRY(finish_chain(g, i, error));
    return ESP_OK;
}

static void clear(prompt_group *g) {
    chain_group *own = g->own;
    if (!own) return;
    for (int64_t i = 0; i < g->count; i++) answer_candidate_free(&own->candidates[i]);
    mem_free(own->candidates);
    mem_free(own);
    g->own = NULL;
}

/* ---- Jobs ---- */

static bool same_prompt(const prompt_work *work, int64_t first, int64_t other) {
    const chain_job *a = job_at(work, first), *b = job_at(work, other);
    return a->prompt_count == b->prompt_count && a->free_form == b->free_form &&
           memcmp(a->prompt, b->prompt, (size_t)a->prompt_count * sizeof *a->prompt) == 0;
}

static void begin_output(chain_job *job) {
    chain_job fresh = {.prompt = job->prompt,
                       .prompt_count = job->prompt_count,
                       .temperature = job->temperature,
                       .key = job->key,
                       .max_tokens = job->max_tokens,
                       .free_form = job->free_form};
    *job = fresh;
    text_append(&job->text, "", 0);
}

static void begin_chain(prompt_group *g, int64_t i, int64_t room) {
    const chain_job *job = job_at(g->work, g->first + i);
    chain_group *own = g->own;
    int32_t most = job->max_tokens < room ? job->max_tokens : (int32_t)room;
    g->sequences[i] = (engine_sequence){.most = most, .key = job->key, .temperature = job->temperature};
    own->candidates[i] = (answer_candidate){.max_tokens = most, .whole_chain = true};
    step_chain_begin(&own->candidates[i].steps, &own->rules);
}

static esp_status prepare(prompt_group *g, const model *m, esp_error *error) {
    const lm_policy *p = g->work->policy;
    const chain_job *jobs = job_at(g->work, g->first);
    int64_t room;
    if (prompt_check(jobs->prompt, jobs->prompt_count, model_configuration(m)->vocab, p->base.context, &room,
                     error) != ESP_OK)
        return error_prefix(error, "chain %lld", (long long)g->first);
    for (int64_t i = 0; i < g->count; i++)
        if (jobs[i].max_tokens < 1)
            return error_fail(error, "ask for at least one token", "chain %lld: max_tokens is %d",
                              (long long)(g->first + i), jobs[i].max_tokens);
    group_set_prompt(g->group, PREFIX_POLICY, jobs->prompt, jobs->prompt_count);
    chain_group *own = g->own = MEM_NEW(chain_group);
    own->words = p->base.words;
    own->rules = lm_rules(p);
    own->rules.size = STEP_LINE;
    own->rules.max_step_tokens = INT32_MAX;
    own->rules.max_chain_tokens = 0;
    if (jobs->free_form) own->rules.markers = NULL;
    own->candidates = MEM_ARRAY(answer_candidate, g->count);
    for (int64_t i = 0; i < g->count; i++) begin_chain(g, i, room);
    return ESP_OK;
}

esp_status lm_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                     void *user, esp_error *error) {
    const prompt_work work = {.policy = (lm_policy *)s,
                              .jobs = n,
                              .tokens_each = CHAIN_TOKENS,
                              .together = same_prompt,
                              .prepare = prepare,
                              .reader = &reader,
                              .finished = finished,
                              .clear = clear,
                              .user = jobs};
    for (int64_t i = 0; i < n; i++) begin_output(&jobs[i]);
    return lm_run_prompts(&work, counts, progress, user, error);
}
