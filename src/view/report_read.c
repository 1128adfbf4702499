/* Reads a run once, and computes the results of each iteration. */
#include "view/report_inner.h"

#include "base/file.h"
#include "loop/recipe_change.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- which iterations there are ---- */

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void list_iterations(report_run *r) {
    MEM_LIST(int64_t) all = {0};
    for (int64_t i = 0; i < r->trees.count; i++) MEM_LIST_PUSH(&all, r->trees.at[i].iteration);
    for (int64_t i = 0; i < r->updates.count; i++) MEM_LIST_PUSH(&all, r->updates.at[i].iteration);
    for (int64_t i = 0; i < r->evals.count; i++) MEM_LIST_PUSH(&all, r->evals.at[i].iteration);
    if (all.count) qsort(all.at, (size_t)all.count, sizeof *all.at, by_number);
    r->iterations = MEM_ARRAY(report_iteration, all.count + 1);
    for (int64_t i = 0; i < all.count; i++) {
        if (i > 0 && all.at[i] == all.at[i - 1]) continue;
        report_iteration *it = &r->iterations[r->iteration_count++];
        *it = (report_iteration){.iteration = all.at[i], .mean_tokens = NAN, .finished_share = NAN};
        judge_scores_quality(&(judge_scores){0}, it->judge);
        judge_scores_quality(&(judge_scores){0}, it->calibrated);
        judge_scores_quality(&(judge_scores){0}, it->frozen);
    }
    MEM_LIST_FREE(&all);
}

/* NULL: none. */
static report_iteration *iteration_of(const report_run *r, int64_t iteration) {
    for (int64_t i = 0; i < r->iteration_count; i++)
        if (r->iterations[i].iteration == iteration) return &r->iterations[i];
    return NULL;
}

const report_iteration *report_first_evaluated(const report_run *r) {
    for (int64_t i = 0; i < r->iteration_count; i++)
        if (r->iterations[i].evaluated) return &r->iterations[i];
    return NULL;
}

const report_iteration *report_last_evaluated(const report_run *r) {
    for (int64_t i = r->iteration_count - 1; i >= 0; i--)
        if (r->iterations[i].evaluated) return &r->iterations[i];
    return NULL;
}

/* ---- search ---- */

typedef struct {
    judge_scores own, all; /* of the current iteration, of all iterations */
} scores;

static void add_nodes(report_iteration *it, const store_node *nodes, int64_t n) {
    int64_t *length = MEM_ARRAY(int64_t, n + 1); /* tokens from the root */
    for (int64_t i = 0; i < n; i++) {
        const store_node *v = &nodes[i];
        bool sound = v->parent >= 0 && v->parent < i;
        bool finished = v->flags & STORE_NODE_FINISHED;
        if (!sound) continue;
        length[i] = length[v->parent] + v->count;
        it->nodes++;
        it->step_tokens += v->count;
        if (v->flags & (STORE_NODE_FINISHED | STORE_NODE_CUT)) {
            it->ended++;
            it->finished += finished;
            it->chain_tokens += length[i];
        }
    }
    mem_free(length);
}

/* judge_scores_add_stored requires valid parents, which a damaged store may not have. */
static bool parents_in_order(const store_node *nodes, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (nodes[i].index != i || nodes[i].parent >= i || nodes[i].parent < -1) return false;
    return true;
}

static esp_status add_tree(report_run *r, report_iteration *it, const store_tree *t, scores *s,
                           esp_error *error) {
    store_nodes nodes;
    ESP_TRY(store_read_nodes(r->store, t->tree, &nodes, error));
    it->trees++;
    it->trees_right += t->outcome > 0;
    it->unknown += t->unknown;
    it->sampled += t->tokens_sampled;
    it->judged += t->tokens_judged;
    it->computed += t->tokens_computed;
    add_nodes(it, nodes.at, nodes.count);
    if (parents_in_order(nodes.at, nodes.count)) {
        judge_scores_add_stored(&s->own, t->problem, nodes.at, nodes.count);
        judge_scores_add_stored(&s->all, t->problem, nodes.at, nodes.count);
    }
    STORE_LIST_FREE(&nodes);
    return ESP_OK;
}

static esp_status add_trees(report_run *r, esp_error *error) {
    scores s;
    memset(&s, 0, sizeof s);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < r->trees.count && status == ESP_OK; i++) {
        const store_tree *t = &r->trees.at[i];
        report_iteration *it = iteration_of(r, t->iteration);
        status = add_tree(r, it, t, &s, error);
        bool last = i + 1 == r->trees.count || r->trees.at[i + 1].iteration != t->iteration;
        if (!last) continue;
        judge_scores_quality(&s.own, it->judge);
        judge_scores_free(&s.own);
        memset(&s.own, 0, sizeof s.own);
    }
    judge_scores_quality(&s.all, r->judge);
    judge_scores_free(&s.own);
    judge_scores_free(&s.all);
    return status;
}

/* ---- pairs ---- */

static int by_tree(const void *a, const void *b) {
    const report_pair *x = a, *y = b;
    return x->tree == y->tree ? (x->pair > y->pair) - (x->pair < y->pair)
                              : (x->tree > y->tree) - (x->tree < y->tree);
}

int64_t report_first_pair(const report_run *r, int64_t tree) {
    int64_t low = 0, high = r->pairs.count;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (r->pairs.at[middle].tree < tree)
            low = middle + 1;
        else
            high = middle;
    }
    return low < r->pairs.count && r->pairs.at[low].tree == tree ? low : -1;
}

static esp_status add_pairs(report_run *r, esp_error *error) {
    for (int64_t i = 0; i < r->iteration_count; i++) {
        store_pairs pairs;
        ESP_TRY(store_read_pair_rows(r->store, r->iterations[i].iteration, &pairs, error));
        r->iterations[i].pairs = pairs.count;
        for (int64_t j = 0; j < pairs.count; j++) {
            const store_pair *p = &pairs.at[j];
            report_pair kept = {p->tree, p->pair, p->state, p->chosen, p->rejected};
            MEM_LIST_PUSH(&r->pairs, kept);
        }
        STORE_LIST_FREE(&pairs);
    }
    if (r->pairs.count) qsort(r->pairs.at, (size_t)r->pairs.count, sizeof *r->pairs.at, by_tree);
    return ESP_OK;
}

/* ---- updates ---- */

static void mean_add(report_mean *m, double value, int64_t rows) {
    if (!isfinite(value)) return;
    m->sum += value * (double)rows;
    m->rows += (double)rows;
}

double report_mean_of(const report_mean *m) {
    return m->rows > 0 ? m->sum / m->rows : NAN;
}

static void add_metrics(report_iteration *it, const store_update *u, int64_t rows) {
    for (int64_t i = 0; i < u->metric_count; i++) {
        int64_t at = 0;
        while (at < it->metrics.count && strcmp(it->metrics.at[at].name, u->metrics[i].name) != 0) at++;
        if (at == it->metrics.count) MEM_LIST_PUSH(&it->metrics, ((report_mean){.name = u->metrics[i].name}));
        mean_add(&it->metrics.at[at], u->metrics[i].value, rows);
    }
}

static void add_updates(report_run *r) {
    for (int64_t i = 0; i < r->iteration_count; i++) {
        report_iteration *it = &r->iterations[i];
        report_mean loss = {0}, norm = {0};
        for (int64_t j = 0; j < r->updates.count; j++) {
            const store_update *u = &r->updates.at[j];
            if (u->iteration != it->iteration) continue;
            it->learned += u->tokens_computed;
            if (strcmp(u->phase, "learn") != 0) continue;
            int64_t rows = u->rows > 0 ? u->rows : 1;
            it->updates++;
            mean_add(&loss, u->loss, rows);
            mean_add(&norm, u->grad_norm, rows);
            add_metrics(it, u, rows);
        }
        it->loss = report_mean_of(&loss);
        it->grad_norm = report_mean_of(&norm);
    }
}

/* ---- evaluations, times ---- */

static bool has_evaluation(const report_run *r, const char *method, const char *set) {
    for (int64_t i = 0; i < r->evals.count; i++)
        if (strcmp(r->evals.at[i].method, method) == 0 && strcmp(r->evals.at[i].set, set) == 0) return true;
    return false;
}

/* Evaluations by the recipe's method on its set if there are any, else on the other set; then greedy ones,
 * samples, search, choices. */
static void choose_method(report_run *r) {
    const char *own = r->recipe ? evaluation_method_name(r->recipe->eval.method) : "greedy";
    const char *const methods[] = {own, "greedy", "sample", "search", "choices"};
    bool dev = r->recipe && r->recipe->eval.set == RECIPE_SET_DEV;
    const char *sets[] = {dev ? "dev" : "test", dev ? "test" : "dev"};
    r->method = methods[0], r->set = sets[0];
    for (int m = 0; m < 5; m++)
        for (int s = 0; s < 2; s++)
            if (has_evaluation(r, methods[m], sets[s])) {
                r->method = methods[m], r->set = sets[s];
                return;
            }
}

bool report_read_evaluation(const report_run *r, int64_t iteration, const char *method, evaluation *out) {
    bool there = false;
    for (int64_t i = 0; i < r->evals.count && !there; i++) {
        const store_eval *e = &r->evals.at[i];
        there = e->iteration == iteration && strcmp(e->method, method) == 0 && strcmp(e->set, r->set) == 0;
    }
    return there && evaluation_read(out, r->store, r->task, iteration, method, r->set, NULL) == ESP_OK;
}

static void add_evaluations(report_run *r) {
    for (int64_t i = 0; i < r->evals.count; i++) {
        const store_eval *e = &r->evals.at[i];
        if (strcmp(e->method, r->method) != 0 || strcmp(e->set, r->set) != 0) continue;
        report_iteration *it = iteration_of(r, e->iteration);
        evaluation whole;
        it->evaluated = true;
        it->main = *e;
        if (!report_read_evaluation(r, e->iteration, r->method, &whole)) continue;
        it->mean_tokens = whole.mean_tokens;
        it->finished_share = whole.finished_share;
        evaluation_free(&whole);
    }
}

static esp_status seconds_of(report_run *r, int64_t iteration, const char *key, double *out,
                             esp_error *error) {
    bool found;
    *out = NAN;
    return store_metric_get(r->store, iteration, key, out, &found, error);
}

static esp_status add_seconds(report_run *r, esp_error *error) {
    for (int64_t i = 0; i < r->iteration_count; i++) {
        report_iteration *it = &r->iterations[i];
        ESP_TRY(seconds_of(r, it->iteration, "search_seconds", &it->seconds_search, error));
        ESP_TRY(seconds_of(r, it->iteration, "learn_seconds", &it->seconds_learn, error));
        ESP_TRY(seconds_of(r, it->iteration, "evaluate_seconds", &it->seconds_evaluate, error));
    }
    return ESP_OK;
}

static esp_status add_other_judges(report_run *r, esp_error *error) {
    for (int64_t i = 0; i < r->iteration_count; i++) {
        report_iteration *it = &r->iterations[i];
        ESP_TRY(judge_read(r->store, it->iteration, JUDGE_CALIBRATED, it->calibrated, error));
        ESP_TRY(judge_read(r->store, it->iteration, JUDGE_FROZEN, it->frozen, error));
    }
    return ESP_OK;
}

static void add_up(report_run *r) {
    int64_t sampled = 0, judged = 0, computed = 0;
    for (int64_t i = 0; i < r->iteration_count; i++) {
        report_iteration *it = &r->iterations[i];
        it->all_sampled = sampled += it->sampled;
        it->all_judged = judged += it->judged;
        it->all_computed = computed += it->computed + it->learned;
    }
}

/* ---- all of it ---- */

/* If the recipe is missing, damaged or of another version, the rest is shown without it. */
static void read_recipe(report_run *r) {
    char *name = NULL;
    if (recipe_file_name(r->store, &name, NULL) != ESP_OK) return;
    char *path = path_join(r->folder, name);
    size_t length;
    if (!file_exists(path) || file_read(path, &r->recipe_text, &length, NULL) != ESP_OK)
        r->recipe_text = NULL;
    if (r->recipe_text && recipe_load(&r->recipe, path, NULL, 0, NULL) != ESP_OK) r->recipe = NULL;
    mem_free(path);
    mem_free(name);
}

static esp_status read_all(report_run *r, esp_error *error) {
    bool known;
    ESP_TRY(store_begin_read(r->store, error));
    ESP_TRY(store_check_rows(r->store, error));
    char *name;
    ESP_TRY(recipe_file_name(r->store, &name, error));
    esp_status whole = store_check_files(r->store, name, &known, error);
    mem_free(name);
    ESP_TRY(whole);
    ESP_TRY(store_position_get(r->store, &r->position, error));
    ESP_TRY(store_read_trees(r->store, STORE_ALL, &r->trees, error));
    ESP_TRY(store_read_updates(r->store, STORE_ALL, &r->updates, error));
    ESP_TRY(store_read_evals(r->store, &r->evals, error));
    ESP_TRY(store_read_calibrations(r->store, &r->calibrations, error));
    list_iterations(r);
    choose_method(r);
    ESP_TRY(add_trees(r, error));
    ESP_TRY(add_other_judges(r, error));
    ESP_TRY(add_pairs(r, error));
    add_updates(r);
    add_evaluations(r);
    ESP_TRY(add_seconds(r, error));
    add_up(r);
    return ESP_OK;
}

esp_status report_run_open(report_run *out, const char *folder, esp_error *error) {
    *out = (report_run){.folder = folder};
    ESP_TRY(store_open(&out->store, folder, STORE_READ, error));
    read_recipe(out);
    if (out->recipe) (void)task_new(&out->task, &out->recipe->task, NULL);
    esp_status status = read_all(out, error);
    if (status != ESP_OK) report_run_close(out);
    return status;
}

void report_run_close(report_run *r) {
    if (r->store) store_rollback(r->store);
    STORE_LIST_FREE(&r->trees);
    STORE_LIST_FREE(&r->updates);
    STORE_LIST_FREE(&r->evals);
    if (r->calibrations.memory) STORE_LIST_FREE(&r->calibrations);
    for (int64_t i = 0; i < r->iteration_count; i++) MEM_LIST_FREE(&r->iterations[i].metrics);
    mem_free(r->iterations);
    MEM_LIST_FREE(&r->pairs);
    task_free(r->task);
    recipe_free(r->recipe);
    mem_free(r->recipe_text);
    store_close(r->store);
    *r = (report_run){0};
}
