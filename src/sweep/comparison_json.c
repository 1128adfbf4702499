/* A comparison as JSON. */
#include "formats/json.h"
#include "sweep/comparison.h"

#include <string.h>

static json_t *text_json(const char *text) {
    return json_from_text(text, strlen(text));
}

static json_t *interval_json(metrics_interval i) {
    return json_pack("[o, o]", json_real_or_null(i.low), json_real_or_null(i.high));
}

static json_t *estimate_json(metrics_estimate e) {
    return json_pack("{s:I, s:o, s:o}", "n", (json_int_t)e.n, "mean", json_real_or_null(e.mean), "interval",
                     interval_json(e.interval));
}

static json_t *run_json(const comparison_run *r) {
    json_t *curve = json_array();
    for (int64_t i = 0; i < r->points; i++) {
        const comparison_point *p = &r->curve[i];
        json_array_append_new(curve,
                              json_pack("{s:I, s:o, s:f}", "iteration", (json_int_t)p->iteration, "accuracy",
                                        json_real_or_null(p->accuracy), "tokens", p->tokens));
    }
    return json_pack("{s:o, s:I, s:I, s:o, s:o, s:o, s:f, s:I, s:I, s:I, s:o}", "run", text_json(r->folder),
                     "seed", (json_int_t)r->seed, "problems", (json_int_t)r->last.problems, "accuracy",
                     json_real_or_null(r->accuracy), "curve_mean", json_real_or_null(r->mean), "reached_at",
                     json_real_or_null(r->reached), "tokens", r->tokens, "tokens_computed",
                     (json_int_t)r->totals.tokens_computed, "trees", (json_int_t)r->totals.trees, "updates",
                     (json_int_t)r->totals.updates, "curve", curve);
}

static json_t *lines_json(const text_buffer *lines) {
    json_t *list = json_array();
    for (const char *at = lines->at; at && *at;) {
        size_t n = strcspn(at, "\n");
        json_array_append_new(list, json_from_text(at, n));
        at += n + (at[n] == '\n');
    }
    return list;
}

static json_t *against_json(const comparison_method *m) {
    json_t *pairs = json_array();
    for (int64_t i = 0; i < m->pairs.count; i++) {
        json_t *pair = evaluation_difference_json(&m->pairs.at[i].of);
        json_object_set_new(pair, "seed", json_integer(m->pairs.at[i].seed));
        json_array_append_new(pairs, pair);
    }
    return json_pack("{s:o, s:o, s:{s:o, s:o}, s:o}", "over_seeds", estimate_json(m->difference),
                     "curve_mean", estimate_json(m->mean_difference), "over_problems", "difference",
                     json_real_or_null(m->over_problems.difference), "interval",
                     interval_json(m->over_problems.interval), "each_seed", pairs);
}

static json_t *method_json(const comparison *c, const comparison_method *m) {
    json_t *runs = json_array();
    for (int64_t i = 0; i < m->count; i++) json_array_append_new(runs, run_json(&m->runs[i]));
    bool base = m == &c->methods[c->baseline];
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "method", text_json(m->label),
                     "accuracy", estimate_json(m->accuracy), "curve_mean", estimate_json(m->mean),
                     "reached_at", estimate_json(m->reached), "tokens", estimate_json(m->tokens), "trees",
                     estimate_json(m->trees), "updates", estimate_json(m->updates), "less_baseline",
                     base ? json_null() : against_json(m), "recipe_changes", lines_json(&m->changes), "runs",
                     runs);
}

json_t *comparison_json(const comparison *c) {
    json_t *methods = json_array();
    for (int64_t i = 0; i < c->count; i++) json_array_append_new(methods, method_json(c, &c->methods[i]));
    return json_pack("{s:o, s:o, s:o, s:o}", "baseline", text_json(c->methods[c->baseline].label), "target",
                     json_real_or_null(c->target), "methods", methods, "warnings", lines_json(&c->warnings));
}
