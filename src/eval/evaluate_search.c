/* Evaluation by search: trees with outcomes unknown, graded when they are done. */
#include "eval/work.h"

#include "recipe/convert.h"

/* The vote of a tree's visited finished chains, weighted by C. results: of each node, with its answer. */
static evaluation_result vote(const work *w, const problem *p, const search *s,
                              const evaluation_result *results) {
    bool judged = search_config_of(s)->rewards.judge;
    int64_t n = 0, space = search_node_count(s);
    const char **answers = MEM_ARRAY(const char *, space);
    double *weights = MEM_ARRAY(double, space);
    int32_t *nodes = MEM_ARRAY(int32_t, space);
    for (int32_t v = search_next_finished(s, 0); v >= 0; v = search_next_finished(s, v + 1)) {
        answers[n] = results[v].answer;
        weights[n] = judged ? search_node_at(s, v).C : 1;
        nodes[n++] = v;
        w->out->search.finished_chains++;
    }
    int64_t *group = MEM_ARRAY(int64_t, space);
    task_answer_group(w->s->task, p, answers, n, group);
    int64_t best = metrics_majority(group, weights, n);
    evaluation_result r = {.sample = 1};
    if (best >= 0) {
        r.answer = mem_strdup(answers[best]);
        r.right = results[nodes[best]].right;
        r.unknown = results[nodes[best]].unknown;
        r.finished = true;
    }
    mem_free(answers);
    mem_free(group);
    mem_free(weights);
    mem_free(nodes);
    return r;
}

/* A search that is done: what its chains are, node by node. */
typedef struct {
    const problem *problem;
    const search *search;
    evaluation_result
        *results;     /* [nodes] of finished chains and of the committed path; each has its answer */
    int64_t *tickets; /* [nodes] as work.tickets */
} searched;

static void searched_free(searched *t) {
    for (int32_t v = 0; t->results && v < search_node_count(t->search); v++) mem_free(t->results[v].answer);
    mem_free(t->results);
    mem_free(t->tickets);
}

/* Reads and grades the tree's chains; the verdicts of a grader from outside are to be taken. */
static esp_status grade_tree(const work *w, searched *t, evaluation_result *out, esp_error *error) {
    int32_t nodes = search_node_count(t->search), top = search_top(t->search);
    t->results = MEM_ARRAY(evaluation_result, nodes);
    t->tickets = MEM_ARRAY(int64_t, nodes);
    text_buffer text = {0};
    esp_status status = ESP_OK;
    for (int32_t v = 0; v < nodes && status == ESP_OK; v++) {
        bool finished = search_outcome_is_finished(search_node_at(t->search, v).outcome);
        t->tickets[v] = -1;
        if (!finished && v != top) continue;
        text_clear(&text);
        status = prompt_path_text(w->s->words, t->search, v, &text, error);
        if (status != ESP_OK) break;
        const char *at = text.at ? text.at : "";
        t->results[v] = work_grade(w, t->problem, at, text.length, finished);
        t->tickets[v] = work_ask(w, t->problem, at, text.length, finished);
        if (v == top) work_keep_text(w, out, &text);
    }
    text_free(&text);
    return status;
}

/* Committed path, vote, and what self-evaluation said of each node. out: has the committed path's text. */
static esp_status take_tree(work *w, const searched *t, evaluation_result *out, esp_error *error) {
    const search *s = t->search;
    int32_t nodes = search_node_count(s), top = search_top(s);
    int8_t *outcomes = MEM_ARRAY(int8_t, nodes);
    bool any = false;
    esp_status status = ESP_OK;
    for (int32_t v = 0; v < nodes && status == ESP_OK; v++) {
        evaluation_result *r = &t->results[v];
        status = work_take_verdict(w, t->tickets[v], r, error);
        outcomes[v] = (int8_t)(!r->finished || r->unknown ? 0 : r->right ? 1 : -1);
        any = any || (r->right && search_node_at(s, v).N > 0);
    }
    if (status == ESP_OK) {
        char *text = out[0].text;
        out[0] = t->results[top];
        out[0].text = text;
        out[0].answer = mem_strdup(t->results[top].answer);
        out[0].tokens = search_path_ids(s, top, NULL);
        out[1] = vote(w, t->problem, s, t->results);
        out[1].problem = t->problem->index;
        w->out->search.nodes += nodes;
        w->out->search.any_right += any;
        judge_scores_add_search(&w->scores, t->problem->index, s, outcomes);
    }
    mem_free(outcomes);
    return status;
}

/* All trees are graded before the first verdict is waited for. */
static esp_status take_trees(work *w, const search_job *jobs, const int64_t *places, int64_t count,
                             esp_error *error) {
    searched *trees = MEM_ARRAY(searched, count);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < count && status == ESP_OK; i++) {
        trees[i] = (searched){.problem = jobs[i].problem, .search = jobs[i].search};
        status = grade_tree(w, &trees[i], &w->out->results[2 * places[i]], error);
    }
    for (int64_t i = 0; i < count && status == ESP_OK; i++)
        status = take_tree(w, &trees[i], &w->out->results[2 * places[i]], error);
    for (int64_t i = 0; i < count; i++) searched_free(&trees[i]);
    mem_free(trees);
    return status;
}

/* Trees of problems first .. first + n - 1. */
static esp_status run_searches(work *w, int64_t first, int64_t n, esp_error *error) {
    search_config config = recipe_inference_config(w->s->recipe);
    if (w->out->unjudged) config.rewards.judge = false;
    search_job *jobs = MEM_ARRAY(search_job, n);
    int64_t *places = MEM_ARRAY(int64_t, n), count = 0;
    esp_status status = ESP_OK;
    for (int64_t i = first; i < first + n && status == ESP_OK; i++) {
        const problem *p = &w->problems->at[i];
        int64_t room;
        status = sampler_room(w->policy, p, false, search_config_reads(&config), &room, error);
        if (status != ESP_OK) break;
        if (room < 1) {
            work_set_aside(w, p, &w->out->results[2 * i]);
            continue;
        }
        jobs[count] = (search_job){.problem = p, .gold_known = false}; /* (3.2) */
        status = search_new(&jobs[count].search, &config, work_key(w, p), error);
        if (status == ESP_OK) places[count++] = i;
    }
    if (status == ESP_OK && count > 0)
        status = sampler_search(w->policy, jobs, count, work_progress, w, error);
    if (status == ESP_OK) status = take_trees(w, jobs, places, count, error);
    for (int64_t i = 0; i < count; i++) {
        work_tally(w->out, &jobs[i].counts);
        search_free(jobs[i].search);
    }
    w->done += n;
    mem_free(places);
    mem_free(jobs);
    return status;
}

esp_status work_run_searches(work *w, esp_error *error) {
    int64_t all = w->out->problems, wave = w->s->recipe->run.wave;
    for (int64_t first = 0; first < all; first += wave)
        ESP_TRY(run_searches(w, first, all - first < wave ? all - first : wave, error));
    return ESP_OK;
}
