#include "policy/problem_chains.h"

/* Chains of one call of the sampler: bounds the memory of their ids and log-probs; a multiple of any useful
 * batch. */
enum { CHAINS_AT_ONCE = 4096 };

/* One call's work. */
typedef struct {
    const problem_chains *of;
    int64_t first, n; /* problems */
    chain_job *jobs;
    token_list *prompts; /* [n] */
    int64_t *places;     /* [count]: the problems that can be answered */
    int64_t count;
    int64_t done_before, sampled_before;
} block;

static void progress(void *user, int64_t done, int64_t sampled) {
    const block *b = user;
    if (b->of->progress) b->of->progress(b->of->user, b->done_before + done, b->sampled_before + sampled);
}

static esp_status add_problem(sampler *s, block *b, int64_t place, esp_error *error) {
    const problem_chains *of = b->of;
    const problem *p = &of->problems[place];
    int64_t room;
    ESP_TRY(sampler_room(s, p, false, false, &room, error));
    if (room < 1) {
        if (of->left_out) of->left_out(of->user, place);
        return ESP_OK;
    }
    token_list *prompt = &b->prompts[b->count];
    ESP_TRY(prompt_ids(s->words, p, prompt, error));
    for (int64_t j = 0; j < of->each; j++)
        b->jobs[b->count * of->each + j] = (chain_job){.prompt = prompt->at,
                                                       .prompt_count = prompt->count,
                                                       .temperature = of->temperature,
                                                       .key = of->key(of->user, place, j),
                                                       .max_tokens = of->max_tokens};
    b->places[b->count++] = place;
    return ESP_OK;
}

static esp_status run_block(sampler *s, block *b, token_counts *counts, esp_error *error) {
    int64_t each = b->of->each;
    b->jobs = MEM_ARRAY(chain_job, b->n * each);
    b->prompts = MEM_ARRAY(token_list, b->n);
    b->places = MEM_ARRAY(int64_t, b->n);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < b->n && status == ESP_OK; i++) status = add_problem(s, b, b->first + i, error);
    token_counts own = {0};
    if (status == ESP_OK && b->count > 0)
        status = sampler_chains(s, b->jobs, b->count * each, &own, progress, b, error);
    token_counts_add(counts, &own);
    for (int64_t i = 0; i < b->count * each; i++) {
        if (status == ESP_OK) b->of->take(b->of->user, b->places[i / each], i % each, &b->jobs[i]);
        chain_job_free(&b->jobs[i]);
    }
    for (int64_t i = 0; i < b->n; i++) MEM_LIST_FREE(&b->prompts[i]);
    mem_free(b->prompts);
    mem_free(b->places);
    mem_free(b->jobs);
    return status;
}

esp_status problem_chains_run(sampler *s, const problem_chains *c, token_counts *counts, esp_error *error) {
    int64_t most = CHAINS_AT_ONCE / c->each;
    if (most < 1) most = 1;
    *counts = (token_counts){0};
    for (int64_t first = 0; first < c->count; first += most) {
        block b = {.of = c,
                   .first = first,
                   .n = c->count - first < most ? c->count - first : most,
                   .done_before = first * c->each,
                   .sampled_before = counts->sampled};
        ESP_TRY(run_block(s, &b, counts, error));
    }
    return ESP_OK;
}
