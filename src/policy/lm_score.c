/* Log-probs of known ids after prompts: a group is a prompt, its jobs are the known sequences of one request,
 * or of a few where there is no room for all at once. */
#include "policy/lm_policy.h"

#include <string.h>

/* The approximate number of tokens of a job, for engine_replicas_run. */
enum { SCORED_TOKENS = 16 };

/* The jobs of one prompt. */
typedef struct {
    score_job *jobs;      /* [count] */
    int64_t count, first; /* first: of the present request */
    engine_sequence *sequences;
    sequence_group *group;
} score_group;

/* The jobs of one replica. */
typedef struct {
    const lm_policy *p;
    score_job *jobs; /* of all replicas */
    int64_t next, end;
    replica_place *place;
    token_counts *counts;
    MEM_LIST(score_group *) groups;
} score_run;

static void take_known(void *user, int32_t i, int64_t at, float logprob) {
    const score_group *g = user;
    g->jobs[g->first + i].logprobs[at] = logprob;
}

static const engine_reader reader = {.known = take_known};

static void request(score_group *g) {
    int32_t left = (int32_t)(g->count - g->first);
    group_request(g->group, &(engine_request){.prefix = PREFIX_POLICY,
                                              .sequences = g->sequences + g->first,
                                              .sequence_count = left,
                                              .width = left,
                                              .divisible = true,
                                              .reader = &reader,
                                              .user = g});
}

static esp_status finished(void *user, engine *e, sequence_group *group, esp_error *error) {
    (void)user, (void)e, (void)error;
    score_group *g = group_user(group);
    g->first += group_begun(group);
    if (g->first < g->count)
        request(g);
    else
        group_end(group);
    return ESP_OK;
}

static esp_status done(void *user, engine *e, sequence_group *group, esp_error *error) {
    (void)e, (void)error;
    score_run *run = user;
    token_counts own = lm_counts_of(group_counts(group), group_shared_counts(group));
    token_counts_add(run->counts, &own);
    return ESP_OK;
}

/* ---- Jobs ---- */

static bool same_prompt(const score_job *a, const score_job *b) {
    return a->prompt_count == b->prompt_count &&
           memcmp(a->prompt, b->prompt, (size_t)a->prompt_count * sizeof *a->prompt) == 0;
}

/* number: of the job among all. */
static esp_status check_job(const score_job *job, int64_t vocab, int64_t context, int64_t number,
                            esp_error *error) {
    int64_t room;
    if (prompt_check(job->prompt, job->prompt_count, vocab, context, &room, error) != ESP_OK)
        return error_prefix(error, "text %lld", (long long)number);
    if (job->count < 1)
        return error_fail(error, "give at least one token to score", "text %lld is empty", (long long)number);
    if (job->count > room)
        return error_fail(error, "shorten it, or give the model more context",
                          "text %lld: %lld tokens after a prompt of %lld do not fit in the context of %lld",
                          (long long)number, (long long)job->count, (long long)job->prompt_count,
                          (long long)context);
    for (int64_t i = 0; i < job->count; i++)
        if (job->ids[i] < 0 || job->ids[i] >= vocab)
            return error_fail(error, "use the tokenizer that belongs to the model",
                              "text %lld: the tokenizer gives id %d, the model's vocabulary has %lld",
                              (long long)number, job->ids[i], (long long)vocab);
    return ESP_OK;
}

static esp_status prepare(const lm_policy *p, model *m, score_group *g, int64_t number, esp_error *error) {
    g->sequences = MEM_ARRAY(engine_sequence, g->count);
    for (int64_t i = 0; i < g->count; i++) {
        const score_job *job = &g->jobs[i];
        ESP_TRY(check_job(job, model_configuration(m)->vocab, p->base.context, number + i, error));
        g->sequences[i] = (engine_sequence){.most = job->count, .known = job->ids, .known_count = job->count};
    }
    group_set_prompt(g->group, PREFIX_POLICY, g->jobs->prompt, g->jobs->prompt_count);
    request(g);
    return ESP_OK;
}

/* All the replica's jobs are there from the beginning. */
static esp_status more(void *user, engine *e, bool wait, esp_error *error) {
    (void)wait;
    score_run *run = user;
    while (run->next < run->end) {
        score_group *g = MEM_NEW(score_group);
        int64_t first = run->next++;
        while (run->next < run->end && same_prompt(&run->jobs[first], &run->jobs[run->next])) run->next++;
        *g = (score_group){.jobs = run->jobs + first, .count = run->next - first};
        g->group = engine_add_group(e, g);
        MEM_LIST_PUSH(&run->groups, g);
        ESP_TRY(prepare(run->p, engine_model(e), g, first, error));
    }
    return ESP_OK;
}

static void progress(void *user, int64_t groups_done, int64_t sampled) {
    const score_run *run = user;
    replica_note(run->place, groups_done, sampled);
}

typedef struct {
    const lm_policy *p;
    score_job *jobs;
    int64_t n;
    int replicas;
    token_counts *counts; /* [replicas] */
} score_work;

/* The first job of a replica; jobs of one prompt stay together. */
static int64_t first_of(const score_work *work, int replica) {
    int64_t at = work->n * replica / work->replicas;
    while (at > 0 && at < work->n && same_prompt(&work->jobs[at - 1], &work->jobs[at])) at++;
    return at;
}

static esp_status score_on(void *user, engine *e, int replica, replica_place *place, esp_error *error) {
    const score_work *work = user;
    score_run run = {.p = work->p,
                     .jobs = work->jobs,
                     .next = first_of(work, replica),
                     .end = first_of(work, replica + 1),
                     .place = place,
                     .counts = &work->counts[replica]};
    engine_client client = {
        .more = more, .finished = finished, .done = done, .progress = progress, .user = &run};
    esp_status status = engine_run(e, &client, error);
    for (int64_t i = 0; i < run.groups.count; i++) {
        mem_free(run.groups.at[i]->sequences);
        mem_free(run.groups.at[i]);
    }
    MEM_LIST_FREE(&run.groups);
    return status;
}

esp_status lm_score(sampler *s, score_job *jobs, int64_t n, token_counts *counts, sampler_progress *note,
                    void *user, esp_error *error) {
    score_work work = {.p = (lm_policy *)s, .jobs = jobs, .n = n};
    work.replicas = engine_replicas_for(work.p->replicas, n);
    work.counts = MEM_ARRAY(token_counts, work.replicas);
    esp_status status = engine_replicas_run(work.p->replicas, work.replicas, SCORED_TOKENS, score_on, &work,
                                            note, user, error);
    if (counts) *counts = (token_counts){0};
    for (int i = 0; i < work.replicas && counts; i++) token_counts_add(counts, &work.counts[i]);
    mem_free(work.counts);
    return status;
}
