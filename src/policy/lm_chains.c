/* Plain chains, greedy or sampled, for evaluation and generation: a grove is a prompt, its chains ride as the
 * candidates of its one node. */
#include "policy/lm_inner.h"

#include <assert.h>
#include <string.h>

/* Chains begun together at least, where there are so many: they share what they agree in. */
enum { LEAST_TOGETHER = 8 };

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int32_t chain_length(const grove *g, int64_t index) {
    int32_t most = g->chains[index].max_tokens;
    return most < g->chain_limit ? most : g->chain_limit;
}

/* As many of the chains as there is place for; at least one. */
static int64_t plan_chains(wave *w, grove *g) {
    lane_way way;
    int64_t pages = grove_plan_path(w, g, 0, PREFIX_POLICY, true, &way);
    int64_t place = w->p->set.max_sequences - w->in_flight, left = g->chain_count - g->chain_next;
    if (place < LEAST_TOGETHER) place = LEAST_TOGETHER;
    int64_t wanted = smaller(smaller(place, left), w->p->set.max_sequences), sum = 0;
    int64_t room = kv_pages_total(w->p->kv) - pages_of(w->shared[PREFIX_POLICY].count) -
                   pages_of(g->prefix[PREFIX_POLICY].count);
    g->width = 0;
    while (g->width < wanted) {
        int64_t more = pages_of(chain_length(g, g->chain_next + g->width) + 1) + 2;
        if (g->width && sum + more > room) break;
        sum += more;
        g->width++;
    }
    return pages + sum;
}

static esp_status begin_chains(wave *w, grove *g, esp_error *error) {
    (void)w, (void)error;
    int32_t fork = (int32_t)g->lanes.count - 1;
    assert(g->lanes.at[fork].fork);
    rng_key_t behind = grove_count_path(g, PREFIX_POLICY, 0);
    for (int32_t i = 0; i < g->width; i++) {
        const chain_job *job = &g->chains[g->chain_next + i];
        candidate c = {.lane = fork,
                       .key = job->key,
                       .temperature = job->temperature,
                       .max_tokens = chain_length(g, g->chain_next + i),
                       .whole_chain = true,
                       .behind = behind,
                       .hold_lane = -1};
        step_chain_begin(&c.steps, &g->rules);
        MEM_LIST_PUSH(&g->candidates, c);
    }
    return ESP_OK;
}

static esp_status finish_chain(wave *w, grove *g, candidate *c, chain_job *job, esp_error *error) {
    g->counts.sampled += c->ids.count + c->dropped;
    if (c->ends.count == 0 || c->ends.at[c->ends.count - 1] < c->ids.count)
        MEM_LIST_PUSH(&c->ends, (int32_t)c->ids.count);
    job->finished = c->finished;
    for (int64_t i = 0; i < c->ids.count; i++) {
        MEM_LIST_PUSH(&job->ids, c->ids.at[i]);
        MEM_LIST_PUSH(&job->logprobs, c->logprobs.at[i]);
    }
    for (int64_t i = 0; i < c->ends.count; i++) MEM_LIST_PUSH(&job->ends, c->ends.at[i]);
    return prompt_text(w->p->words, c->ids.at, c->ids.count, &job->text, error);
}

static esp_status finish_chains(wave *w, grove *g, esp_error *error) {
    for (int64_t i = 0; i < g->candidates.count; i++)
        ESP_TRY(finish_chain(w, g, &g->candidates.at[i], &g->chains[g->chain_next + i], error));
    g->chain_next += g->candidates.count;
    g->over = g->chain_next == g->chain_count;
    return ESP_OK;
}

static const wave_kind chaining = {.plan = plan_chains, .begin = begin_chains, .finish = finish_chains};

static bool same_prompt(const chain_job *a, const chain_job *b) {
    return a->prompt_count == b->prompt_count && a->free_form == b->free_form &&
           memcmp(a->prompt, b->prompt, (size_t)a->prompt_count * sizeof *a->prompt) == 0;
}

static esp_status prepare_grove(lm_policy *p, grove *g, chain_job *first, int64_t count, int64_t number,
                                esp_error *error) {
    g->chains = first;
    g->chain_count = count;
    int64_t room;
    if (prompt_check(first->prompt, first->prompt_count, model_configuration(p->m)->vocab,
                     model_context(p->m), &room, error) != ESP_OK)
        return error_prefix(error, "chain %lld", (long long)number);
    for (int64_t i = 0; i < count; i++)
        if (first[i].max_tokens < 1)
            return error_fail(error, "ask for at least one token", "chain %lld: max_tokens is %d",
                              (long long)(number + i), first[i].max_tokens);
    for (int64_t i = 0; i < first->prompt_count; i++)
        MEM_LIST_PUSH(&g->prefix[PREFIX_POLICY], first->prompt[i]);
    g->rules = lm_rules(p);
    g->rules.size = STEP_LINE;
    g->rules.max_step_tokens = INT32_MAX;
    g->rules.max_chain_tokens = 0;
    if (first->free_form) g->rules.markers = NULL;
    g->chain_limit = (int32_t)smaller(room, INT32_MAX);
    return ESP_OK;
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

typedef struct {
    chain_job *at;
    int64_t n;
} chain_list;

/* Where part number `part` of the jobs begins; jobs of one prompt stay together. */
static int64_t part_start(const chain_list *jobs, int part, int parts) {
    int64_t at = jobs->n * part / parts;
    while (at > 0 && at < jobs->n && same_prompt(&jobs->at[at - 1], &jobs->at[at])) at++;
    return at;
}

static esp_status chains_part(lm_policy *p, void *all, int part, int parts, token_counts *counts,
                              sampler_progress *progress, void *user, esp_error *error) {
    const chain_list *jobs = all;
    int64_t end = part_start(jobs, part + 1, parts);
    wave w = {.p = p, .kind = &chaining, .shared_run = {-1, -1}};
    esp_status status = ESP_OK;
    for (int64_t i = part_start(jobs, part, parts), next; i < end && status == ESP_OK; i = next) {
        for (next = i + 1; next < end && same_prompt(&jobs->at[i], &jobs->at[next]);) next++;
        status = prepare_grove(p, wave_add_grove(&w), &jobs->at[i], next - i, i, error);
    }
    if (status == ESP_OK) {
        wave_share(&w);
        status = wave_run(&w, progress, user, error);
    }
    token_counts_add(counts, &w.counts);
    for (int64_t i = 0; i < w.groves.count; i++) {
        counts_close(&w.groves.at[i]->counts);
        token_counts_add(counts, &w.groves.at[i]->counts);
    }
    wave_free(&w);
    return status;
}

esp_status lm_chains(sampler *s, chain_job *jobs, int64_t n, token_counts *counts, sampler_progress *progress,
                     void *user, esp_error *error) {
    lm_policy *p = (lm_policy *)s;
    for (int64_t i = 0; i < n; i++) begin_output(&jobs[i]);
    chain_list all = {jobs, n};
    return lm_deal(p, &all, lm_parts(p, n), chains_part, 64, counts, progress, user, error);
}
