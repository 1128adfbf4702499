#include "eval/curves.h"

#include <math.h>
#include <string.h>

bool curve_is_pass(curve_kind kind) {
    return kind >= CURVE_CUMULATIVE;
}

double curve_tokens(const curve_point *p, double problems) {
    return p->training + p->answering * problems;
}

void curves_free(curve_set *set) {
    for (int64_t i = 0; i < set->curves.count; i++) MEM_LIST_FREE(&set->curves.at[i].points);
    MEM_LIST_FREE(&set->curves);
    *set = (curve_set){0};
}

/* ---- reading ---- */

/* An evaluation with its place in the run. */
typedef struct {
    int64_t iteration;
    bool own;        /* by the recipe's method */
    double computed; /* tokens, a problem */
    evaluation of;
} point_source;

typedef struct {
    MEM_LIST(point_source) at; /* by iteration */
    store_costs costs;
    store_updates updates;
} sources;

static void sources_free(sources *all) {
    for (int64_t i = 0; i < all->at.count; i++) evaluation_free(&all->at.at[i].of);
    MEM_LIST_FREE(&all->at);
    STORE_LIST_FREE(&all->costs);
    STORE_LIST_FREE(&all->updates);
}

static esp_status read_one(sources *all, store *s, const recipe *r, const task *t, const store_eval *row,
                           esp_error *error) {
    point_source one = {.iteration = row->iteration,
                        .own = strcmp(row->method, evaluation_method_name(r->eval.method)) == 0};
    ESP_TRY(evaluation_read(&one.of, s, t, row->iteration, row->method, row->set, error));
    one.computed = (double)one.of.tokens_computed / (double)one.of.problems;
    MEM_LIST_PUSH(&all->at, one);
    return ESP_OK;
}

static esp_status read_evaluations(sources *all, store *s, const recipe *r, const task *t, esp_error *error) {
    store_evals rows;
    esp_status status = ESP_OK;
    ESP_TRY(store_read_evals(s, &rows, error));
    for (int64_t i = 0; i < rows.count && status == ESP_OK; i++) {
        const store_eval *row = &rows.at[i];
        if (strcmp(row->set, evaluation_set_name(r->eval.set)) != 0 || row->problems < 1) continue;
        if (strcmp(row->method, evaluation_method_name(RECIPE_CHOICES)) == 0) continue;
        status = read_one(all, s, r, t, row, error);
    }
    STORE_LIST_FREE(&rows);
    return status;
}

/* ---- the same problems ---- */

static bool begins_alike(const evaluation *a, const evaluation *b, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (a->results[i * a->per_problem].problem != b->results[i * b->per_problem].problem) return false;
    return true;
}

/* All evaluations over the problems of the shortest one. Those of other problems are left out. */
static void keep_same(sources *all, curve_set *out) {
    const evaluation *shortest = NULL;
    int64_t kept = 0;
    for (int64_t i = 0; i < all->at.count; i++) {
        if (!shortest || all->at.at[i].of.problems < shortest->problems) shortest = &all->at.at[i].of;
        if (all->at.at[i].of.problems > out->asked) out->asked = all->at.at[i].of.problems;
    }
    if (!shortest) return;
    out->problems = shortest->problems;
    bool *same = MEM_ARRAY(bool, all->at.count);
    for (int64_t i = 0; i < all->at.count; i++)
        same[i] = begins_alike(&all->at.at[i].of, shortest, out->problems);
    for (int64_t i = 0; i < all->at.count; i++) {
        point_source one = all->at.at[i];
        if (same[i])
            evaluation_keep_first(&one.of, out->problems), all->at.at[kept++] = one;
        else
            evaluation_free(&one.of), out->left_out++;
    }
    all->at.count = kept;
    mem_free(same);
}

/* ---- curves ---- */

/* Tokens computed by the search and the updates of the iterations up to this one. */
static double training_until(const sources *all, int64_t iteration) {
    double sum = 0;
    for (int64_t i = 0; i < all->costs.count; i++)
        if (all->costs.at[i].iteration <= iteration) sum += (double)all->costs.at[i].tokens_computed;
    for (int64_t i = 0; i < all->updates.count; i++) {
        const store_update *u = &all->updates.at[i];
        if (u->iteration >= 1 && u->iteration <= iteration) sum += (double)u->tokens_computed;
    }
    return sum;
}

static curve *add_curve(curve_set *out, curve_kind kind, const char *name, int64_t iteration) {
    curve made = {.kind = kind, .name = name, .iteration = iteration};
    MEM_LIST_PUSH(&out->curves, made);
    return &out->curves.at[out->curves.count - 1];
}

static void add_point(curve *c, curve_point point) {
    MEM_LIST_PUSH(&c->points, point);
}

static curve_point point_of(const sources *all, const point_source *from) {
    return (curve_point){.iteration = from->iteration,
                         .k = 1,
                         .training = training_until(all, from->iteration),
                         .answering = from->computed};
}

static const char *checkpoints_name(const recipe *r) {
    switch (r->eval.method) {
    case RECIPE_SAMPLE:
        return "maj@k, each checkpoint";
    case RECIPE_SEARCH:
        return "search, each checkpoint";
    default:
        return "greedy, each checkpoint";
    }
}

static bool any_right(const evaluation *e, int64_t problem) {
    for (int64_t j = 0; j < e->per_problem; j++)
        if (e->results[problem * e->per_problem + j].right) return true;
    return false;
}

/* The own evaluations, and which problems any of them has solved so far. */
static void add_checkpoints(const sources *all, const recipe *r, curve_set *out) {
    curve own = {.kind = CURVE_CHECKPOINTS, .name = checkpoints_name(r), .iteration = -1};
    curve any = {.kind = CURVE_CUMULATIVE, .name = "any checkpoint so far", .iteration = -1};
    bool *solved = MEM_ARRAY(bool, out->problems + 1);
    double answering = 0;
    for (int64_t i = 0; i < all->at.count; i++) {
        const point_source *from = &all->at.at[i];
        if (!from->own) continue;
        int64_t count = 0;
        for (int64_t p = 0; p < out->problems; p++) count += solved[p] = solved[p] || any_right(&from->of, p);
        curve_point point = point_of(all, from);
        point.k = from->of.k;
        point.share = from->of.accuracy;
        point.interval = from->of.interval;
        add_point(&own, point);
        point.answering = answering += from->computed;
        point.share = (double)count / (double)out->problems;
        point.interval = metrics_wilson(count, out->problems);
        add_point(&any, point);
    }
    mem_free(solved);
    if (own.points.count > 0) MEM_LIST_PUSH(&out->curves, own);
    if (any.points.count > 1)
        MEM_LIST_PUSH(&out->curves, any);
    else
        MEM_LIST_FREE(&any.points);
}

static size_t common_beginning(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n]) n++;
    return n;
}

/* Bytes that a sample's text has after the beginning that it shares with an earlier one. */
static size_t new_bytes(const evaluation_result *samples, int64_t i) {
    size_t shared = 0;
    for (int64_t j = 0; j < i; j++) {
        size_t common = common_beginning(samples[i].text, samples[j].text);
        if (common > shared) shared = common;
    }
    return strlen(samples[i].text) - shared;
}

/* Bytes of the first k samples of all problems without what they share, which grow as what is computed does:
 * into out [k + 1], for 0 to k samples. */
static void distinct_bytes(const evaluation *e, double *out) {
    for (int64_t k = 0; k <= e->k; k++) out[k] = 0;
    for (int64_t p = 0; p < e->problems; p++)
        for (int64_t i = 0; i < e->k; i++)
            out[i + 1] += (double)new_bytes(&e->results[p * e->per_problem], i);
    for (int64_t k = 1; k <= e->k; k++) out[k] += out[k - 1];
}

static bool has_texts(const evaluation *e) {
    for (int64_t i = 0; i < e->result_count; i++)
        if (!e->results[i].text) return false;
    return true;
}

/* The greedy answers of the same policy; NULL: none. */
static const point_source *greedy_beside(const sources *all, const point_source *from) {
    for (int64_t i = 0; i < all->at.count; i++)
        if (all->at.at[i].iteration == from->iteration && all->at.at[i].of.method == RECIPE_GREEDY)
            return &all->at.at[i];
    return NULL;
}

/* Tokens computed for the first k samples of a problem, into out [k + 1] for 1 to k. An evaluation counts
 * them for all of its samples, and the greedy one for a single answer; between these two they grow with the
 * texts that are new. NAN: unknown. */
static void computed_for(const sources *all, const point_source *from, double *out) {
    const point_source *one = greedy_beside(all, from);
    const int64_t n = from->of.k;
    bool known = one && has_texts(&from->of);
    if (known) distinct_bytes(&from->of, out);
    double least = out[1], most = out[n];
    for (int64_t k = 1; k < n; k++) {
        double part = most > least ? (out[k] - least) / (most - least) : 1;
        out[k] = known ? one->computed + part * (from->computed - one->computed) : NAN;
    }
    out[n] = from->computed;
}

static void add_samples(const sources *all, const point_source *from, curve_set *out) {
    const evaluation *e = &from->of;
    curve majority = {.kind = CURVE_MAJORITY, .name = "maj@k", .iteration = from->iteration};
    curve pass = {.kind = CURVE_PASS, .name = "pass@k", .iteration = from->iteration};
    double *computed = MEM_ARRAY(double, e->k + 1);
    computed_for(all, from, computed);
    for (int64_t i = 0; i < e->point_count; i++) {
        const evaluation_point *p = &e->points[i];
        curve_point point = point_of(all, from);
        point.k = p->k;
        point.answering = computed[p->k];
        if (!isfinite(point.answering)) continue;
        point.share = p->majority;
        point.interval = p->majority_interval;
        add_point(&majority, point);
        point.share = p->pass;
        point.interval = p->pass_interval;
        add_point(&pass, point);
    }
    mem_free(computed);
    MEM_LIST_PUSH(&out->curves, majority);
    MEM_LIST_PUSH(&out->curves, pass);
}

static void add_search(const sources *all, const point_source *from, curve_set *out) {
    static const char *const names[2][3] = {{"search", "search: vote", "search: any chain"},
                                            {"search without self-evaluation",
                                             "search without self-evaluation: vote",
                                             "search without self-evaluation: any chain"}};
    const evaluation *e = &from->of;
    const char *const *name = names[e->unjudged];
    curve_point point = point_of(all, from);
    point.share = e->accuracy;
    point.interval = e->interval;
    add_point(add_curve(out, CURVE_SEARCH, name[0], from->iteration), point);
    point.share = e->search.vote;
    point.interval = e->search.vote_interval;
    add_point(add_curve(out, CURVE_VOTE, name[1], from->iteration), point);
    if (!isfinite(e->search.any)) return;
    point.share = e->search.any;
    point.interval = metrics_wilson(e->search.any_right, e->problems);
    add_point(add_curve(out, CURVE_ANY, name[2], from->iteration), point);
}

/* More work on an answer: of the first and the last policy that did it, by each method. */
static void add_inference(const sources *all, curve_set *out) {
    for (int64_t i = 0; i < all->at.count; i++) {
        const point_source *from = &all->at.at[i];
        bool before = false, after = false;
        for (int64_t j = 0; j < all->at.count; j++) {
            const evaluation *e = &all->at.at[j].of;
            if (e->method != from->of.method || e->unjudged != from->of.unjudged) continue;
            before = before || j < i;
            after = after || j > i;
        }
        if (before && after) continue;
        if (from->of.method == RECIPE_SAMPLE && from->of.k > 1) add_samples(all, from, out);
        if (from->of.method == RECIPE_SEARCH) add_search(all, from, out);
    }
}

esp_status curves_read(curve_set *out, store *s, const recipe *r, const task *t, esp_error *error) {
    sources all = {0};
    *out = (curve_set){0};
    esp_status status = read_evaluations(&all, s, r, t, error);
    if (status == ESP_OK) status = store_read_costs(s, &all.costs, error);
    if (status == ESP_OK) status = store_read_updates(s, STORE_ALL, &all.updates, error);
    if (status == ESP_OK && all.at.count > 0) {
        keep_same(&all, out);
        out->first = all.at.at[0].iteration;
        out->last = all.at.at[all.at.count - 1].iteration;
        add_checkpoints(&all, r, out);
        add_inference(&all, out);
    }
    sources_free(&all);
    return status;
}

/* ---- means over runs ---- */

/* The same point of another run; NULL: it has none. */
static const curve_point *same_point(const curve_set *set, const curve *c, const curve_point *p) {
    for (int64_t i = 0; i < set->curves.count; i++) {
        const curve *other = &set->curves.at[i];
        if (strcmp(other->name, c->name) != 0 || other->kind != c->kind || other->iteration != c->iteration)
            continue;
        for (int64_t j = 0; j < other->points.count; j++)
            if (other->points.at[j].iteration == p->iteration && other->points.at[j].k == p->k)
                return &other->points.at[j];
    }
    return NULL;
}

/* False where a run lacks the point. */
static bool average_point(const curve_set *sets, int n, const curve *c, const curve_point *p,
                          curve_point *out) {
    double *shares = MEM_ARRAY(double, n);
    int found = 0;
    *out = (curve_point){.iteration = p->iteration, .k = p->k};
    for (int i = 0; i < n; i++) {
        const curve_point *one = same_point(&sets[i], c, p);
        if (!one) break;
        shares[found++] = one->share;
        out->training += one->training / n;
        out->answering += one->answering / n;
    }
    metrics_estimate e = metrics_student(shares, n);
    out->share = e.mean;
    out->interval = (metrics_interval){fmax(0, e.interval.low), fmin(1, e.interval.high)};
    mem_free(shares);
    return found == n;
}

void curves_average(const curve_set *sets, int n, curve_set *out) {
    *out = (curve_set){.problems = sets[0].problems, .first = sets[0].first, .last = sets[0].last};
    for (int i = 0; i < n; i++) {
        if (sets[i].problems < out->problems) out->problems = sets[i].problems;
        if (sets[i].asked > out->asked) out->asked = sets[i].asked;
        out->left_out += sets[i].left_out;
    }
    for (int64_t i = 0; i < sets[0].curves.count; i++) {
        const curve *c = &sets[0].curves.at[i];
        curve made = {.kind = c->kind, .name = c->name, .iteration = c->iteration};
        for (int64_t j = 0; j < c->points.count; j++) {
            curve_point point;
            if (average_point(sets, n, c, &c->points.at[j], &point)) MEM_LIST_PUSH(&made.points, point);
        }
        if (made.points.count > 0) MEM_LIST_PUSH(&out->curves, made);
    }
}
