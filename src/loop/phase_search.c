/* Search: an iteration's problems in waves, a window of them in flight, each committed whole and in order. */
#include "loop/choice.h"
#include "loop/judge_worth.h"
#include "loop/phases.h"
#include "loop/tree_rows.h"
#include "loop/search_window.h"
#include "loop/tree_store.h"
#include "policy/lm.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* ---- problems ---- */

/* The trees of the iterations before, as evidence of how learnable their problems are. */
static esp_status read_evidence(run_state *run, int64_t iteration, choice_evidence **out, int64_t *count,
                                esp_error *error) {
    int64_t problems = run->session.train.count; /* numbered as their places */
    store_outcomes trees;
    ESP_TRY(store_read_outcomes(run->store, 1, iteration - 1, &trees, error));
    *out = MEM_ARRAY(choice_evidence, trees.count + 1);
    *count = 0;
    for (int64_t i = 0; i < trees.count; i++) {
        const store_outcome *t = &trees.at[i];
        if (t->problem >= 0 && t->problem < problems)
            (*out)[(*count)++] = (choice_evidence){t->iteration, t->problem, t->right, t->wrong};
    }
    STORE_LIST_FREE(&trees);
    return ESP_OK;
}

static esp_status choose_problems(run_state *run, int64_t iteration, choice *out, esp_error *error) {
    const recipe *r = run->session.recipe;
    choice_settings set = {run->session.train.count, r->run.problems_per_iteration, r->run.seed, iteration};
    if (r->run.choose == RECIPE_CHOOSE_SHUFFLE) {
        choice_shuffle(out, &set);
        return ESP_OK;
    }
    choice_evidence *evidence;
    int64_t count;
    ESP_TRY(read_evidence(run, iteration, &evidence, &count, error));
    choice_learnable(out, &set, evidence, count);
    mem_free(evidence);
    return ESP_OK;
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

/* ---- what the observer is told ---- */

/* A wave may be committed by another thread than the one that the observer is called by: the figures of a
 * commit are left here until that one comes by. */
typedef struct {
    pthread_mutex_t lock;
    bool committed; /* since the observer was told */
    int64_t trees, pairs;
    text_buffer note; /* to be passed on; empty: none */
} commit_news;

typedef struct {
    run_state *run;
    const sampler *policy;
    int64_t window; /* waves in flight */
    search_config config;
    choice problems;         /* of the iteration */
    store_position at;       /* of the next commit */
    int64_t spent;           /* store_tokens_spent of the iteration's committed waves */
    int64_t before, sampled; /* problems and sampled tokens of the waves before this search */
    commit_news news;
} work;

static void tell(work *w) {
    const observer *o = &w->run->session.observer;
    pthread_mutex_lock(&w->news.lock);
    bool committed = w->news.committed;
    w->news.committed = false;
    int64_t trees = w->news.trees, pairs = w->news.pairs;
    text_buffer note = w->news.note;
    w->news.note = (text_buffer){0};
    pthread_mutex_unlock(&w->news.lock);
    if (committed) run_progress_tell(w->run, trees, pairs);
    if (note.length > 0) observer_note(o, "%s", note.at);
    text_free(&note);
}

static void show(void *user, int64_t done, int64_t sampled) {
    work *w = user;
    const observer *o = &w->run->session.observer;
    observer_tokens(o, sampled);
    observer_step(o, w->before + done, "%lld tokens sampled", (long long)(w->sampled + sampled));
    tell(w);
}

static esp_status leave_news(work *w, const search_wave *wave, esp_error *error) {
    store_totals totals;
    ESP_TRY(store_read_totals(w->run->store, &totals, error));
    pthread_mutex_lock(&w->news.lock);
    w->news.committed = true;
    w->news.trees = totals.trees, w->news.pairs = totals.pairs;
    if (wave->left_out_count > 0)
        text_printf(&w->news.note,
                    "%siteration %lld: %lld problems left out: their prompts leave no room for an answer in "
                    "the model's context: %.300s",
                    w->news.note.length > 0 ? "; " : "", (long long)w->at.iteration,
                    (long long)wave->left_out_count, wave->left_out.at);
    pthread_mutex_unlock(&w->news.lock);
    return ESP_OK;
}

/* ---- waves ---- */

static esp_status add_job(work *w, int64_t ordinal, search_wave *out, esp_error *error) {
    const session *s = &w->run->session;
    search_job *job = &out->jobs[out->count];
    int64_t room, turn;
    const problem *p = &s->train.at[choice_at(&w->problems, ordinal, &turn)];
    ESP_TRY(sampler_room(w->policy, p, true, search_config_reads(&w->config), &room, error));
    if (room < 1) {
        text_printf(&out->left_out, "%s%s", out->left_out_count++ ? " " : "", p->id ? p->id : "?");
        return ESP_OK;
    }
    *job = (search_job){.problem = p, .gold_known = true};
    ESP_TRY(step_limit(s, p, &job->max_step_tokens, error));
    rng_key_t key = tree_rows_key(s->recipe->run.seed, w->at.iteration, p->index, turn);
    ESP_TRY(search_new(&job->search, &w->config, key, error));
    out->ordinals[out->count++] = ordinal;
    return ESP_OK;
}

/* Problems of a wave, those that are left out too. */
static int64_t wave_size(const recipe *r, int64_t wave) {
    int64_t left = r->run.problems_per_iteration - wave * r->run.wave;
    return left < r->run.wave ? left : r->run.wave;
}

static esp_status make_wave(void *user, search_wave *out, esp_error *error) {
    work *w = user;
    const session *s = &w->run->session;
    int64_t first = out->wave * s->recipe->run.wave, n = wave_size(s->recipe, out->wave);
    out->jobs = MEM_ARRAY(search_job, n);
    out->ordinals = MEM_ARRAY(int64_t, n);
    for (int64_t i = first; i < first + n; i++) ESP_TRY(add_job(w, i, out, error));
    return ESP_OK;
}

/* Where waves overlap, without the tokens that were computed again: what is evicted then depends on the trees
 * of the other waves in flight, and they on where the run was interrupted. */
static int64_t tokens_to_store(const work *w, const token_counts *counts) {
    return w->window > 1 ? counts->computed - counts->recomputed : counts->computed;
}

static esp_status store_wave(work *w, const store_position *next, const search_wave *wave, esp_error *error) {
    store *to = w->run->store;
    ESP_TRY(store_wave_begin(to, w->at.iteration, wave->wave, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < wave->count && status == ESP_OK; i++) {
        store_tree tree = {.iteration = w->at.iteration,
                           .wave = wave->wave,
                           .ordinal = wave->ordinals[i],
                           .tokens_computed = tokens_to_store(w, &wave->jobs[i].counts)};
        status = tree_store(w->run, &wave->jobs[i], &tree, error);
    }
    if (status == ESP_OK && wave->left_out_count > 0)
        status = store_event(to, w->at.iteration, "left_out", wave->left_out.at, error);
    if (status == ESP_OK) return store_wave_commit(to, next, error);
    store_rollback(to);
    return status;
}

/* Trees of a block of waves, which may all be in memory: far more than replicas of equal speed part by. */
enum { BLOCK_TREES = 4096 };

static int64_t block_waves(const recipe *r, int64_t window) {
    int64_t waves = BLOCK_TREES / r->run.wave;
    return waves > window ? waves : window;
}

static int64_t wave_count(const recipe *r) {
    return (r->run.problems_per_iteration + r->run.wave - 1) / r->run.wave;
}

/* Commits a wave and moves the position on: to the next wave, or out of the phase after the last one, which
 * is that of problems_per_iteration or the one with which tokens_per_iteration is reached. */
static esp_status commit_wave(void *user, const search_wave *wave, bool *last, esp_error *error) {
    work *w = user;
    const recipe *r = w->run->session.recipe;
    for (int64_t i = 0; i < wave->count; i++) {
        const token_counts *c = &wave->jobs[i].counts;
        w->spent += store_tokens_spent(c->sampled, token_counts_judged(c));
    }
    bool enough = r->run.tokens_per_iteration > 0 && w->spent >= r->run.tokens_per_iteration;
    *last = enough || wave->wave + 1 == wave_count(r);
    store_position next = w->at;
    next.wave++;
    if (*last) next = phase_after(r, w->run->phases, &w->at, w->at.checkpoint);
    ESP_TRY(store_wave(w, &next, wave, error));
    ESP_TRY(leave_news(w, wave, error));
    w->at.wave++;
    return ESP_OK;
}

/* Adds what the iteration's committed waves took. */
static esp_status tokens_spent(work *w, esp_error *error) {
    store_trees trees;
    ESP_TRY(store_read_trees(w->run->store, w->at.iteration, &trees, error));
    for (int64_t i = 0; i < trees.count; i++) {
        w->sampled += trees.at[i].tokens_sampled;
        w->spent += store_tokens_spent(trees.at[i].tokens_sampled, trees.at[i].tokens_judged);
    }
    STORE_LIST_FREE(&trees);
    return ESP_OK;
}

static esp_status search_waves(run_state *run, sampler *policy, int64_t window,
                               const store_position *position, esp_error *error) {
    const session *s = &run->session;
    work w = {.run = run,
              .policy = policy,
              .window = window,
              .config = s->recipe->search.config,
              .at = *position,
              .before = position->wave * s->recipe->run.wave};
    search_window_plan plan = {.first = position->wave,
                               .end = wave_count(s->recipe),
                               .window = w.window,
                               .block = block_waves(s->recipe, w.window),
                               .expected = wave_size(s->recipe, 0),
                               .make = make_wave,
                               .commit = commit_wave,
                               .progress = show,
                               .user = &w};
    ESP_TRY(judge_confidence_for(run, position->iteration, &w.config.calibration, error));
    ESP_TRY(choose_problems(run, position->iteration, &w.problems, error));
    pthread_mutex_init(&w.news.lock, NULL);
    esp_status status = position->wave > 0 ? tokens_spent(&w, error) : ESP_OK;
    bool last = false;
    if (status == ESP_OK && plan.first < plan.end) status = search_window_run(&plan, policy, &last, error);
    tell(&w);
    pthread_mutex_destroy(&w.news.lock);
    choice_free(&w.problems);
    return status;
}

/* The policy that samples: theta_{i-1}, or theta_0 for the offline baseline. */
static esp_status open_other_model(run_state *run, const store_position *at, model **out, esp_error *error) {
    *out = NULL;
    if (run->session.recipe->learn.offline && at->iteration > 1) return run_open_theta_0(run, out, error);
    return run_load_policy(run, at->checkpoint, NULL, error);
}

esp_status phase_search(run_state *run, const store_position *position, esp_error *error) {
    lm_settings settings = session_lm_settings(&run->session);
    settings.unshared = run->unshared;
    model *other; /* NULL: the run's own */
    sampler *policy = NULL;
    ESP_TRY(run_load_judge(run, position->checkpoint, NULL, error));
    settings.judge = run->judge;
    ESP_TRY(open_other_model(run, position, &other, error));
    model *m = other ? other : run->model;
    esp_status status = lm_new(&policy, m, run->session.words, &settings, error);
    char title[64];
    snprintf(title, sizeof title, "iteration %lld: search", (long long)position->iteration);
    observer_begin(&run->session.observer, title, run->session.recipe->run.problems_per_iteration,
                   "problems");
    if (status == ESP_OK)
        status = search_waves(run, policy, session_window(&run->session, m), position, error);
    observer_end(&run->session.observer);
    sampler_free(policy);
    model_free(other);
    return status;
}
