/* What all samplers have in common. */
#include "policy/sampler.h"

void token_counts_add(token_counts *sum, const token_counts *c) {
    sum->sampled += c->sampled;
    sum->judged += c->judged;
    sum->suffixes += c->suffixes;
    sum->judge_prefixes += c->judge_prefixes;
    sum->prompts += c->prompts;
    sum->gold += c->gold;
    sum->computed += c->computed;
    sum->distinct += c->distinct;
    sum->recomputed += c->recomputed;
}

int64_t token_counts_judged(const token_counts *c) {
    return c->judge_prefixes + c->judged + c->suffixes;
}

void chain_job_free(chain_job *job) {
    MEM_LIST_FREE(&job->ids);
    MEM_LIST_FREE(&job->logprobs);
    MEM_LIST_FREE(&job->ends);
    text_free(&job->text);
}

void sampler_free(sampler *s) {
    if (s) s->ops->free(s);
}

esp_status sampler_room(const sampler *s, const problem *p, bool gold_known, bool judge, int64_t *room,
                        esp_error *error) {
    return prompt_room(s->words, p, judge, gold_known && s->example, s->context, room, error);
}

esp_status sampler_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts,
                          sampler_progress *progress, void *user, esp_error *error) {
    return s->ops->chains(s, jobs, n, counts, progress, user, error);
}

esp_status sampler_score(sampler *s, score_job *jobs, int64_t n, token_counts *counts,
                         sampler_progress *progress, void *user, esp_error *error) {
    return s->ops->score(s, jobs, n, counts, progress, user, error);
}

/* ---- An array as a source ---- */

typedef struct {
    search_job *jobs;
    int64_t n;
    int64_t *given; /* [replicas], of each one's slice; made when their number is known */
    sampler_progress *progress;
    void *user;
} job_array;

static source_answer array_next(void *user, int replica, int replicas, search_job **job) {
    job_array *a = user;
    if (!a->given) a->given = MEM_ARRAY(int64_t, replicas);
    int64_t first = a->n * replica / replicas, end = a->n * (replica + 1) / replicas,
            at = first + a->given[replica];
    if (at >= end) return SOURCE_END;
    a->given[replica]++;
    *job = &a->jobs[at];
    return SOURCE_JOB;
}

static esp_status array_done(void *user, search_job *job, esp_error *error) {
    (void)user, (void)job, (void)error;
    return ESP_OK;
}

static void array_progress(void *user, int64_t done, int64_t sampled) {
    const job_array *a = user;
    if (a->progress) a->progress(a->user, done, sampled);
}

esp_status sampler_search(sampler *s, search_job *jobs, int64_t n, sampler_progress *progress, void *user,
                          esp_error *error) {
    job_array a = {.jobs = jobs, .n = n, .progress = progress, .user = user};
    search_source source = {
        .expected = n, .next = array_next, .done = array_done, .progress = array_progress, .user = &a};
    esp_status status = s->ops->search(s, &source, error);
    mem_free(a.given);
    return status;
}
