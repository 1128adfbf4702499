/* Search: an iteration's problems in waves, each wave searched side by side and committed whole. */
#include "loop/phases.h"
#include "loop/tree_pairs.h"
#include "loop/tree_rows.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The train set's problem at place `ordinal` of an iteration: the next B of a seeded shuffle, a new one each
 * epoch. */
static int64_t problem_at(const session *s, int64_t iteration, int64_t ordinal, int64_t *order,
                          int64_t *order_epoch) {
    int64_t n = s->train.count, place = (iteration - 1) * s->recipe->run.problems_per_iteration + ordinal,
            epoch = place / n;
    if (*order_epoch != epoch)
        rng_shuffle(rng_mix(rng_mix(rng_key((uint64_t)s->recipe->run.seed), 0x6f72646572), (uint64_t)epoch),
                    order, n);
    *order_epoch = epoch;
    return order[place % n];
}

/* The tree's key: seed, iteration, problem; and, if an iteration is longer than the train set, the number of
 * times that the problem has been searched, so that it does not grow the same tree again. */
static rng_key_t tree_key(const session *s, int64_t iteration, int64_t ordinal, const problem *p) {
    int64_t n = s->train.count, first = (iteration - 1) * s->recipe->run.problems_per_iteration,
            turn = (first + ordinal) / n - first / n;
    rng_key_t key =
        rng_mix(rng_mix(rng_key((uint64_t)s->recipe->run.seed), (uint64_t)iteration), (uint64_t)p->index);
    return turn ? rng_mix(key, (uint64_t)turn) : key;
}

/* ---- a finished tree to the store ---- */

static esp_status store_nodes_of(run_state *run, int64_t tree, const search *s, esp_error *error) {
    int32_t count = search_node_count(s);
    store_node *rows = MEM_ARRAY(store_node, count);
    tree_rows_nodes(s, rows);
    text_buffer text = {0};
    esp_status status = ESP_OK;
    for (int32_t i = 0; i < count && status == ESP_OK; i++) {
        text_clear(&text);
        if (rows[i].count > 0)
            status = tokenizer_decode_more(run->session.tokenizer, rows[i].ids, rows[i].count, false, &text,
                                           error);
        rows[i].text = text.at ? text.at : "";
        if (status == ESP_OK) status = store_add_nodes(run->store, tree, &rows[i], 1, error);
    }
    text_free(&text);
    mem_free(rows);
    return status;
}

static esp_status store_commitments_of(run_state *run, int64_t tree, const search *s,
                                       const harvest_pairs *pairs, esp_error *error) {
    for (int32_t i = 0; i < search_commitment_count(s); i++) {
        int32_t pair = pairs->of_commitment[i];
        store_commitment row = tree_rows_commitment(s, i, pair < 0 ? NULL : &pairs->at[pair]);
        ESP_TRY(store_add_commitments(run->store, tree, &row, 1, error));
    }
    return ESP_OK;
}

static esp_status store_one_pair(run_state *run, const store_tree *tree, store_pair *row, esp_error *error) {
    row->iteration = tree->iteration;
    row->tree = tree->tree;
    row->problem = tree->problem;
    /* The reference `previous` is the policy that sampled: its log-probs are known (docs/method.md 1). */
    bool previous = run->session.recipe->learn.reference == RECIPE_PREVIOUS;
    row->ref_logp_chosen = previous ? row->policy_logp_chosen : NAN;
    row->ref_logp_rejected = previous ? row->policy_logp_rejected : NAN;
    return store_add_pair(run->store, row, error);
}

static esp_status store_step_pairs(run_state *run, const store_tree *tree, const search *s,
                                   const harvest_pairs *pairs, esp_error *error) {
    for (int32_t i = 0; i < pairs->count; i++) {
        store_pair row = tree_pairs_step(s, &pairs->at[i]);
        ESP_TRY(store_one_pair(run, tree, &row, error));
    }
    return ESP_OK;
}

static esp_status store_chain_pair(run_state *run, const store_tree *tree, const search *s,
                                   esp_error *error) {
    harvest_pair pair;
    if (!harvest_instance_pair(s, &run->session.recipe->search.harvest, &pair)) return ESP_OK;
    store_pair row = tree_pairs_chain(s, &pair);
    return store_one_pair(run, tree, &row, error);
}

/* The commitments, and what is learned from the tree. */
static esp_status store_harvest_of(run_state *run, const store_tree *tree, const search *s,
                                   esp_error *error) {
    const recipe *r = run->session.recipe;
    harvest_pairs pairs;
    harvest_step_pairs(s, &r->search.harvest, &pairs);
    esp_status status = store_commitments_of(run, tree->tree, s, &pairs, error);
    if (status == ESP_OK)
        status = r->learn.pairs == RECIPE_PAIRS_STEP ? store_step_pairs(run, tree, s, &pairs, error)
                                                     : store_chain_pair(run, tree, s, error);
    harvest_pairs_free(&pairs);
    return status;
}

static esp_status store_tree_of(run_state *run, const search_job *job, store_tree *tree, esp_error *error) {
    const search *s = job->search;
    token_list prompt = {0};
    esp_status status = prompt_ids(run->session.words, job->problem, &prompt, error);
    tree_rows_tree(s, tree);
    tree->problem = job->problem->index;
    tree->prompt_ids = prompt.at, tree->prompt_count = prompt.count;
    tree->tokens_sampled = job->counts.sampled;
    tree->tokens_judged = job->counts.judged;
    tree->tokens_computed = job->counts.computed;
    store_problem row = {job->problem->index, job->problem->id, job->problem->question, job->problem->gold};
    if (status == ESP_OK) status = store_add_problem(run->store, &row, error);
    if (status == ESP_OK) status = store_add_tree(run->store, tree, error);
    if (status == ESP_OK) status = store_nodes_of(run, tree->tree, s, error);
    if (status == ESP_OK) status = store_harvest_of(run, tree, s, error);
    MEM_LIST_FREE(&prompt);
    return status;
}

/* --- A wave
 * -------------------------------------------------------------------------------------------------------- */

typedef struct {
    const observer *observer;
    int64_t before;  /* trees of the waves before */
    int64_t sampled; /* tokens sampled in them */
    int64_t spent;   /* tokens sampled and judged in them */
} progress;

static void show(void *user, int64_t done, int64_t sampled) {
    progress *p = user;
    observer_tokens(p->observer, sampled);
    observer_step(p->observer, p->before + done, "%lld tokens sampled", (long long)(p->sampled + sampled));
}

/* search.gold_length_over (code): a step has at most gold length / this tokens. 0: no limit of its own. */
static esp_status step_limit(const session *s, const problem *p, int32_t *out, esp_error *error) {
    int64_t over = s->recipe->search.gold_length_over;
    *out = 0;
    if (over == 0 || !p->rationale) return ESP_OK;
    token_list ids = {0};
    esp_status status = prompt_answer_ids(s->words, p->rationale, strlen(p->rationale), &ids, error);
    *out = ids.count / over > 1 ? (int32_t)(ids.count / over) : 1;
    MEM_LIST_FREE(&ids);
    return status;
}

/* Adds what the iteration's finished waves took. */
static esp_status tokens_spent(run_state *run, int64_t iteration, progress *p, esp_error *error) {
    store_trees trees;
    ESP_TRY(store_read_trees(run->store, iteration, &trees, error));
    for (int64_t i = 0; i < trees.count; i++) {
        p->sampled += trees.at[i].tokens_sampled;
        p->spent += trees.at[i].tokens_sampled + trees.at[i].tokens_judged;
    }
    STORE_LIST_FREE(&trees);
    return ESP_OK;
}

/* Problems of one wave that can be searched; those whose prompt leaves no room for an answer are left out. */
typedef struct {
    search_job *jobs;  /* [count], searches made */
    int64_t *ordinals; /* [count] places in the iteration */
    int64_t count;
    text_buffer left_out; /* ids */
    int64_t left_out_count;
} wave_jobs;

static void free_wave(wave_jobs *w) {
    for (int64_t i = 0; i < w->count; i++) search_free(w->jobs[i].search);
    mem_free(w->jobs);
    mem_free(w->ordinals);
    text_free(&w->left_out);
}

static esp_status add_job(const session *s, const sampler *policy, const search_config *config,
                          const problem *p, int64_t iteration, int64_t ordinal, wave_jobs *w,
                          esp_error *error) {
    search_job *job = &w->jobs[w->count];
    int64_t room;
    ESP_TRY(sampler_room(policy, p, true, config->rewards.judge, &room, error));
    if (room < 1) {
        text_printf(&w->left_out, "%s%s", w->left_out_count++ ? " " : "", p->id ? p->id : "?");
        return ESP_OK;
    }
    *job = (search_job){.problem = p, .gold_known = true};
    ESP_TRY(step_limit(s, p, &job->max_step_tokens, error));
    ESP_TRY(search_new(&job->search, config, tree_key(s, iteration, ordinal, p), error));
    w->ordinals[w->count++] = ordinal;
    return ESP_OK;
}

static esp_status make_wave(const session *s, const sampler *policy, int64_t iteration, int64_t first,
                            int64_t n, wave_jobs *w, esp_error *error) {
    int64_t *order = MEM_ARRAY(int64_t, s->train.count), order_epoch = -1;
    *w = (wave_jobs){.jobs = MEM_ARRAY(search_job, n), .ordinals = MEM_ARRAY(int64_t, n)};
    const search_config *config = &s->recipe->search.config;
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < n && status == ESP_OK; i++) {
        const problem *p = &s->train.at[problem_at(s, iteration, first + i, order, &order_epoch)];
        status = add_job(s, policy, config, p, iteration, first + i, w, error);
    }
    mem_free(order);
    return status;
}

static esp_status store_wave(run_state *run, const store_position *at, const store_position *next,
                             const wave_jobs *w, esp_error *error) {
    ESP_TRY(store_wave_begin(run->store, at->iteration, at->wave, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < w->count && status == ESP_OK; i++) {
        store_tree tree = {.iteration = at->iteration, .wave = at->wave, .ordinal = w->ordinals[i]};
        status = store_tree_of(run, &w->jobs[i], &tree, error);
    }
    if (status == ESP_OK && w->left_out_count > 0) {
        observer_note(&run->session.observer,
                      "iteration %lld: %lld problems left out: their prompts leave no room for an answer in "
                      "the model's context: %.300s",
                      (long long)at->iteration, (long long)w->left_out_count, w->left_out.at);
        status = store_event(run->store, at->iteration, "left_out", w->left_out.at, error);
    }
    if (status == ESP_OK) return store_wave_commit(run->store, next, error);
    store_rollback(run->store);
    return status;
}

/* Searches the wave at `at` and advances `at`: to the next wave, or, after the last one, to the next phase.
 * The last wave is that of problems_per_iteration, or the one in which tokens_per_iteration is reached. */
static esp_status search_wave(run_state *run, sampler *policy, store_position *at, progress *p,
                              esp_error *error) {
    const session *s = &run->session;
    const recipe *r = s->recipe;
    int64_t first = at->wave * r->run.wave, left = r->run.problems_per_iteration - first,
            n = left < r->run.wave ? left : r->run.wave;
    wave_jobs w;
    esp_status status = make_wave(s, policy, at->iteration, first, n, &w, error);
    p->before = first;
    if (status == ESP_OK && w.count > 0) status = sampler_search(policy, w.jobs, w.count, show, p, error);
    for (int64_t i = 0; i < w.count; i++) {
        p->sampled += w.jobs[i].counts.sampled;
        p->spent += w.jobs[i].counts.sampled + w.jobs[i].counts.judged;
    }
    bool enough = r->run.tokens_per_iteration > 0 && p->spent >= r->run.tokens_per_iteration;
    store_position next = *at;
    next.wave++;
    if (n == left || enough) next = phase_after(run->session.recipe, run->phases, at, at->checkpoint);
    if (status == ESP_OK) status = store_wave(run, at, &next, &w, error);
    if (status == ESP_OK) status = run_progress_wave(run, error);
    free_wave(&w);
    *at = next;
    return status;
}

/* The policy that samples: theta_{i-1}, or theta_0 for the offline baseline. */
static esp_status open_other_model(run_state *run, const store_position *at, model **out, esp_error *error) {
    *out = NULL;
    if (run->session.recipe->learn.offline && at->iteration > 1) {
        char *path = run_theta_0(run);
        esp_status status = session_open_model(&run->session, path, false, out, error);
        mem_free(path);
        return status;
    }
    return run_load_policy(run, at->checkpoint, NULL, error);
}

esp_status phase_search(run_state *run, const store_position *position, esp_error *error) {
    const recipe *r = run->session.recipe;
    lm_settings settings = session_lm_settings(&run->session);
    settings.unshared = run->unshared;
    progress p = {.observer = &run->session.observer};
    model *other; /* NULL: the run's own */
    sampler *policy = NULL;
    ESP_TRY(open_other_model(run, position, &other, error));
    esp_status status = lm_new(&policy, other ? other : run->model, run->session.words, &settings, error);
    char title[64];
    snprintf(title, sizeof title, "iteration %lld: search", (long long)position->iteration);
    observer_begin(&run->session.observer, title, r->run.problems_per_iteration, "problems");
    store_position at = *position;
    if (status == ESP_OK && at.wave > 0) status = tokens_spent(run, at.iteration, &p, error);
    while (status == ESP_OK && at.phase == STORE_PHASE_SEARCH && at.iteration == position->iteration)
        status = search_wave(run, policy, &at, &p, error);
    observer_end(&run->session.observer);
    sampler_free(policy);
    model_free(other);
    return status;
}
