/* Trees: which ones are included (view/report.h), and each as compact rows with the replay of its search. */
#include "loop/tree_rows.h"
#include "recipe/convert.h"
#include "view/replay.h"
#include "view/report_inner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- order of preference ---- */

/* Orders 0 .. n-1: first, last, then the middle of each gap, and so on. */
static void spread(int64_t *out, int64_t n) {
    int64_t count = 0;
    bool *taken = MEM_ARRAY(bool, n + 1);
    if (n > 0) out[count++] = 0, taken[0] = true;
    if (n > 1) out[count++] = n - 1, taken[n - 1] = true;
    for (int64_t parts = 2; parts <= 2 * n; parts *= 2)
        for (int64_t i = 1; i < parts; i += 2) {
            int64_t at = (int64_t)((double)(n - 1) * (double)i / (double)parts + 0.5);
            if (!taken[at]) out[count++] = at, taken[at] = true;
        }
    for (int64_t at = 0; at < n; at++) /* those that rounding has skipped */
        if (!taken[at]) out[count++] = at;
    mem_free(taken);
}

/* Smaller is better. */
static int worth(const report_run *r, int64_t at) {
    const store_tree *t = &r->trees.at[at];
    bool both = t->right > 0 && t->right < t->finished;
    return report_first_pair(r, t->tree) >= 0 ? (both ? 0 : 1) : (both ? 2 : 3);
}

typedef struct {
    int64_t first, end; /* an iteration's trees, as a range of trees.at */
} stretch;

/* All trees, best first: one from each iteration in turn; within an iteration by rank, then by order of
 * search. */
static int64_t *preference(const report_run *r) {
    int64_t n = r->trees.count, turns = 0, count = 0;
    stretch *of = MEM_ARRAY(stretch, n + 1);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || r->trees.at[i].iteration != r->trees.at[i - 1].iteration) of[turns++].first = i;
        of[turns - 1].end = i + 1;
    }
    int64_t *ranked = MEM_ARRAY(int64_t, n + 1), *iterations = MEM_ARRAY(int64_t, turns + 1),
            *out = MEM_ARRAY(int64_t, n + 1);
    for (int64_t t = 0; t < turns; t++) {
        int64_t at = of[t].first;
        for (int w = 0; w < 4; w++)
            for (int64_t i = of[t].first; i < of[t].end; i++)
                if (worth(r, i) == w) ranked[at++] = i;
    }
    spread(iterations, turns);
    for (int64_t turn = 0; count < n; turn++)
        for (int64_t t = 0; t < turns; t++) {
            const stretch *s = &of[iterations[t]];
            if (s->first + turn < s->end) out[count++] = ranked[s->first + turn];
        }
    mem_free(of);
    mem_free(ranked);
    mem_free(iterations);
    return out;
}

/* ---- one tree ---- */

static const char *const columns[] = {"parent",  "text",  "N", "Q", "V",    "R",
                                      "logprob", "prior", "C", "O", "flags"};

static void put_node(const store_node *n, document *d) {
    document_begin(d, '[');
    document_integer(d, n->parent);
    document_text_cut(d, n->text, REPORT_MOST_TEXT);
    document_integer(d, n->visits);
    document_short(d, n->q, 6);
    document_short(d, n->v, 6);
    document_short(d, n->r, 6);
    document_short(d, n->logprob, 5);
    document_short(d, n->prior, 4);
    document_short(d, n->flags & STORE_NODE_JUDGED ? n->confidence : (double)NAN, 5);
    document_short(d, n->outcome, 6);
    document_integer(d, n->flags);
    document_end(d, ']');
}

static void put_row(document *d, const int64_t *values, int n) {
    document_begin(d, '[');
    for (int i = 0; i < n; i++) document_integer(d, values[i]);
    document_end(d, ']');
}

/* Data shared by all trees. */
typedef struct {
    const report_run *r;
    store_problems problems;
    bool replays;
    search_config config;
    replay replay;
    int64_t replays_left_out;
} work;

/* Q in whole thousandths, which is what the page shows, rounded from the digits of put_node by
 * JavaScript's rule: the page's first number and the changes after it then agree. */
static double thousandths(double q) {
    char digits[32];
    snprintf(digits, sizeof digits, "%.6g", q);
    return floor(1000 * strtod(digits, NULL) + 0.5);
}

/* What Q rose by; with what N rose by where that is not 1. */
static void put_change(const replay_change *c, document *d) {
    int64_t visits = c->after.N - c->before.N;
    double rise = thousandths(c->after.Q) - thousandths(c->before.Q);
    if (visits == 1) {
        document_number(d, rise);
        return;
    }
    document_begin(d, '[');
    document_integer(d, visits);
    document_number(d, rise);
    document_end(d, ']');
}

static void put_moment(const replay *r, int64_t index, document *d) {
    const replay_moment *m = &r->moments.at[index];
    document_begin(d, '[');
    document_integer(d, m->simulation.root);
    document_integer(d, m->simulation.leaf);
    document_integer(d, m->simulation.new_count);
    for (int64_t i = 0; i < m->count; i++) put_change(&r->changes.at[m->first + i], d);
    document_end(d, ']');
}

/* The key is that of the iteration's first search of the problem: where a rule has random numbers, the replay
 * of a later one does not reproduce it and is left out. */
static void put_replay(work *w, const store_tree *t, const store_nodes *nodes, document *d) {
    if (!w->replays) return;
    rng_key_t key = tree_rows_key(w->r->recipe->run.seed, t->iteration, t->problem, 0);
    w->config.calibration = report_calibration_of(w->r, t->iteration);
    if (!replay_tree(&w->replay, &w->config, key, nodes->at, nodes->count)) {
        w->replays_left_out++;
        return;
    }
    document_key(d, "replay");
    document_begin(d, '[');
    for (int64_t i = 0; i < w->replay.moments.count; i++) put_moment(&w->replay, i, d);
    document_end(d, ']');
}

static void put_pairs(const report_run *r, int64_t tree, document *d) {
    document_key(d, "pairs");
    document_begin(d, '[');
    int64_t first = report_first_pair(r, tree);
    for (int64_t i = first; i >= 0 && i < r->pairs.count && r->pairs.at[i].tree == tree; i++) {
        const report_pair *p = &r->pairs.at[i];
        put_row(d, (int64_t[]){p->state, p->chosen, p->rejected}, 3);
    }
    document_end(d, ']');
}

static void put_tree(work *w, const store_tree *t, const store_nodes *nodes, const store_commitments *commits,
                     document *d) {
    const store_problem *p = store_problem_of(&w->problems, t->problem);
    document_begin(d, '{');
    document_put_integer(d, "tree", t->tree);
    document_put_integer(d, "iteration", t->iteration);
    document_put_integer(d, "problem", t->problem);
    document_key(d, "name");
    document_text_cut(d, p ? p->name : NULL, 200);
    document_key(d, "question");
    document_text_cut(d, p ? p->question : NULL, REPORT_MOST_TEXT);
    document_key(d, "gold");
    document_text_cut(d, p ? p->answer : NULL, REPORT_MOST_TEXT);
    document_put_number(d, "outcome", t->outcome);
    document_put_integer(d, "final", t->final_node);
    document_put_integer(d, "simulations", t->simulations);
    document_put_integer(d, "finished", t->finished);
    document_put_integer(d, "right", t->right);
    document_key(d, "nodes");
    document_begin(d, '[');
    for (int64_t i = 0; i < nodes->count; i++) put_node(&nodes->at[i], d);
    document_end(d, ']');
    document_key(d, "commits");
    document_begin(d, '[');
    for (int64_t i = 0; i < commits->count; i++) {
        const store_commitment *c = &commits->at[i];
        put_row(d, (int64_t[]){c->step, c->state, c->picked, c->chosen, c->rejected}, 5);
    }
    document_end(d, ']');
    put_pairs(w->r, t->tree, d);
    put_replay(w, t, nodes, d);
    document_end(d, '}');
}

static esp_status write_tree(work *w, const store_tree *t, document *d, esp_error *error) {
    store_nodes nodes = {0};
    store_commitments commits = {0};
    esp_status status = store_read_nodes(w->r->store, t->tree, &nodes, error);
    if (status == ESP_OK) status = store_read_commitments(w->r->store, t->tree, &commits, error);
    if (status == ESP_OK) put_tree(w, t, &nodes, &commits, d);
    if (commits.memory) STORE_LIST_FREE(&commits);
    if (nodes.memory) STORE_LIST_FREE(&nodes);
    return status;
}

/* ---- all of them ---- */

/* Writes trees in order of preference until the budget is used. texts[i] is that of trees.at[i]; empty if
 * left out. */
static esp_status write_trees(work *w, int64_t most, int64_t budget, document *texts, report_result *result,
                              bool *mathematics, esp_error *error) {
    const report_run *r = w->r;
    int64_t *order = preference(r);
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < r->trees.count && status == ESP_OK; i++) {
        if (most >= 0 && result->trees >= most) break;
        document *d = &texts[order[i]];
        int64_t without_replay = w->replays_left_out;
        status = write_tree(w, &r->trees.at[order[i]], d, error);
        if (status != ESP_OK) break;
        budget -= (int64_t)d->text.length + 1;
        if (budget < 0) {
            w->replays_left_out = without_replay;
            document_free(d);
            break;
        }
        *mathematics = *mathematics || d->mathematics;
        result->trees++;
    }
    mem_free(order);
    return status;
}

static void put_texts(const report_run *r, const document *texts, document *d) {
    document_key(d, "trees");
    document_begin(d, '[');
    for (int64_t i = 0; i < r->trees.count; i++)
        if (texts[i].text.length) document_raw(d, texts[i].text.at, texts[i].text.length);
    document_end(d, ']');
}

esp_status report_trees(const report_run *r, int64_t most, int64_t budget, document *d, report_result *result,
                        esp_error *error) {
    work w = {.r = r, .replays = r->recipe != NULL};
    if (r->recipe) w.config = r->recipe->search.config;
    ESP_TRY(store_read_problems(r->store, &w.problems, error));
    document *texts = MEM_ARRAY(document, r->trees.count + 1);
    esp_status status = write_trees(&w, most, budget, texts, result, &d->mathematics, error);
    if (status == ESP_OK) {
        result->trees_left_out = r->trees.count - result->trees;
        result->replays_left_out = w.replays_left_out;
        document_put_integer(d, "trees_left_out", result->trees_left_out);
        document_put_integer(d, "replays_left_out", result->replays_left_out);
        document_key(d, "tree_columns");
        document_begin(d, '[');
        for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) document_text(d, columns[i]);
        document_end(d, ']');
        put_texts(r, texts, d);
    }
    for (int64_t i = 0; i < r->trees.count; i++) document_free(&texts[i]);
    mem_free(texts);
    replay_free(&w.replay);
    STORE_LIST_FREE(&w.problems);
    return status;
}
