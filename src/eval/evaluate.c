#include "eval/evaluate_choices.h"
#include "eval/work.h"

#include "base/clock.h"
#include "policy/problem_chains.h"
#include "recipe/convert.h"

#include <stdio.h>

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

/* ---- running ---- */

void work_progress(void *user, int64_t done, int64_t sampled) {
    work *w = user;
    observer_tokens(&w->s->observer, w->out->tokens_sampled + sampled);
    observer_step(&w->s->observer, w->done + done, "%lld tokens sampled",
                  (long long)(w->out->tokens_sampled + sampled));
}

void work_tally(evaluation *e, const token_counts *c) {
    e->tokens_sampled += c->sampled;
    e->tokens_judged += token_counts_judged(c);
    e->tokens_computed += c->computed;
}

rng_key_t work_key(const work *w, const problem *p) {
    return rng_mix(rng_mix(rng_key(w->options->seed), EVALUATION_WORD), (uint64_t)p->index);
}

static void set_verdict(evaluation_result *r, grade_verdict verdict) {
    r->right = verdict == GRADE_EQUAL;
    r->unknown = verdict == GRADE_UNKNOWN;
}

int64_t work_ask(const work *w, const problem *p, const char *text, size_t length, bool finished) {
    return w->s->grader && finished ? grader_ask(w->s->grader, p, text, length) : -1;
}

esp_status work_take_verdict(const work *w, int64_t ticket, evaluation_result *r, esp_error *error) {
    grader_verdict v;
    if (ticket < 0) return ESP_OK;
    ESP_TRY(grader_take(w->s->grader, ticket, &v, error));
    set_verdict(r, v.verdict);
    return ESP_OK;
}

evaluation_result work_grade(const work *w, const problem *p, const char *text, size_t length,
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

void work_keep_text(const work *w, evaluation_result *r, const text_buffer *text) {
    if (w->options->keep_text) r->text = mem_strndup(text->at ? text->at : "", text->length);
}

void work_set_aside(work *w, const problem *p, evaluation_result *results) {
    w->out->too_long++;
    for (int64_t j = 0; j < w->out->per_problem; j++) {
        results[j] = (evaluation_result){.problem = p->index, .sample = j};
        bool vote = evaluation_has_second(w->out) && j == 1;
        if (!vote) work_keep_text(w, &results[j], &(text_buffer){0});
    }
}

/* ---- chains ---- */

static rng_key_t chain_key(void *user, int64_t problem, int64_t chain) {
    const work *w = user;
    return rng_mix(work_key(w, &w->problems->at[problem]), (uint64_t)chain);
}

static void leave_out(void *user, int64_t problem) {
    work *w = user;
    work_set_aside(w, &w->problems->at[problem], &w->out->results[problem * w->out->per_problem]);
}

static void take_chain(void *user, int64_t problem, int64_t chain, const chain_job *job) {
    const work *w = user;
    evaluation_result *out = &w->out->results[problem * w->out->per_problem + chain];
    *out = work_grade(w, &w->problems->at[problem], job->text.at, job->text.length, job->finished);
    out->sample = chain;
    out->tokens = job->ids.count;
    work_keep_text(w, out, &job->text);
    if (w->tickets)
        w->tickets[problem * w->out->per_problem + chain] =
            work_ask(w, &w->problems->at[problem], job->text.at, job->text.length, job->finished);
}

static esp_status take_verdicts(const work *w, esp_error *error) {
    for (int64_t i = 0; w->tickets && i < w->out->result_count; i++)
        ESP_TRY(work_take_verdict(w, w->tickets[i], &w->out->results[i], error));
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
                             .progress = work_progress,
                             .user = w};
    token_counts counts;
    if (w->s->grader) w->tickets = MEM_ARRAY(int64_t, w->out->result_count);
    for (int64_t i = 0; w->tickets && i < w->out->result_count; i++) w->tickets[i] = -1;
    esp_status status = problem_chains_run(w->policy, &chains, &counts, error);
    work_tally(w->out, &counts);
    return status == ESP_OK ? take_verdicts(w, error) : status;
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
                               .progress = work_progress,
                               .user = w};
    token_counts counts;
    esp_status status = problem_options_run(w->policy, &options, &counts, error);
    work_tally(w->out, &counts);
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

static void begin(const work *w) {
    const evaluation *e = w->out;
    bool two = evaluation_has_second(e);
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
    esp_status status = e->method == RECIPE_SEARCH    ? work_run_searches(w, error)
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
    out->per_problem = evaluation_has_second(out) ? 2 : out->k;
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
