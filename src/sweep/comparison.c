#include "sweep/comparison.h"

#include "formats/json.h"
#include "loop/provenance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_warning(comparison *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_warning(comparison *c, const char *format, ...) {
    char line[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text_printf(&c->warnings, "%s\n", line);
}

/* ---- reading a run ---- */

static void run_free(comparison_run *r) {
    evaluation_free(&r->last);
    task_free(r->task);
    recipe_free(r->recipe);
    mem_free(r->folder);
    mem_free(r->problems);
    mem_free(r->model);
    mem_free(r->curve);
    *r = (comparison_run){0};
}

static double tokens_up_to(const store_costs *costs, int64_t iteration) {
    double sum = 0;
    for (int64_t i = 0; i < costs->count; i++)
        if (costs->at[i].iteration <= iteration)
            sum += (double)store_tokens_spent(costs->at[i].tokens_sampled, costs->at[i].tokens_judged);
    return sum;
}

/* The mean over iterations of the lines between the points from the first on. The first evaluation is of the
 * policy that all methods start with; it counts as the start of the first line. */
static double mean_of(const comparison_point *p, int64_t n) {
    double area = 0;
    if (n < 2 || p[n - 1].iteration <= p[0].iteration) return n > 0 ? p[n - 1].accuracy : NAN;
    for (int64_t i = 1; i < n; i++)
        area += (p[i].accuracy + p[i - 1].accuracy) / 2 * (double)(p[i].iteration - p[i - 1].iteration);
    return area / (double)(p[n - 1].iteration - p[0].iteration);
}

static void read_curve(comparison_run *out, const store_evals *evals, const store_costs *costs,
                       double target) {
    out->curve = MEM_ARRAY(comparison_point, evals->count + 1);
    out->points = evals->count;
    out->reached = NAN;
    for (int64_t i = 0; i < evals->count; i++) {
        const store_eval *e = &evals->at[i];
        out->curve[i] = (comparison_point){e->iteration, e->accuracy, tokens_up_to(costs, e->iteration)};
        if (isnan(out->reached) && e->accuracy >= target) out->reached = out->curve[i].tokens;
    }
    out->mean = mean_of(out->curve, out->points);
    out->tokens = tokens_up_to(costs, INT64_MAX);
}

static esp_status read_hash(store *s, const char *key, char **out, esp_error *error) {
    ESP_TRY(store_meta_get(s, key, out, error));
    if (!*out) *out = mem_strdup("");
    return ESP_OK;
}

static esp_status read_evaluations(comparison_run *out, store *s, double target, esp_error *error) {
    store_evals evals;
    store_costs costs;
    const recipe *r = out->recipe;
    const char *set = evaluation_set_name(r->eval.set);
    ESP_TRY(evaluations_of_recipe(s, r, &evals, error));
    esp_status status = store_read_costs(s, &costs, error);
    if (status == ESP_OK) {
        read_curve(out, &evals, &costs, target);
        STORE_LIST_FREE(&costs);
        if (out->points > 0)
            status = evaluation_read(&out->last, s, out->task, out->curve[out->points - 1].iteration,
                                     evaluation_method_name(r->eval.method), set, error);
        if (out->points > 0) out->accuracy = out->curve[out->points - 1].accuracy;
    }
    STORE_LIST_FREE(&evals);
    return status;
}

static esp_status read_stored(comparison_run *out, store *s, double target, esp_error *error) {
    ESP_TRY(store_read_totals(s, &out->totals, error));
    ESP_TRY(read_hash(s, out->recipe->eval.set == RECIPE_SET_DEV ? "contents.dev" : "contents.test",
                      &out->problems, error));
    ESP_TRY(read_hash(s, "contents.model", &out->model, error));
    return read_evaluations(out, s, target, error);
}

/* *finished false: it is not finished, or was not evaluated, and *out holds nothing. */
static esp_status read_run(comparison_run *out, const char *folder, double target, bool *finished,
                           esp_error *error) {
    store *s;
    store_position at;
    *out = (comparison_run){.folder = mem_strdup(folder)};
    *finished = false;
    esp_status status = store_open(&s, folder, STORE_READ, error);
    if (status == ESP_OK) {
        status = store_begin_read(s, error);
        if (status == ESP_OK) status = store_position_get(s, &at, error);
        *finished = status == ESP_OK && at.phase == STORE_PHASE_DONE;
        if (*finished) status = provenance_read_recipe(folder, &out->recipe, error);
        if (*finished && status == ESP_OK) status = task_new(&out->task, &out->recipe->task, error);
        if (*finished && status == ESP_OK) status = read_stored(out, s, target, error);
        store_rollback(s);
        store_close(s);
    }
    if (status == ESP_OK && *finished) {
        *finished = out->points > 0;
        out->seed = out->recipe->run.seed;
    }
    if (status != ESP_OK || !*finished) run_free(out);
    return status;
}

/* ---- methods ---- */

static bool is_seed(const char *key) {
    return strcmp(key, "run.seed") == 0;
}

static void count_unless_seed(void *user, const char *key, const char *a, const char *b) {
    (void)a, (void)b;
    *(int64_t *)user += !is_seed(key);
}

static bool same_but_seed(const comparison_run *a, const comparison_run *b) {
    int64_t n = 0;
    recipe_differences(a->recipe, b->recipe, count_unless_seed, &n);
    return n == 0;
}

static comparison_method *method_of(comparison *c, const comparison_run *run, const char *label) {
    for (int64_t i = 0; i < c->count; i++) {
        comparison_method *m = &c->methods[i];
        if (label ? strcmp(m->label, label) == 0 : same_but_seed(&m->runs[0], run)) return m;
    }
    c->methods[c->count] = (comparison_method){.label = mem_strdup(label ? label : run->folder)};
    return &c->methods[c->count++];
}

static int by_seed(const void *a, const void *b) {
    const comparison_run *x = a, *y = b;
    return (x->seed > y->seed) - (x->seed < y->seed);
}

static esp_status read_runs(comparison *c, const comparison_input *inputs, int64_t n, esp_error *error) {
    for (int64_t i = 0; i < n; i++) {
        comparison_run run;
        bool finished;
        ESP_TRY(read_run(&run, inputs[i].folder, c->target, &finished, error));
        if (!finished) {
            add_warning(c, "%s is left out: it is not finished, or was not evaluated", inputs[i].folder);
            continue;
        }
        comparison_method *m = method_of(c, &run, inputs[i].label);
        m->runs = mem_realloc(m->runs, sizeof *m->runs * (size_t)(m->count + 1));
        m->runs[m->count++] = run;
    }
    for (int64_t i = 0; i < c->count; i++)
        qsort(c->methods[i].runs, (size_t)c->methods[i].count, sizeof *c->methods[i].runs, by_seed);
    return c->count > 0 ? ESP_OK
                        : error_fail(error, "a run is compared when it is finished",
                                     "there is no finished run to compare");
}

static esp_status find_baseline(comparison *c, const char *baseline, esp_error *error) {
    text_buffer names = {0};
    c->baseline = baseline ? -1 : 0;
    for (int64_t i = 0; i < c->count; i++) {
        if (baseline && strcmp(c->methods[i].label, baseline) == 0) c->baseline = i;
        text_printf(&names, "%s%s", i > 0 ? ", " : "the methods are ", c->methods[i].label);
    }
    esp_status status =
        c->baseline >= 0 ? ESP_OK
                         : error_fail(error, names.at, "no finished run is of the baseline \"%s\"", baseline);
    text_free(&names);
    return status;
}

/* ---- figures ---- */

static double accuracy_of(const comparison_run *r) {
    return r->accuracy;
}
static double mean_of_run(const comparison_run *r) {
    return r->mean;
}
static double tokens_of(const comparison_run *r) {
    return r->tokens;
}
static double trees_of(const comparison_run *r) {
    return (double)r->totals.trees;
}
static double updates_of(const comparison_run *r) {
    return (double)r->totals.updates;
}
static double reached_of(const comparison_run *r) {
    return r->reached;
}

/* Over the runs where the figure is a number. */
static metrics_estimate over_seeds(const comparison_method *m, double (*figure)(const comparison_run *)) {
    double *values = MEM_ARRAY(double, m->count);
    int64_t n = 0;
    for (int64_t i = 0; i < m->count; i++) {
        double x = figure(&m->runs[i]);
        if (!isnan(x)) values[n++] = x;
    }
    metrics_estimate e = metrics_student(values, n);
    mem_free(values);
    return e;
}

static void summarize(comparison_method *m) {
    m->accuracy = over_seeds(m, accuracy_of);
    m->mean = over_seeds(m, mean_of_run);
    m->tokens = over_seeds(m, tokens_of);
    m->trees = over_seeds(m, trees_of);
    m->updates = over_seeds(m, updates_of);
    m->reached = over_seeds(m, reached_of);
}

static const comparison_run *with_seed(const comparison_method *m, int64_t seed) {
    for (int64_t i = 0; i < m->count; i++)
        if (m->runs[i].seed == seed) return &m->runs[i];
    return NULL;
}

static bool same_problems(const comparison_run *a, const comparison_run *b) {
    bool other = *a->problems && *b->problems && strcmp(a->problems, b->problems) != 0;
    return !other && evaluation_same_problems(&a->last, &b->last);
}

/* The share of seeds with which each problem is solved, the method less the baseline. */
static metrics_difference over_problems(const comparison_method *m, const comparison_method *base) {
    int64_t n = m->runs[0].last.problems;
    double *values = MEM_ARRAY(double, 2 * n + 1), share = 1 / (double)m->pairs.count;
    for (int64_t i = 0; i < m->pairs.count; i++) {
        const comparison_run *a = with_seed(m, m->pairs.at[i].seed),
                             *b = with_seed(base, m->pairs.at[i].seed);
        for (int64_t p = 0; p < n; p++) {
            values[p] += evaluation_right(&a->last, p) * share;
            values[n + p] += evaluation_right(&b->last, p) * share;
        }
    }
    enum { RESAMPLES = 2000 };
    metrics_difference d =
        metrics_paired_bootstrap(values, values + n, n, RESAMPLES, rng_mix(rng_key(1), (uint64_t)n));
    mem_free(values);
    return d;
}

static void compare(comparison *c, comparison_method *m) {
    const comparison_method *base = &c->methods[c->baseline];
    double *last = MEM_ARRAY(double, 2 * m->count), *mean = last + m->count;
    m->over_problems = (metrics_difference){NAN, {NAN, NAN}};
    for (int64_t i = 0; i < m->count; i++) {
        const comparison_run *a = &m->runs[i], *b = with_seed(base, a->seed);
        comparison_pair pair = {.seed = a->seed};
        if (!b || !same_problems(a, b)) continue;
        if (evaluation_compare(&a->last, &b->last, (uint64_t)a->seed, &pair.of, NULL) != ESP_OK) continue;
        last[m->pairs.count] = a->accuracy - b->accuracy;
        mean[m->pairs.count] = a->mean - b->mean;
        MEM_LIST_PUSH(&m->pairs, pair);
    }
    m->difference = metrics_student(last, m->pairs.count);
    m->mean_difference = metrics_student(mean, m->pairs.count);
    if (m->pairs.count > 0) m->over_problems = over_problems(m, base);
    mem_free(last);
}

static void add_change(void *user, const char *key, const char *in_base, const char *in_method) {
    enum { SHOWN = 80 };
    if (!is_seed(key))
        text_printf(user, "%s: %.*s -> %.*s\n", key, SHOWN, *in_base ? in_base : "nothing", SHOWN,
                    *in_method ? in_method : "nothing");
}

/* ---- warnings ---- */

/* Within a method all runs have one recipe; between methods, what is evaluated is the same. */
static void check_method(comparison *c, const comparison_method *m) {
    const comparison_method *base = &c->methods[c->baseline];
    const comparison_run *first = &base->runs[0];
    bool recipes = false, problems = false, models = false;
    for (int64_t i = 0; i < m->count; i++) {
        const comparison_run *r = &m->runs[i];
        recipes = recipes || !same_but_seed(&m->runs[0], r);
        problems = problems || !same_problems(first, r);
        models = models || strcmp(first->model, r->model) != 0;
        if (i > 0 && r->seed == m->runs[i - 1].seed)
            add_warning(c, "%s has several runs of seed %lld; they are not independent", m->label,
                        (long long)r->seed);
    }
    if (recipes) add_warning(c, "the runs of %s differ in more than their seed", m->label);
    if (problems)
        add_warning(c, "%s was evaluated on other problems than %s: their accuracies cannot be compared",
                    m->label, base->label);
    if (models && m != base) add_warning(c, "%s began with another model than %s", m->label, base->label);
    if (m != base && m->pairs.count < m->count && !problems)
        add_warning(
            c, "%s: %lld of its %lld runs have no run of %s with the same seed; differences leave them out",
            m->label, (long long)(m->count - m->pairs.count), (long long)m->count, base->label);
}

static void warn_of_evaluation(void *user, const char *key, const char *in_base, const char *in_method) {
    bool counts = strcmp(key, "eval.method") == 0 || strcmp(key, "eval.set") == 0 ||
                  strcmp(key, "eval.k") == 0 || strcmp(key, "eval.temperature") == 0 ||
                  strcmp(key, "eval.max_tokens") == 0 || strcmp(key, "eval.option") == 0;
    if (counts)
        text_printf(user, "%s%s (%s, %s)", ((text_buffer *)user)->length ? "; " : "", key, in_base,
                    in_method);
}

static void check_evaluation(comparison *c, const comparison_method *m) {
    const comparison_method *base = &c->methods[c->baseline];
    text_buffer keys = {0};
    recipe_differences(base->runs[0].recipe, m->runs[0].recipe, warn_of_evaluation, &keys);
    if (keys.length > 0)
        add_warning(c, "%s was evaluated otherwise than %s: %.500s", m->label, base->label, keys.at);
    text_free(&keys);
}

/* ---- the whole ---- */

esp_status comparison_make(comparison *out, const comparison_input *inputs, int64_t n, const char *baseline,
                           double target, esp_error *error) {
    *out = (comparison){.methods = MEM_ARRAY(comparison_method, n + 1), .target = target};
    esp_status status = read_runs(out, inputs, n, error);
    if (status == ESP_OK) status = find_baseline(out, baseline, error);
    for (int64_t i = 0; i < out->count && status == ESP_OK; i++) {
        comparison_method *m = &out->methods[i];
        summarize(m);
        compare(out, m);
        recipe_differences(out->methods[out->baseline].runs[0].recipe, m->runs[0].recipe, add_change,
                           &m->changes);
        check_method(out, m);
        check_evaluation(out, m);
    }
    if (status != ESP_OK) comparison_free(out);
    return status;
}

void comparison_free(comparison *c) {
    for (int64_t i = 0; i < c->count; i++) {
        comparison_method *m = &c->methods[i];
        for (int64_t k = 0; k < m->count; k++) run_free(&m->runs[k]);
        mem_free(m->runs);
        mem_free(m->label);
        MEM_LIST_FREE(&m->pairs);
        text_free(&m->changes);
    }
    mem_free(c->methods);
    text_free(&c->warnings);
    *c = (comparison){0};
}
