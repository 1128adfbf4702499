/* The evaluations: the paired gain, accuracy against inference compute, and answers to the same problems
 * before and after. */
#include "view/curves_view.h"
#include "view/report_inner.h"

#include <math.h>
#include <string.h>

/* ---- gain ---- */

static void put_gain(const report_gain *g, document *d) {
    document_key(d, "gain");
    if (!g->known) {
        document_null(d);
        return;
    }
    document_begin(d, '{');
    document_put_integer(d, "from", g->from);
    document_put_integer(d, "to", g->to);
    document_put_integer(d, "problems", g->d.problems);
    document_put_number(d, "difference", g->d.difference);
    document_put_number(d, "low", g->d.interval.low);
    document_put_number(d, "high", g->d.interval.high);
    document_put_number(d, "p", g->d.p);
    document_put_integer(d, "only_before", g->d.only_b);
    document_put_integer(d, "only_after", g->d.only_a);
    document_end(d, '}');
}

/* ---- inference compute ---- */

static double a_problem(int64_t tokens, int64_t problems) {
    return problems > 0 ? (double)tokens / (double)problems : NAN;
}

static void put_samples(const evaluation *e, document *d) {
    document_begin(d, '[');
    for (int64_t i = 0; e && i < e->point_count; i++) {
        const evaluation_point *p = &e->points[i];
        document_begin(d, '{');
        document_put_integer(d, "k", p->k);
        document_put_number(d, "pass", p->pass);
        document_put_number(d, "pass_low", p->pass_interval.low);
        document_put_number(d, "pass_high", p->pass_interval.high);
        document_put_number(d, "majority", p->majority);
        document_put_number(d, "majority_low", p->majority_interval.low);
        document_put_number(d, "majority_high", p->majority_interval.high);
        document_put_number(d, "tokens", p->tokens);
        document_put_integer(d, "problems", e->problems);
        document_end(d, '}');
    }
    document_end(d, ']');
}

static void put_accuracy(const evaluation *e, document *d) {
    document_put_number(d, "accuracy", e->accuracy);
    document_put_number(d, "low", e->interval.low);
    document_put_number(d, "high", e->interval.high);
}

static void put_cost(const evaluation *e, document *d) {
    document_put_number(d, "tokens", a_problem(e->tokens_sampled, e->problems));
    document_put_number(d, "computed", a_problem(e->tokens_computed, e->problems));
    document_put_integer(d, "problems", e->problems);
}

static void put_greedy(const evaluation *e, document *d) {
    document_begin(d, '{');
    put_accuracy(e, d);
    put_cost(e, d);
    document_end(d, '}');
}

static void put_search(const evaluation *e, document *d) {
    document_begin(d, '{');
    document_put_number(d, "committed", e->accuracy);
    document_put_number(d, "low", e->interval.low);
    document_put_number(d, "high", e->interval.high);
    document_put_number(d, "vote", e->search.vote);
    document_put_number(d, "vote_low", e->search.vote_interval.low);
    document_put_number(d, "vote_high", e->search.vote_interval.high);
    document_put_number(d, "any", e->search.any);
    document_put_number(d, "tokens", a_problem(e->tokens_sampled, e->problems));
    document_put_number(d, "judged", a_problem(e->tokens_judged, e->problems));
    document_put_number(d, "spent",
                        a_problem(store_tokens_spent(e->tokens_sampled, e->tokens_judged), e->problems));
    document_put_number(d, "computed", a_problem(e->tokens_computed, e->problems));
    document_put_integer(d, "problems", e->problems);
    document_end(d, '}');
}

static void put_choices(const evaluation *e, document *d) {
    document_begin(d, '{');
    put_accuracy(e, d);
    document_put_number(d, "norm", e->choices.norm);
    document_put_number(d, "norm_low", e->choices.norm_interval.low);
    document_put_number(d, "norm_high", e->choices.norm_interval.high);
    put_cost(e, d);
    document_end(d, '}');
}

/* problems: samples and search may have fewer than the greedy chain, whose figures are then over the same
 * first ones. */
static void put_one(const report_run *r, int64_t iteration, const char *method, const char *key,
                    void (*put)(const evaluation *, document *), int64_t problems, document *d) {
    evaluation e;
    document_key(d, key);
    if (!report_read_evaluation(r, iteration, method, &e)) {
        document_null(d);
        return;
    }
    if (problems > 0 && problems < e.problems) evaluation_keep_first(&e, problems);
    put(&e, d);
    evaluation_free(&e);
}

static int64_t problems_of(const report_run *r, int64_t iteration, const char *method) {
    for (int64_t i = 0; i < r->evals.count; i++) {
        const store_eval *e = &r->evals.at[i];
        if (e->iteration == iteration && strcmp(e->method, method) == 0 && strcmp(e->set, r->set) == 0)
            return e->problems;
    }
    return 0;
}

/* The evaluations of an iteration by each method. */
static void put_inference(const report_run *r, int64_t iteration, const char *label, document *d) {
    evaluation e;
    document_begin(d, '{');
    document_put_text(d, "label", label);
    document_put_integer(d, "iteration", iteration);
    bool there = report_read_evaluation(r, iteration, "sample", &e);
    document_key(d, "samples");
    put_samples(there ? &e : NULL, d);
    if (there) evaluation_free(&e);
    int64_t problems = problems_of(r, iteration, "sample");
    if (!problems) problems = problems_of(r, iteration, "search");
    put_one(r, iteration, "greedy", "greedy", put_greedy, problems, d);
    put_one(r, iteration, "search", "search", put_search, 0, d);
    put_one(r, iteration, "search-unjudged", "search_unjudged", put_search, 0, d);
    put_one(r, iteration, "choices", "choices", put_choices, 0, d);
    document_end(d, '}');
}

static void inference(const report_run *r, document *d) {
    int64_t first = -1, last = -1;
    for (int64_t i = 0; i < r->iteration_count; i++) {
        int64_t at = r->iterations[i].iteration;
        if (!problems_of(r, at, "sample") && !problems_of(r, at, "search") && !problems_of(r, at, "choices"))
            continue;
        if (first < 0) first = at;
        last = at;
    }
    document_key(d, "inference");
    document_begin(d, '[');
    if (first >= 0 && first < last) put_inference(r, first, "before", d);
    if (last >= 0) put_inference(r, last, first < last || last > 0 ? "after" : "before", d);
    document_end(d, ']');
}

/* ---- both on one axis ---- */

static void put_curves(const report_run *r, document *d) {
    curves_of_run run = {.label = r->folder, .runs = 1};
    document_key(d, "curves");
    if (!r->recipe || curves_read(&run.set, r->store, r->recipe, r->task, NULL) != ESP_OK) {
        document_null(d);
        return;
    }
    curves_document(&run, run.set.asked, d);
    curves_free(&run.set);
}

/* ---- answers before and after ---- */

/* Questions and gold answers of the set; empty if its file no longer exists. */
typedef struct {
    session s;
    const problem_set *set;
} questions;

static void questions_open(questions *q, const report_run *r) {
    *q = (questions){.s = {.recipe = r->recipe}};
    if (!r->recipe || task_new(&q->s.task, &r->recipe->task, NULL) != ESP_OK) return;
    if (session_read_problems(&q->s, false, true, NULL) != ESP_OK) return;
    q->set = strcmp(r->set, "dev") == 0 ? &q->s.dev : &q->s.test;
}

static const problem *question_of(const questions *q, int64_t index) {
    for (int64_t i = 0; q->set && i < q->set->count; i++)
        if (q->set->at[i].index == index) return &q->set->at[i];
    return NULL;
}

static void put_answer(const evaluation_result *a, document *d) {
    document_begin(d, '{');
    document_key(d, "text");
    document_text_cut(d, a->text, REPORT_MOST_TEXT);
    document_put_bool(d, "right", a->right);
    document_put_bool(d, "finished", a->finished);
    document_put_integer(d, "tokens", a->tokens);
    document_key(d, "answer");
    document_text_cut(d, a->answer, 200);
    document_end(d, '}');
}

typedef enum { GAINED, LOST, WRONG, RIGHT, CHANGES } change;

static change change_of(const evaluation_result *a, const evaluation_result *b) {
    if (a->right) return b->right ? RIGHT : LOST;
    return b->right ? GAINED : WRONG;
}

static void put_problem(const questions *q, const evaluation_result *before, const evaluation_result *after,
                        const char *name, document *d) {
    const problem *p = question_of(q, before->problem);
    document_begin(d, '{');
    document_put_integer(d, "problem", before->problem);
    document_put_text(d, "change", name);
    document_key(d, "name");
    document_text_cut(d, p ? p->id : NULL, 200);
    document_key(d, "question");
    text_buffer question = {0};
    if (p) task_question(q->s.task, p, &question);
    document_text_cut(d, question.at, REPORT_MOST_TEXT);
    text_free(&question);
    document_key(d, "gold");
    document_text_cut(d, p ? p->gold : NULL, REPORT_MOST_TEXT);
    document_key(d, "before");
    put_answer(before, d);
    document_key(d, "after");
    put_answer(after, d);
    document_end(d, '}');
}

/* Shows up to a number of each kind of change, in the order of the problems; a kind with fewer leaves room
 * for the next. */
static void put_answers(const report_run *r, const evaluation *a, const evaluation *b, document *d) {
    static const char *const names[CHANGES] = {"gained", "lost", "wrong", "right"};
    static const int64_t shares[CHANGES] = {20, 15, 15, 10};
    int64_t left = REPORT_MOST_ANSWERS, planned = 0;
    questions q;
    questions_open(&q, r);
    for (int c = 0; c < CHANGES; c++) {
        planned += shares[c];
        int64_t most = planned - (REPORT_MOST_ANSWERS - left);
        for (int64_t i = 0; i < a->problems && most > 0; i++) {
            const evaluation_result *x = &a->results[i * a->per_problem],
                                    *y = &b->results[i * b->per_problem];
            if (change_of(x, y) != (change)c) continue;
            put_problem(&q, x, y, names[c], d);
            most--, left--;
        }
    }
    session_close(&q.s);
}

static bool same_problems(const evaluation *a, const evaluation *b) {
    bool same = a->problems == b->problems;
    for (int64_t i = 0; i < a->problems && same; i++)
        same = a->results[i * a->per_problem].problem == b->results[i * b->per_problem].problem;
    return same;
}

esp_status report_evaluations(report_run *r, document *d, report_gain *gain, esp_error *error) {
    const report_iteration *first = report_first_evaluated(r), *last = report_last_evaluated(r);
    evaluation before, after;
    *gain = (report_gain){0};
    bool two =
        first && last && first != last && report_read_evaluation(r, first->iteration, r->method, &before);
    if (two && !report_read_evaluation(r, last->iteration, r->method, &after)) {
        evaluation_free(&before);
        two = false;
    }
    esp_status status = ESP_OK;
    if (two && same_problems(&before, &after)) {
        *gain = (report_gain){.known = true, .from = first->iteration, .to = last->iteration};
        status = evaluation_compare(&after, &before, r->recipe ? (uint64_t)r->recipe->run.seed : 1, &gain->d,
                                    error);
    }
    put_gain(gain, d);
    inference(r, d);
    put_curves(r, d);
    document_key(d, "answers");
    document_begin(d, '[');
    if (gain->known) put_answers(r, &before, &after, d);
    document_end(d, ']');
    if (two) {
        evaluation_free(&before);
        evaluation_free(&after);
    }
    return status;
}
