/* Log-probs of known ids after prompts. */
#include "policy/lm_prompts.h"

#include <string.h>

/* The approximate number of tokens of a job. */
enum { SCORED_TOKENS = 16 };

static score_job *job_at(const prompt_work *work, int64_t i) {
    return (score_job *)work->user + i;
}

static void take_known(void *user, int32_t i, int64_t at, float logprob) {
    const prompt_group *g = user;
    job_at(g->work, g->first + g->begun + i)->logprobs[at] = logprob;
}

static const engine_reader reader = {.known = take_known};

static bool same_prompt(const prompt_work *work, int64_t first, int64_t other) {
    const score_job *a = job_at(work, first), *b = job_at(work, other);
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

static esp_status prepare(prompt_group *g, const model *m, esp_error *error) {
    const score_job *jobs = job_at(g->work, g->first);
    int64_t vocab = model_configuration(m)->vocab, context = g->work->policy->base.context;
    for (int64_t i = 0; i < g->count; i++) {
        ESP_TRY(check_job(&jobs[i], vocab, context, g->first + i, error));
        g->sequences[i] =
            (engine_sequence){.most = jobs[i].count, .known = jobs[i].ids, .known_count = jobs[i].count};
    }
    group_set_prompt(g->group, PREFIX_POLICY, jobs->prompt, jobs->prompt_count);
    return ESP_OK;
}

esp_status lm_score(sampler *s, score_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                    void *user, esp_error *error) {
    const prompt_work work = {.policy = (lm_policy *)s,
                              .jobs = n,
                              .tokens_each = SCORED_TOKENS,
                              .together = same_prompt,
                              .prepare = prepare,
                              .reader = &reader,
                              .user = jobs};
    return lm_run_prompts(&work, counts, progress, user, error);
}
