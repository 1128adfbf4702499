/* What follows from the results of an evaluation, and two evaluations compared. */
#include "eval/work.h"

#include <math.h>

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

bool evaluation_has_second(const evaluation *e) {
    return e->method == RECIPE_SEARCH || e->method == RECIPE_CHOICES;
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
        int64_t own = evaluation_has_second(e) ? 1 : e->per_problem;
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
    rng_key_t key = rng_mix(rng_key(seed), EVALUATION_WORD);
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
