#include "eval/evaluate.h"
#include "base/clock.h"
#include "eval/evaluate_choices.h"
#include "policy/problem_chains.h"

#include "recipe/convert.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Keeps the random numbers of evaluation apart from those of training's searches ("eval"). */
static const uint64_t evaluation_word = 0x6576616c;
/* Room for a prompt of its own beside a chain's tokens in the KV cache. */
enum { PROMPT_ROOM = 192 };

evaluate_options evaluate_options_of(const recipe *r) {
    return (evaluate_options){.method = r->eval.method,
                              .k = r->eval.method == RECIPE_SAMPLE ? r->eval.k : 1,
                              .temperature = r->eval.temperature,
                              .max_tokens = r->eval.max_tokens,
                              .limit = r->eval.limit,
                              .batch = r->eval.batch,
                              .seed = (uint64_t)r->run.seed,
                              .option = r->eval.option,
                              .keep_text = true};
}

int evaluate_options_besides(const recipe *r, evaluate_options out[EVALUATE_BESIDES]) {
    evaluate_options o = evaluate_options_of(r);
    recipe_compare search = r->eval.compare_search;
    int n = 0;
    o.k = 1;
    if (r->eval.compare_limit > 0) o.limit = r->eval.compare_limit;
    if (r->eval.compare_k > 0 && r->eval.method != RECIPE_SAMPLE) {
        out[n] = o;
        out[n].method = RECIPE_SAMPLE;
        out[n++].k = r->eval.compare_k;
    }
    o.method = RECIPE_SEARCH;
    if (search != RECIPE_COMPARE_OFF && r->eval.method != RECIPE_SEARCH) out[n++] = o;
    o.unjudged = true;
    if (search == RECIPE_COMPARE_BOTH && r->search.config.rewards.judge) out[n++] = o;
    o.unjudged = false;
    o.method = RECIPE_CHOICES;
    if (r->eval.compare_choices && r->eval.method != RECIPE_CHOICES) out[n++] = o;
    return n;
}

const char *evaluation_method_name(recipe_method method) {
    static const char *const names[] = {[RECIPE_GREEDY] = "greedy",
                                        [RECIPE_SAMPLE] = "sample",
                                        [RECIPE_SEARCH] = "search",
                                        [RECIPE_CHOICES] = "choices"};
    return names[method];
}

const char *evaluation_set_name(recipe_set set) {
    return set == RECIPE_SET_DEV ? "dev" : "test";
}

const char *evaluation_name(recipe_method method, bool unjudged) {
    return unjudged ? "search-unjudged" : evaluation_method_name(method);
}

void evaluation_free(evaluation *e) {
    for (int64_t i = 0; e->results && i < e->result_count; i++) {
        mem_free(e->results[i].answer);
        mem_free(e->results[i].text);
        mem_free(e->results[i].logprobs);
    }
    mem_free(e->results);
    *e = (evaluation){0};
}

/* ---- running ---- */

typedef struct {
    session *s;
    sampler *policy;
    const problem_set *problems;
    const evaluate_options *options;
    evaluation *out;
    judge_scores scores;
    int64_t done;     /* pieces of work before the current call */
    int64_t *tickets; /* chains: [out->result_count] what a grader from outside was asked; -1: nothing. NULL:
                         the task grades */
} work;

static void progress(void *user, int64_t done, int64_t sampled) {
    work *w = user;
    observer_tokens(&w->s->observer, w->out->tokens_sampled + sampled);
    observer_step(&w->s->observer, w->done + done, "%lld tokens sampled",
                  (long long)(w->out->tokens_sampled + sampled));
}

static void tally(evaluation *e, const token_counts *c) {
    e->tokens_sampled += c->sampled;
    e->tokens_judged += token_counts_judged(c);
    e->tokens_computed += c->computed;
}

static rng_key_t problem_key(const work *w, const problem *p) {
    return rng_mix(rng_mix(rng_key(w->options->seed), evaluation_word), (uint64_t)p->index);
}

static void set_verdict(evaluation_result *r, grade_verdict verdict) {
    r->right = verdict == GRADE_EQUAL;
    r->unknown = verdict == GRADE_UNKNOWN;
}

/* Asks a grader from outside about a finished chain; -1 where there is none, or nothing to ask. */
static int64_t ask_grader(const work *w, const problem *p, const char *text, size_t length, bool finished) {
    return w->s->grader && finished ? grader_ask(w->s->grader, p, text, length) : -1;
}

static esp_status take_verdict(const work *w, int64_t ticket, evaluation_result *r, esp_error *error) {
    grader_verdict v;
    if (ticket < 0) return ESP_OK;
    ESP_TRY(grader_take(w->s->grader, ticket, &v, error));
    set_verdict(r, v.verdict);
    return ESP_OK;
}

/* Grades a finished chain; one that is not finished has no answer and is wrong. */
static evaluation_result grade(const work *w, const problem *p, const char *text, size_t length,
                               bool finished) {
    evaluation_result r = {.problem = p->index, .finished = finished};
    if (finished) {
        task_answer *a = task_answer_find(w->s->task, p, text, length);
        task_grade_result g = task_grade(w->s->task, p, text, length);
        if (a) r.answer = task_answer_show(w->s->task, p, a);
        set_verdict(&r, g.verdict);
        task_grade_free(&g);
        mem_free(a);
    }
    return r;
}

static void keep_text(const work *w, evaluation_result *r, const text_buffer *text) {
    if (w->options->keep_text) r->text = mem_strndup(text->at ? text->at : "", text->length);
}

/* A problem's second result answers it in another way (the vote, the length-normalized option) and has no
 * chain. */
static bool has_second_answer(const evaluation *e) {
    return e->method == RECIPE_SEARCH || e->method == RECIPE_CHOICES;
}

/* A problem whose prompt leaves no room for an answer in the model's context is answered wrong. */
static void set_aside(work *w, const problem *p, evaluation_result *results) {
    w->out->too_long++;
    for (int64_t j = 0; j < w->out->per_problem; j++) {
        results[j] = (evaluation_result){.problem = p->index, .sample = j};
        bool vote = has_second_answer(w->out) && j == 1;
        if (!vote) keep_text(w, &results[j], &(text_buffer){0});
    }
}

/* ---- chains ---- */

static rng_key_t chain_key(void *user, int64_t problem, int64_t chain) {
    const work *w = user;
    return rng_mix(problem_key(w, &w->problems->at[problem]), (uint64_t)chain);
}

static void leave_out(void *user, int64_t problem) {
    work *w = user;
    set_aside(w, &w->problems->at[problem], &w->out->results[problem * w->out->per_problem]);
}

static void take_chain(void *user, int64_t problem, int64_t chain, const chain_job *job) {
    const work *w = user;
    evaluation_result *out = &w->out->results[problem * w->out->per_problem + chain];
    *out = grade(w, &w->problems->at[problem], job->text.at, job->text.length, job->finished);
    out->sample = chain;
    out->tokens = job->ids.count;
    keep_text(w, out, &job->text);
    if (w->tickets)
        w->tickets[problem * w->out->per_problem + chain] =
            ask_grader(w, &w->problems->at[problem], job->text.at, job->text.length, job->finished);
}

static esp_status take_verdicts(const work *w, esp_error *error) {
    for (int64_t i = 0; w->tickets && i < w->out->result_count; i++)
        ESP_TRY(take_verdict(w, w->tickets[i], &w->out->results[i], error));
    return ESP_OK;
}

static esp_status run_chains(work *w, esp_error *error) {
    const evaluate_options *o = w->options;
    problem_chains chains = {.problems = w->problems->at,
                             .count = w->out->problems,
                             .each = w->out->per_problem,
                             .temperature = o->method == RECIPE_GREEDY ? 0 : (float)o->temperature,
                             .max_tokens = (int32_t)o->max_tokens,
                             .key = chain_key,
                             .left_out = leave_out,
                             .take = take_chain,
                             .progress = progress,
                             .user = w};
    token_counts counts;
    if (w->s->grader) w->tickets = MEM_ARRAY(int64_t, w->out->result_count);
    for (int64_t i = 0; w->tickets && i < w->out->result_count; i++) w->tickets[i] = -1;
    esp_status status = problem_chains_run(w->policy, &chains, &counts, error);
    tally(w->out, &counts);
    return status == ESP_OK ? take_verdicts(w, error) : status;
}

/* ---- searches ---- */

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
        t->results[v] = grade(w, t->problem, at, text.length, finished);
        t->tickets[v] = ask_grader(w, t->problem, at, text.length, finished);
        if (v == top) keep_text(w, out, &text);
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
        status = take_verdict(w, t->tickets[v], r, error);
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
        status = sampler_room(w->policy, p, false, config.rewards.judge, &room, error);
        if (status != ESP_OK) break;
        if (room < 1) {
            set_aside(w, p, &w->out->results[2 * i]);
            continue;
        }
        jobs[count] = (search_job){.problem = p, .gold_known = false}; /* (3.2) */
        status = search_new(&jobs[count].search, &config, problem_key(w, p), error);
        if (status == ESP_OK) places[count++] = i;
    }
    if (status == ESP_OK && count > 0) status = sampler_search(w->policy, jobs, count, progress, w, error);
    if (status == ESP_OK) status = take_trees(w, jobs, places, count, error);
    for (int64_t i = 0; i < count; i++) {
        tally(w->out, &jobs[i].counts);
        search_free(jobs[i].search);
    }
    w->done += n;
    mem_free(places);
    mem_free(jobs);
    return status;
}

int64_t evaluate_kv_tokens(const recipe *r, const evaluate_options *o) {
    if (o->kv_tokens) return o->kv_tokens;
    if (o->method == RECIPE_SEARCH) return recipe_lm_settings(r).kv_tokens;
    return o->batch * (o->max_tokens + PROMPT_ROOM);
}

/* ---- options ---- */

static void take_options(void *user, int64_t problem, const option_scores *scores) {
    const work *w = user;
    evaluation_result *out = &w->out->results[2 * problem];
    option_results(&w->problems->at[problem], scores, out);
    if (!w->options->keep_text) {
        mem_free(out->text);
        out->text = NULL;
    }
}

static esp_status run_options(work *w, esp_error *error) {
    problem_options options = {.problems = w->problems->at,
                               .count = w->out->problems,
                               .labels = w->options->option == RECIPE_OPTION_LABEL,
                               .left_out = leave_out,
                               .take = take_options,
                               .progress = progress,
                               .user = w};
    token_counts counts;
    esp_status status = problem_options_run(w->policy, &options, &counts, error);
    tally(w->out, &counts);
    return status;
}

static lm_settings settings_of(const session *s, const evaluate_options *o) {
    lm_settings set = session_lm_settings(s);
    set.example = false; /* (3.2) */
    set.judge = o->method == RECIPE_SEARCH && !o->unjudged ? o->judge : NULL;
    set.max_sequences = (int32_t)o->batch;
    set.kv_tokens = evaluate_kv_tokens(s->recipe, o);
    return set;
}

/* Searches in waves: what is in flight together bounds the memory of their trees. */
static esp_status run_waves(work *w, esp_error *error) {
    int64_t all = w->out->problems, wave = w->s->recipe->run.wave;
    for (int64_t first = 0; first < all; first += wave)
        ESP_TRY(run_searches(w, first, all - first < wave ? all - first : wave, error));
    return ESP_OK;
}

static void begin(const work *w) {
    const evaluation *e = w->out;
    bool two = has_second_answer(e);
    char title[64] = "evaluation";
    if (e->method != RECIPE_GREEDY)
        snprintf(title, sizeof title, "evaluation by %s", evaluation_name(e->method, e->unjudged));
    observer_begin(&w->s->observer, title, two ? e->problems : e->result_count,
                   e->result_count == e->problems || two ? "problems" : "chains");
}

static esp_status run_all(work *w, esp_error *error) {
    evaluation *e = w->out;
    double started = clock_seconds();
    begin(w);
    esp_status status = e->method == RECIPE_SEARCH    ? run_waves(w, error)
                        : e->method == RECIPE_CHOICES ? run_options(w, error)
                                                      : run_chains(w, error);
    observer_end(&w->s->observer);
    e->seconds = clock_seconds() - started;
    if (status != ESP_OK || e->too_long < e->problems) return status;
    return error_fail(error, "use a model with a longer context, or shorter problems",
                      "no problem's prompt leaves room for an answer in the context of %lld tokens "
                      "(%lld problems)",
                      (long long)w->policy->context, (long long)e->problems);
}

esp_status evaluate_policy(session *s, model *m, const problem_set *problems, const evaluate_options *options,
                           evaluation *out, esp_error *error) {
    bool search = options->method == RECIPE_SEARCH;
    *out = (evaluation){.task = s->task,
                        .method = options->method,
                        .unjudged = search && options->unjudged && s->recipe->search.config.rewards.judge,
                        .k = options->method == RECIPE_SAMPLE ? options->k : 1,
                        .problems = problems->count};
    if (options->limit > 0 && options->limit < out->problems) out->problems = options->limit;
    if (out->problems == 0) {
        error_set(error, ESP_FAILED, "set data.test to a file of problems", "no problems to evaluate on");
        return error_about(error, ESP_REASON_UNSET, "data.test");
    }
    out->per_problem = has_second_answer(out) ? 2 : out->k;
    work w = {.s = s, .problems = problems, .options = options, .out = out};
    lm_settings settings = settings_of(s, options);
    ESP_TRY(lm_new(&w.policy, m, s->words, &settings, error));
    out->result_count = out->problems * out->per_problem;
    out->results = MEM_ARRAY(evaluation_result, out->result_count);
    esp_status status = run_all(&w, error);
    judge_scores_quality(&w.scores, out->search.judged);
    judge_scores_free(&w.scores);
    mem_free(w.tickets);
    sampler_free(w.policy);
    if (status == ESP_OK)
        evaluation_summarize(out);
    else
        evaluation_free(out);
    return status;
}

/* ---- figures ---- */

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : NAN;
}

static int64_t right_among(const evaluation_result *r, int64_t n) {
    int64_t c = 0;
    for (int64_t i = 0; i < n; i++) c += r[i].right;
    return c;
}

/* Whether the majority's answer of the first k results is right. */
static bool majority_right(const evaluation_result *r, int64_t k) {
    int64_t *group = MEM_ARRAY(int64_t, k);
    for (int64_t i = 0; i < k; i++) group[i] = r[i].group;
    int64_t best = metrics_majority(group, NULL, k);
    mem_free(group);
    return best >= 0 && r[best].right;
}

/* Wilson's interval of a mean of `n` shares, as if each were one trial: never narrower than that of the mean.
 */
static metrics_interval interval_of(double mean, int64_t n) {
    return metrics_wilson((int64_t)llround(mean * (double)n), n);
}

static evaluation_point point_at(const evaluation *e, int64_t k) {
    double pass = 0;
    int64_t majority = 0;
    for (int64_t i = 0; i < e->problems; i++) {
        const evaluation_result *r = &e->results[i * e->per_problem];
        pass += metrics_pass_at_k(e->k, right_among(r, e->k), k);
        majority += majority_right(r, k);
    }
    evaluation_point p = {
        .k = k, .pass = pass / (double)e->problems, .majority = share(majority, e->problems)};
    p.tokens = (double)e->tokens_sampled / (double)e->problems * (double)k / (double)e->k;
    p.pass_interval = interval_of(p.pass, e->problems);
    p.majority_interval = metrics_wilson(majority, e->problems);
    return p;
}

static void sample_points(evaluation *e) {
    e->point_count = 0;
    for (int64_t k = 1;; k *= 2) {
        bool last = k >= e->k || e->point_count == EVALUATION_POINTS - 1;
        e->points[e->point_count++] = point_at(e, last ? e->k : k);
        if (last) return;
    }
}

bool evaluation_right(const evaluation *e, int64_t place) {
    const evaluation_result *r = &e->results[place * e->per_problem];
    return e->method == RECIPE_SAMPLE ? majority_right(r, e->k) : r->right;
}

/* Share of a problem's chains that are right. */
static double problem_pass(const evaluation *e, int64_t problem) {
    const evaluation_result *r = &e->results[problem * e->per_problem];
    return e->method == RECIPE_SAMPLE ? share(right_among(r, e->k), e->k) : r->right;
}

/* Each problem's results with equal answers. */
static void group_answers(evaluation *e) {
    int64_t k = e->per_problem, *group = MEM_ARRAY(int64_t, k);
    const char **answers = MEM_ARRAY(const char *, k);
    for (int64_t i = 0; i < e->problems; i++) {
        evaluation_result *r = &e->results[i * k];
        for (int64_t j = 0; j < k; j++) answers[j] = r[j].answer;
        task_answer_group(e->task, NULL, answers, k, group);
        for (int64_t j = 0; j < k; j++) r[j].group = group[j];
    }
    mem_free(answers);
    mem_free(group);
}

void evaluation_summarize(evaluation *e) {
    group_answers(e);
    int64_t chains = 0, tokens = 0, finished = 0, right = 0;
    e->right = e->unknown = e->search.vote_right = e->choices.norm_right = 0;
    for (int64_t i = 0; i < e->problems; i++) {
        const evaluation_result *r = &e->results[i * e->per_problem];
        e->right += evaluation_right(e, i);
        int64_t own = has_second_answer(e) ? 1 : e->per_problem;
        for (int64_t j = 0; j < own; j++)
            tokens += r[j].tokens, finished += r[j].finished, e->unknown += r[j].unknown, right += r[j].right;
        chains += own;
        if (e->method == RECIPE_SEARCH) e->search.vote_right += r[1].right;
        if (e->method == RECIPE_CHOICES) e->choices.norm_right += r[1].right;
    }
    e->accuracy = share(e->right, e->problems);
    e->interval = metrics_wilson(e->right, e->problems);
    e->judged_accuracy = metrics_judged_accuracy(right, chains, e->unknown);
    e->mean_tokens = share(tokens, chains);
    e->finished_share = share(finished, chains);
    if (e->method == RECIPE_SAMPLE) sample_points(e);
    if (e->method == RECIPE_CHOICES) {
        e->choices.norm = share(e->choices.norm_right, e->problems);
        e->choices.norm_interval = metrics_wilson(e->choices.norm_right, e->problems);
    }
    if (e->method != RECIPE_SEARCH) return;
    e->search.vote = share(e->search.vote_right, e->problems);
    e->search.vote_interval = metrics_wilson(e->search.vote_right, e->problems);
    e->search.any = share(e->search.any_right, e->problems);
}

/* ---- two policies ---- */

bool evaluation_same_problems(const evaluation *a, const evaluation *b) {
    bool same = a->problems == b->problems;
    for (int64_t i = 0; i < a->problems && same; i++)
        same = a->results[i * a->per_problem].problem == b->results[i * b->per_problem].problem;
    return same;
}

esp_status evaluation_compare(const evaluation *a, const evaluation *b, uint64_t seed,
                              evaluation_difference *out, esp_error *error) {
    *out = (evaluation_difference){.problems = a->problems};
    if (!evaluation_same_problems(a, b))
        return error_fail(error, "evaluate both policies on the same file with the same limit",
                          "the two evaluations are of different problems (%lld and %lld)",
                          (long long)a->problems, (long long)b->problems);
    int64_t n = a->problems;
    double *values = MEM_ARRAY(double, 4 * n + 1), *pass_a = values + 2 * n, *pass_b = values + 3 * n;
    for (int64_t i = 0; i < n; i++) {
        bool right_a = evaluation_right(a, i), right_b = evaluation_right(b, i);
        values[i] = right_a;
        values[n + i] = right_b;
        pass_a[i] = problem_pass(a, i);
        pass_b[i] = problem_pass(b, i);
        out->only_a += right_a && !right_b;
        out->only_b += right_b && !right_a;
    }
    enum { RESAMPLES = 2000 };
    rng_key_t key = rng_mix(rng_key(seed), evaluation_word);
    metrics_difference d = metrics_paired_bootstrap(values, values + n, n, RESAMPLES, key);
    metrics_difference pass = metrics_paired_bootstrap(pass_a, pass_b, n, RESAMPLES, key);
    out->difference = d.difference;
    out->interval = d.interval;
    out->p = metrics_mcnemar(out->only_a, out->only_b);
    out->pass_difference = pass.difference;
    out->pass_interval = pass.interval;
    mem_free(values);
    return ESP_OK;
}
