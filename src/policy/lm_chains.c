/* Chains, greedy or sampled, for evaluation and generation: a group is a prompt, its chains are the sequences
 * of one request, or of a few where there is no room for all at once. */
#include "policy/answer.h"
#include "policy/lm_policy.h"

#include <string.h>

/* The approximate number of tokens per chain, for engine_replicas_run. */
enum { CHAIN_TOKENS = 64 };

/* The chains of one prompt. */
typedef struct {
    const prompt_words *words;
    chain_job *jobs;      /* [count] */
    int64_t count, first; /* first: of the present request */
    step_rules rules;
    answer_candidate *candidates; /* [count] */
    engine_sequence *sequences;   /* [count] */
    sequence_group *group;
    int64_t sampled;
} chain_group;

/* The chains of one replica. */
typedef struct {
    lm_policy *p;
    chain_job *jobs; /* of all replicas */
    int64_t next, end;
    replica_place *place;
    token_counts *counts;
    MEM_LIST(chain_group *) groups;
} chain_run;

/* ---- Tokens from the engine ---- */

static engine_ask ask_chain(void *user, int32_t i) {
    const chain_group *g = user;
    const answer_candidate *c = &g->candidates[g->first + i];
    return (engine_ask){.sample = !c->wants_eos, .score = answer_scores_eos(c) ? prompt_eos(g->words) : -1};
}

static bool take_chain(void *user, int32_t i, const engine_token *token, int32_t *keep) {
    const chain_group *g = user;
    *keep = -1; /* nothing continues a chain */
    return answer_take(g->words, &g->candidates[g->first + i], token->token, token->logprob, token->score);
}

static const engine_reader reader = {.ask = ask_chain, .take = take_chain};

static void request(chain_group *g) {
    int32_t left = (int32_t)(g->count - g->first);
    group_request(g->group, &(engine_request){.prefix = PREFIX_POLICY,
                                              .sequences = g->sequences + g->first,
                                              .sequence_count = left,
                                              .width = left,
                                              .divisible = true,
                                              .reader = &reader,
                                              .user = g});
}

/* ---- Results ---- */

static esp_status finish_chain(chain_group *g, answer_candidate *c, chain_job *job, esp_error *error) {
    g->sampled += c->ids.count + c->dropped;
    if (c->ends.count == 0 || c->ends.at[c->ends.count - 1] < c->ids.count)
        MEM_LIST_PUSH(&c->ends, (int32_t)c->ids.count);
    job->finished = c->finished;
    MEM_LIST_APPEND(&job->ids, c->ids.at, c->ids.count);
    MEM_LIST_APPEND(&job->logprobs, c->logprobs.at, c->logprobs.count);
    MEM_LIST_APPEND(&job->ends, c->ends.at, c->ends.count);
    return prompt_text(g->words, c->ids.at, c->ids.count, &job->text, error);
}

static esp_status finished(void *user, engine *e, sequence_group *group, esp_error *error) {
    (void)user, (void)e;
    chain_group *g = group_user(group);
    int64_t end = g->first + group_begun(group);
    for (int64_t i = g->first; i < end; i++) ESP_TRY(finish_chain(g, &g->candidates[i], &g->jobs[i], error));
    g->first = end;
    if (end < g->count)
        request(g);
    else
        group_end(group);
    return ESP_OK;
}

static void group_clear_chains(chain_group *g) {
    for (int64_t i = 0; g->candidates && i < g->count; i++) answer_candidate_free(&g->candidates[i]);
    mem_free(g->candidates);
    mem_free(g->sequences);
    g->candidates = NULL;
    g->sequences = NULL;
}

static esp_status done(void *user, engine *e, sequence_group *group, esp_error *error) {
    (void)e;
    (void)error;
    chain_run *run = user;
    chain_group *g = group_user(group);
    token_counts own = lm_counts_of(group_counts(group), group_shared_counts(group));
    own.sampled = g->sampled;
    token_counts_add(run->counts, &own);
    group_clear_chains(g);
    return ESP_OK;
}

/* ---- Jobs ---- */

static bool same_prompt(const chain_job *a, const chain_job *b) {
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

static void begin_chain(chain_group *g, int64_t i, int64_t room) {
    const chain_job *job = &g->jobs[i];
    int32_t most = job->max_tokens < room ? job->max_tokens : (int32_t)room;
    g->sequences[i] = (engine_sequence){.most = most, .key = job->key, .temperature = job->temperature};
    g->candidates[i] = (answer_candidate){.max_tokens = most, .whole_chain = true};
    step_chain_begin(&g->candidates[i].steps, &g->rules);
}

/* number: of the first job among all. */
static esp_status prepare(const lm_policy *p, model *m, chain_group *g, int64_t number, esp_error *error) {
    const chain_job *first = g->jobs;
    int64_t room;
    if (prompt_check(first->prompt, first->prompt_count, model_configuration(m)->vocab, p->base.context,
                     &room, error) != ESP_OK)
        return error_prefix(error, "chain %lld", (long long)number);
    for (int64_t i = 0; i < g->count; i++)
        if (g->jobs[i].max_tokens < 1)
            return error_fail(error, "ask for at least one token", "chain %lld: max_tokens is %d",
                              (long long)(number + i), g->jobs[i].max_tokens);
    group_set_prompt(g->group, PREFIX_POLICY, first->prompt, first->prompt_count);
    g->rules = lm_rules(p);
    g->rules.size = STEP_LINE;
    g->rules.max_step_tokens = INT32_MAX;
    g->rules.max_chain_tokens = 0;
    if (first->free_form) g->rules.markers = NULL;
    g->candidates = MEM_ARRAY(answer_candidate, g->count);
    g->sequences = MEM_ARRAY(engine_sequence, g->count);
    for (int64_t i = 0; i < g->count; i++) begin_chain(g, i, room);
    request(g);
    return ESP_OK;
}

/* All the replica's chains are there from the beginning. */
static esp_status more(void *user, engine *e, bool wait, esp_error *error) {
    (void)wait;
    chain_run *run = user;
    while (run->next < run->end) {
        chain_group *g = MEM_NEW(chain_group);
        int64_t first = run->next++;
        while (run->next < run->end && same_prompt(&run->jobs[first], &run->jobs[run->next])) run->next++;
        *g =
            (chain_group){.words = run->p->base.words, .jobs = run->jobs + first, .count = run->next - first};
        g->group = engine_add_group(e, g);
        MEM_LIST_PUSH(&run->groups, g);
        ESP_TRY(prepare(run->p, engine_model(e), g, first, error));
    }
    return ESP_OK;
}

static void progress(void *user, int64_t groups_done, int64_t sampled) {
    const chain_run *run = user;
    replica_note(run->place, groups_done, sampled);
}

typedef struct {
    lm_policy *p;
    chain_job *jobs;
    int64_t n;
    int replicas;
    token_counts *counts; /* [replicas] */
} chain_work;

/* The first job of a replica; jobs of one prompt stay together. */
static int64_t first_of(const chain_work *work, int replica) {
    int64_t at = work->n * replica / work->replicas;
    while (at > 0 && at < work->n && same_prompt(&work->jobs[at - 1], &work->jobs[at])) at++;
    return at;
}

static esp_status chains_on(void *user, engine *e, int replica, replica_place *place, esp_error *error) {
    const chain_work *work = user;
    chain_run run = {.p = work->p,
                     .jobs = work->jobs,
                     .next = first_of(work, replica),
                     .end = first_of(work, replica + 1),
                     .place = place,
                     .counts = &work->counts[replica]};
    engine_client client = {
        .more = more, .finished = finished, .done = done, .progress = progress, .user = &run};
    esp_status status = engine_run(e, &client, error);
    for (int64_t i = 0; i < run.groups.count; i++) {
        group_clear_chains(run.groups.at[i]);
        mem_free(run.groups.at[i]);
    }
    MEM_LIST_FREE(&run.groups);
    return status;
}

esp_status lm_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                     void *user, esp_error *error) {
    chain_work work = {.p = (lm_policy *)s, .jobs = jobs, .n = n};
    for (int64_t i = 0; i < n; i++) begin_output(&jobs[i]);
    work.replicas = engine_replicas_for(work.p->replicas, n);
    work.counts = MEM_ARRAY(token_counts, work.replicas);
    esp_status status = engine_replicas_run(work.p->replicas, work.replicas, CHAIN_TOKENS, chains_on, &work,
                                            progress, user, error);
    if (counts) *counts = (token_counts){0};
    for (int i = 0; i < work.replicas && counts; i++) token_counts_add(counts, &work.counts[i]);
    mem_free(work.counts);
    return status;
}
