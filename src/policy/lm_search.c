/* Searches: their requests become lanes, and what the lanes brought becomes replies. */
#include "base/clock.h"
#include "policy/lm_inner.h"

#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- The tree's own arithmetic, clocked where the settings ask for it ---- */

static void note_tree_time(const lm_policy *p, double began) {
    if (p->set.tree_nanoseconds)
        __atomic_fetch_add(p->set.tree_nanoseconds, (int64_t)((clock_seconds() - began) * 1e9),
                           __ATOMIC_RELAXED);
}

static void ask(const lm_policy *p, search *s, search_request *out) {
    double began = p->set.tree_nanoseconds ? clock_seconds() : 0;
    search_next(s, out);
    note_tree_time(p, began);
}

static esp_status feed(const wave *w, search *s, const search_reply *reply, esp_error *error) {
    double began = w->p->set.tree_nanoseconds ? clock_seconds() : 0;
    esp_status status = search_feed(s, reply, error);
    note_tree_time(w->p, began);
    return status;
}

/* ---- Planning ---- */

static int64_t path_tokens(const grove *g, int32_t node) {
    return search_path_ids(g->job->search, node, NULL);
}

int32_t grove_judged_length(const grove *g, const search_node *node) {
    if (!search_outcome_is_finished(node->outcome) || node->n == 0) return node->n;
    for (int i = 0; i < g->rules.end_count; i++)
        if (node->ids[node->n - 1] == g->rules.ends[i]) return node->n - 1;
    return node->n;
}

static int64_t plan_judge(wave *w, grove *g) {
    const search_request *r = &g->request;
    lane_way way;
    int32_t parent = search_node_at(g->job->search, r->node).parent;
    int64_t pages = grove_plan_path(w, g, parent, PREFIX_JUDGE, false, &way);
    const int32_t **ids = mem_alloc(sizeof *ids * (size_t)r->count);
    int32_t *n = MEM_ARRAY(int32_t, r->count);
    for (int32_t i = 0; i < r->count; i++) {
        search_node node = search_node_at(g->job->search, r->node + i);
        ids[i] = node.ids;
        n[i] = grove_judged_length(g, &node);
    }
    pages += lanes_plan_judge(g, w->p, ids, n, r->count, way);
    mem_free(ids);
    mem_free(n);
    g->width = r->count;
    return pages;
}

static int64_t plan_candidates(wave *w, grove *g) {
    const search_request *r = &g->request;
    lane_way way;
    int64_t pages = grove_plan_path(w, g, r->node, PREFIX_POLICY, true, &way);
    int64_t most = g->chain_limit - path_tokens(g, r->node);
    if (!r->to_end && most > g->step_limit) most = g->step_limit;
    /* A token more for an answer's newline; a run starts a page, and k candidates part at most k - 1 times.
     */
    g->width = r->count + r->wants_gold;
    return pages + g->width * (pages_of(most + 1) + 2);
}

static int64_t plan_search(wave *w, grove *g) {
    return g->request.kind == SEARCH_JUDGE ? plan_judge(w, g) : plan_candidates(w, g);
}

/* ---- Beginning: the candidates ---- */

/* How many of a child's judged ids a child before it in the request begins with too. */
static int32_t agreed_before(const grove *g, int32_t child, int32_t length, const int32_t *ids) {
    int32_t most = 0;
    for (int32_t v = g->request.node; v < child; v++) {
        search_node other = search_node_at(g->job->search, v);
        int32_t n = grove_judged_length(g, &other), same = 0;
        while (same < n && same < length && other.ids[same] == ids[same]) same++;
        if (same > most) most = same;
    }
    return most;
}

static void count_judged(grove *g) {
    const search_request *r = &g->request;
    int32_t parent = search_node_at(g->job->search, r->node).parent;
    rng_key_t behind = grove_count_path(g, PREFIX_JUDGE, parent);
    for (int32_t i = 0; i < r->count; i++) {
        search_node node = search_node_at(g->job->search, r->node + i);
        int32_t n = grove_judged_length(g, &node);
        grove_count(g, behind, node.ids, n);
        g->counts.judged += n - agreed_before(g, r->node + i, n, node.ids);
    }
}

/* The machine as it stands behind `node`. */
static step_machine machine_at(const wave *w, const grove *g, int32_t node) {
    step_machine m;
    step_chain_begin(&m, &g->rules);
    int32_t depth = search_node_at(g->job->search, node).depth, *path = MEM_ARRAY(int32_t, depth);
    search_path(g->job->search, node, path);
    for (int32_t d = 0; d < depth; d++) {
        search_node v = search_node_at(g->job->search, path[d]);
        for (int32_t i = 0; i < v.n; i++) {
            size_t length;
            const char *piece = tokenizer_piece(prompt_tokenizer(w->p->words), v.ids[i], &length);
            step_replay(&m, piece, length);
        }
        step_replay_end(&m);
    }
    mem_free(path);
    return m;
}

/* What of the gold rationale comes behind the path's text, which is the beginning of it but for white space.
 */
static const char *gold_rest(const char *rationale, const text_buffer *path) {
    const char *at = rationale;
    for (size_t i = 0; i < path->length; i++) {
        if (isspace((unsigned char)path->at[i])) continue;
        while (isspace((unsigned char)*at)) at++;
        if (*at) at++;
    }
    if (path->length && isspace((unsigned char)path->at[path->length - 1]))
        while (isspace((unsigned char)*at)) at++;
    return at;
}

/* (2.8) The gold rationale's next step joins the candidates: tokenized on its own, ended by the same rules as
 * a sampled one. */
static esp_status add_gold(wave *w, grove *g, const step_machine *machine, int32_t fork, rng_key_t behind,
                           esp_error *error) {
    lm_policy *p = w->p;
    text_buffer path = {0};
    token_list ids = {0};
    candidate c = {
        .lane = fork, .gold = true, .whole_chain = g->request.to_end, .hold_lane = -1, .steps = *machine};
    esp_status status = prompt_path_text(p->words, g->job->search, g->request.node, &path, error);
    if (status == ESP_OK) {
        const char *rest = gold_rest(g->gold->rationale, &path);
        if (*rest)
            status = tokenizer_encode(prompt_tokenizer(p->words), rest, strlen(rest), false, &ids, error);
        bool more = *rest != 0;
        for (int64_t i = 0; status == ESP_OK && more && i < ids.count; i++)
            more = candidate_push(p->words, &c, ids.at[i], 0);
        if (more || c.wants_eos) { /* the rationale's end */
            candidate_add(&c, prompt_eos(p->words), 0);
            c.wants_eos = false;
            c.finished = true;
        }
    }
    text_free(&path);
    MEM_LIST_FREE(&ids);
    if (status == ESP_OK && c.ids.count > 0) {
        grove_count(g, behind, c.ids.at, c.ids.count - 1);
        MEM_LIST_PUSH(&g->candidates, c);
    } else {
        candidate_free(&c);
    }
    return status;
}

static esp_status begin_search(wave *w, grove *g, esp_error *error) {
    const search_request *r = &g->request;
    if (r->kind == SEARCH_JUDGE) {
        count_judged(g);
        return ESP_OK;
    }
    g->rules.max_step_tokens = r->to_end ? INT32_MAX : g->step_limit;
    g->rules.size = r->to_end ? STEP_LINE : lm_rules(w->p).size;
    step_machine machine = machine_at(w, g, r->node);
    int32_t fork = (int32_t)g->lanes.count - 1; /* -1: the plain way has no lanes */
    assert(fork < 0 || g->lanes.at[fork].fork);
    rng_key_t behind = grove_count_path(g, PREFIX_POLICY, r->node);
    for (int32_t i = 0; i < r->count; i++) {
        candidate c = {.lane = fork,
                       .key = rng_mix(r->key, (uint64_t)(r->first_candidate + i)),
                       .temperature = w->p->set.temperature,
                       .whole_chain = r->to_end,
                       .steps = machine,
                       .behind = behind,
                       .hold_lane = -1};
        MEM_LIST_PUSH(&g->candidates, c);
    }
    bool gold = r->wants_gold && g->gold && g->gold->rationale;
    return gold ? add_gold(w, g, &machine, fork, behind, error) : ESP_OK;
}

/* ---- Finishing: the reply ---- */

/* (2.4) Right or wrong where gold is known, by the text of the whole chain. */
static esp_status settle(wave *w, grove *g, const candidate *c, search_candidate *out, esp_error *error) {
    out->outcome = c->finished ? SEARCH_FINISHED_UNKNOWN : c->cut ? SEARCH_CUT : SEARCH_OPEN;
    if (!c->finished || !g->gold) return ESP_OK;
    text_buffer text = {0};
    token_list ids = {0};
    int64_t before = path_tokens(g, g->request.node);
    MEM_LIST_RESERVE(&ids, before + c->ids.count);
    search_path_ids(g->job->search, g->request.node, ids.at);
    memcpy(ids.at + before, c->ids.at, (size_t)c->ids.count * sizeof *ids.at);
    esp_status status = prompt_text(w->p->words, ids.at, before + c->ids.count, &text, error);
    if (status == ESP_OK) {
        task_grade_result grade = task_grade(prompt_task(w->p->words), text.at, text.length, g->gold->gold);
        out->outcome = grade.correct ? SEARCH_RIGHT : SEARCH_WRONG;
        task_grade_free(&grade);
        const char *rationale = g->gold->rationale;
        out->gold_text = rationale && search_text_key(text.at, text.length) ==
                                          search_text_key(rationale, strlen(rationale));
    }
    MEM_LIST_FREE(&ids);
    text_free(&text);
    return status;
}

static esp_status describe(wave *w, grove *g, const candidate *c, search_candidate *out, esp_error *error) {
    *out = (search_candidate){
        .ids = c->ids.at, .logprobs = c->logprobs.at, .n = (int32_t)c->ids.count, .gold = c->gold};
    for (int64_t i = 0; i < c->ids.count; i++) out->logprob += (double)c->logprobs.at[i];
    text_buffer text = {0};
    esp_status status = prompt_text(w->p->words, c->ids.at, c->ids.count, &text, error);
    if (status == ESP_OK) out->text_key = search_text_key(text.at, text.length);
    text_free(&text);
    return status == ESP_OK ? settle(w, g, c, out, error) : status;
}

static void hold_node(wave *w, grove *g, int32_t node, int side, int32_t lane_index, int32_t fed) {
    if (lane_index < 0) return;
    const lane *l = &g->lanes.at[lane_index];
    kv_run_retain(w->p->kv, l->run);
    g->nodes.at[node].keys[side] = (key_hold){.run = l->run, .fed = fed, .sealed = l->split, .used = w->tick};
}

static esp_status finish_candidates(wave *w, grove *g, esp_error *error) {
    int64_t n = g->candidates.count;
    search *s = g->job->search;
    search_candidate *list = MEM_ARRAY(search_candidate, n);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++) {
        const candidate *c = &g->candidates.at[i];
        status = describe(w, g, c, &list[i], error);
        if (c->gold)
            g->counts.gold += c->ids.count;
        else
            g->counts.sampled += c->ids.count + c->dropped;
    }
    int32_t before = search_node_count(s);
    if (status == ESP_OK)
        status = feed(w, s, &(search_reply){.candidates = list, .candidate_count = (int32_t)n}, error);
    mem_free(list);
    ESP_TRY(status);
    for (int32_t v = before; v < search_node_count(s); v++) {
        MEM_LIST_PUSH(&g->nodes, node_empty());
        search_node node = search_node_at(s, v);
        const candidate *c = &g->candidates.at[node.candidate];
        if (!search_outcome_is_ended(node.outcome))
            hold_node(w, g, v, PREFIX_POLICY, c->hold_lane, c->hold_fed);
    }
    return ESP_OK;
}

/* (3.1) C = P("B") / (P("A") + P("B")). */
static double confidence(double incorrect, double correct) {
    return 1 / (1 + exp(incorrect - correct));
}

static esp_status finish_judge(wave *w, grove *g, esp_error *error) {
    const search_request *r = &g->request;
    search *s = g->job->search;
    double *c = MEM_ARRAY(double, r->count);
    for (int32_t i = 0; i < r->count; i++) {
        c[i] = confidence(g->verdicts.at[2 * i], g->verdicts.at[2 * i + 1]);
        search_node node = search_node_at(s, r->node + i);
        if (!search_outcome_is_ended(node.outcome))
            hold_node(w, g, r->node + i, PREFIX_JUDGE, g->child_lanes.at[i], node.n);
    }
    esp_status status = feed(w, s, &(search_reply){.confidences = c, .confidence_count = r->count}, error);
    mem_free(c);
    return status;
}

static void next_request(wave *w, grove *g) {
    ask(w->p, g->job->search, &g->request);
    g->over = g->request.kind == SEARCH_DONE;
    if (!g->over) {
        grove_leave_behind(w, g);
        return;
    }
    counts_close(&g->counts);
    g->job->counts = g->counts;
}

static esp_status finish_search(wave *w, grove *g, esp_error *error) {
    if (g->request.kind == SEARCH_JUDGE)
        ESP_TRY(finish_judge(w, g, error));
    else
        ESP_TRY(finish_candidates(w, g, error));
    next_request(w, g);
    return ESP_OK;
}

/* ---- The wave ---- */

/* All that may be gold goes through grove.gold. */
static esp_status prepare_grove(lm_policy *p, grove *g, search_job *job, esp_error *error) {
    g->job = job;
    g->gold = job->gold_known ? job->problem : NULL;
    bool judge = search_config_of(job->search)->rewards.judge;
    if (judge && (prompt_verdict_id(p->words, false) < 0 || prompt_verdict_id(p->words, true) < 0))
        return error_fail(error, "turn self_eval off for this model",
                          "the tokenizer has no token \"%s\" or \"%s\" for the judge's verdict",
                          task_verdict(prompt_task(p->words), false),
                          task_verdict(prompt_task(p->words), true));
    prompt_pair prompts;
    esp_status status = prompt_pair_make(p->words, job->problem, judge, job->gold_known && p->set.example,
                                         model_context(p->m), &prompts, error);
    int64_t room = prompts.room;
    memcpy(g->prefix, prompts.of, sizeof g->prefix); /* freed with the grove */
    ESP_TRY(status);
    if (room < 1)
        return error_fail(
            error, "leave the problem out, or use a model with a longer context",
            "problem %s: its prompt of %lld tokens (%lld for the judge) leaves no room for an answer in "
            "the context of %lld",
            job->problem->id ? job->problem->id : "?", (long long)g->prefix[PREFIX_POLICY].count,
            (long long)(g->prefix[PREFIX_JUDGE].count + prompt_judge_suffix(p->words)->count),
            (long long)model_context(p->m));
    g->rules = lm_rules(p);
    g->chain_limit = room < p->set.max_chain_tokens ? (int32_t)room : p->set.max_chain_tokens;
    g->rules.max_chain_tokens = g->chain_limit;
    g->step_limit = p->set.max_step_tokens;
    if (job->max_step_tokens > 0 && job->max_step_tokens < g->step_limit)
        g->step_limit = job->max_step_tokens;
    g->rules.max_step_tokens = g->step_limit;
    ask(p, job->search, &g->request);
    return ESP_OK;
}

/* All jobs that there are now; wait: at least one, where there will be any. */
static esp_status more_searches(wave *w, bool wait, esp_error *error) {
    search_job *job;
    for (; dealer_next(w->jobs, w->replica, wait, &job); wait = false) {
        job->counts = (token_counts){0};
        grove *g = wave_add_grove(w);
        ESP_TRY(prepare_grove(w->p, g, job, error));
        if (w->started > 0) wave_join(w, g);
    }
    return ESP_OK;
}

/* What all jobs share is the first one's. */
static esp_status search_done(wave *w, grove *g, esp_error *error) {
    if (g == w->groves.at[0]) token_counts_add(&g->job->counts, &w->counts);
    return dealer_done(w->jobs, g->job, error);
}

static const wave_kind searching = {.plan = plan_search,
                                    .begin = begin_search,
                                    .finish = finish_search,
                                    .more = more_searches,
                                    .done = search_done};

static esp_status search_part(lm_policy *p, void *all, int part, int parts, token_counts *counts,
                              sampler_progress *progress, void *user, esp_error *error) {
    (void)parts, (void)counts;
    wave w = {.p = p, .kind = &searching, .shared_run = {-1, -1}, .jobs = all, .replica = part};
    dealer_enter(w.jobs);
    esp_status status = more_searches(&w, true, error);
    if (status == ESP_OK) {
        wave_share(&w);
        status = p->set.plain ? plain_run(&w, progress, user, error) : wave_run(&w, progress, user, error);
    }
    dealer_leave(w.jobs, status != ESP_OK);
    wave_free(&w);
    return status;
}

esp_status lm_search(sampler *s, const search_source *source, esp_error *error) {
    lm_policy *p = (lm_policy *)s;
    dealer jobs;
    int parts = lm_parts(p, source->expected);
    dealer_init(&jobs, source, parts);
    esp_status status;
    do status = lm_deal(p, &jobs, parts, search_part, 16, NULL, source->progress, source->user, error);
    while (status == ESP_OK && dealer_another_round(&jobs));
    dealer_destroy(&jobs);
    return status;
}
