/* The plain way to search, to compare with: one tree after the other and one candidate at a time, each prompt
 * computed anew in a run of its own, and for each step the judge's whole prompt. Requests, candidates and
 * replies are those of the shared way (lm_search.c, lm_candidate.c), so the trees are the same up to
 * rounding; only who computes what differs. */
#include "policy/lm_inner.h"

typedef struct {
    wave *w;
    sampler_progress *progress;
    void *user;
} plain_way;

static esp_status check_room(const wave *w, int32_t run, int64_t n, esp_error *error) {
    const kv_cache *kv = w->p->kv;
    if (kv_pages_needed(kv, run, n) <= kv_pages_free(kv)) return ESP_OK;
    error_fail(error, "raise the cache's size, or lower the length of steps",
               "the KV cache of %lld tokens is too small: one path takes %lld and more",
               (long long)(kv_pages_total(kv) * KV_PAGE_TOKENS), (long long)(kv_run_length(kv, run) + n));
    return error_because(error, ESP_REASON_CACHE_FULL);
}

/* Feeds n ids to the run, in calls of at most max_batch_tokens, and answers the reads: `at` counts in ids,
 * ascending. */
static esp_status feed(const plain_way *way, grove *g, int32_t run, const int32_t *ids, int64_t n,
                       kv_read *reads, int64_t read_count, esp_error *error) {
    wave *w = way->w;
    const lm_policy *p = w->p;
    ESP_TRY(check_room(w, run, n, error));
    for (int64_t done = 0, answered = 0; done < n;) {
        if (p->set.stop && *p->set.stop) return error_set(error, ESP_INTERRUPTED, NULL, "stopped on request");
        int64_t take = n - done < p->set.max_batch_tokens ? n - done : p->set.max_batch_tokens;
        int64_t first = answered;
        for (; answered < read_count && reads[answered].at < done + take; answered++)
            reads[answered].at -= done;
        ESP_TRY(model_extend(p->m, p->kv, &(kv_feed){run, ids + done, take}, 1, reads + first,
                             answered - first, error));
        g->counts.computed += take;
        done += take;
        if (way->progress) way->progress(way->user, w->done, w->sampled);
    }
    return ESP_OK;
}

static void append(token_list *list, const int32_t *ids, int64_t n) {
    for (int64_t i = 0; i < n; i++) MEM_LIST_PUSH(list, ids[i]);
}

/* The whole prompt of a side and the steps from the root to `node`. */
static token_list path_behind_prompt(const wave *w, const grove *g, int side, int32_t node) {
    token_list out = {0};
    if (!g->alone[side]) append(&out, w->shared[side].at, w->shared[side].count);
    append(&out, g->prefix[side].at, g->prefix[side].count);
    int64_t n = search_path_ids(g->job->search, node, NULL);
    MEM_LIST_RESERVE(&out, out.count + n + 1);
    search_path_ids(g->job->search, node, out.at + out.count);
    out.count += n;
    return out;
}

/* ---- Candidates ---- */

static esp_status sample(const plain_way *way, grove *g, const token_list *state, candidate *c,
                         esp_error *error) {
    wave *w = way->w;
    int32_t run = kv_run_new(w->p->kv, -1), said = 0;
    const int32_t *next = state->at;
    int64_t n = state->count;
    esp_status status = ESP_OK;
    for (bool more = true; more && status == ESP_OK; next = &said, n = 1) {
        kv_read reads[2];
        int asked = candidate_reads(w->p->words, c, reads);
        for (int r = 0; r < asked; r++) reads[r].at = n - 1;
        status = feed(way, g, run, next, n, reads, asked, error);
        if (status != ESP_OK) break;
        more = grove_take(w->p, g, c, reads);
        w->sampled++;
        said = c->ids.at[c->ids.count - 1];
    }
    kv_run_release(w->p->kv, run);
    return status;
}

/* (2.8) A gold step is known: prompt, path and step are one feed, but for the last id, which is only scored.
 */
static esp_status score_gold(const plain_way *way, grove *g, const token_list *state, candidate *c,
                             esp_error *error) {
    token_list whole = {0};
    append(&whole, state->at, state->count);
    append(&whole, c->ids.at, c->ids.count - 1);
    kv_read *reads = MEM_ARRAY(kv_read, c->ids.count);
    for (int64_t i = 0; i < c->ids.count; i++)
        reads[i] = (kv_read){.at = state->count - 1 + i, .kind = READ_SCORE, .token = c->ids.at[i]};
    int32_t run = kv_run_new(way->w->p->kv, -1);
    esp_status status = feed(way, g, run, whole.at, whole.count, reads, c->ids.count, error);
    for (int64_t i = 0; i < c->ids.count && status == ESP_OK; i++) c->logprobs.at[i] = reads[i].logprob;
    kv_run_release(way->w->p->kv, run);
    mem_free(reads);
    MEM_LIST_FREE(&whole);
    return status;
}

static esp_status answer_candidates(const plain_way *way, grove *g, esp_error *error) {
    token_list state = path_behind_prompt(way->w, g, PREFIX_POLICY, g->request.node);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < g->candidates.count && status == ESP_OK; i++) {
        candidate *c = &g->candidates.at[i];
        status = c->gold ? score_gold(way, g, &state, c, error) : sample(way, g, &state, c, error);
    }
    MEM_LIST_FREE(&state);
    return status;
}

/* ---- Judging ---- */

/* (3.1) Log-probs of the two verdicts behind the whole prompt of one child. */
static esp_status judge_child(const plain_way *way, grove *g, int32_t node, esp_error *error) {
    const lm_policy *p = way->w->p;
    search_node child = search_node_at(g->job->search, node);
    int32_t judged = grove_judged_length(g, &child);
    token_list whole = path_behind_prompt(way->w, g, PREFIX_JUDGE, node);
    whole.count -= child.n - judged;
    append(&whole, prompt_judge_suffix(p->words)->at, prompt_judge_suffix(p->words)->count);
    kv_read reads[2];
    for (int v = 0; v < 2; v++)
        reads[v] =
            (kv_read){.at = whole.count - 1, .kind = READ_SCORE, .token = prompt_verdict_id(p->words, v)};
    int32_t run = kv_run_new(p->kv, -1);
    esp_status status = feed(way, g, run, whole.at, whole.count, reads, 2, error);
    for (int v = 0; v < 2 && status == ESP_OK; v++) MEM_LIST_PUSH(&g->verdicts, (double)reads[v].logprob);
    kv_run_release(p->kv, run);
    MEM_LIST_FREE(&whole);
    g->counts.suffixes += prompt_judge_suffix(p->words)->count;
    return status;
}

static esp_status answer_judge(const plain_way *way, grove *g, esp_error *error) {
    g->verdicts.count = g->child_lanes.count = 0;
    for (int32_t i = 0; i < g->request.count; i++) {
        ESP_TRY(judge_child(way, g, g->request.node + i, error));
        MEM_LIST_PUSH(&g->child_lanes, -1);
    }
    return ESP_OK;
}

/* ---- One tree after the other ---- */

static esp_status answer(const plain_way *way, grove *g, esp_error *error) {
    wave *w = way->w;
    ESP_TRY(w->kind->begin(w, g, error));
    if (g->request.kind == SEARCH_JUDGE)
        ESP_TRY(answer_judge(way, g, error));
    else
        ESP_TRY(answer_candidates(way, g, error));
    esp_status status = w->kind->finish(w, g, error);
    for (int64_t i = 0; i < g->candidates.count; i++) candidate_free(&g->candidates.at[i]);
    g->candidates.count = 0;
    return status;
}

esp_status plain_run(wave *w, sampler_progress *progress, void *user, esp_error *error) {
    plain_way way = {w, progress, user};
    /* What all prompts begin with is counted once, for the first. */
    for (int side = 0; w->groves.count > 0 && side < PREFIXES; side++) {
        w->groves.at[0]->counts.prompts += w->shared[side].count;
        w->groves.at[0]->counts.distinct += w->shared[side].count;
    }
    for (;; w->done++) {
        if (w->done == w->groves.count) ESP_TRY(w->kind->more(w, true, error));
        if (w->done == w->groves.count) break;
        grove *g = w->groves.at[w->done];
        MEM_LIST_PUSH(&g->nodes, node_empty());
        w->started++;
        while (!g->over) ESP_TRY(answer(&way, g, error));
        ESP_TRY(w->kind->done(w, g, error));
        grove_clear(w, g);
    }
    if (progress) progress(user, w->done, w->sampled);
    return ESP_OK;
}
