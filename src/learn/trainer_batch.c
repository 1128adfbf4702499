/* Batches: paths are packed into token trees, and objectives put one dloss/dlogprob on each token. */
#include "base/memory.h"
#include "learn/trainer_inner.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* ---- micro-batches ---- */

/* One forward, and perhaps backward, over the paths of some examples. */
typedef struct {
    pack *paths;
    token_tree tree;
    float *logprob, *dlogprob;
    uint8_t *wanted;
    MEM_LIST(int32_t) ids, whole; /* of one path: its tokens, and where the tree has them */
    MEM_LIST(int32_t) tails;      /* where the tree has the tails' tokens, path after path */
    MEM_LIST(float) token_logp;   /* of one tail's tokens, and what an objective says of them */
    MEM_LIST(double) token_dlogp;
} microbatch;

static microbatch microbatch_new(void) {
    return (microbatch){.paths = pack_new()};
}

static void microbatch_free(microbatch *b) {
    pack_free(b->paths);
    mem_free(b->logprob);
    mem_free(b->dlogprob);
    mem_free(b->wanted);
    MEM_LIST_FREE(&b->ids);
    MEM_LIST_FREE(&b->whole);
    MEM_LIST_FREE(&b->tails);
    MEM_LIST_FREE(&b->token_logp);
    MEM_LIST_FREE(&b->token_dlogp);
}

/* The path's tokens into b->ids. */
static void join(microbatch *b, const learn_path *p) {
    b->ids.count = 0;
    for (int64_t i = 0; i < p->prefix_count; i++) MEM_LIST_PUSH(&b->ids, p->prefix[i]);
    for (int64_t i = 0; i < p->tail_count; i++) MEM_LIST_PUSH(&b->ids, p->tail[i]);
}

static void add_path(microbatch *b, const learn_path *p) {
    join(b, p);
    pack_add(b->paths, b->ids.at, b->ids.count);
}

/* Appends the places of the tail's tokens to b->tails, and marks them as wanted. */
static void locate_tail(microbatch *b, const learn_path *p) {
    join(b, p);
    MEM_LIST_RESERVE(&b->whole, b->ids.count);
    pack_locate(b->paths, b->ids.at, b->ids.count, b->whole.at);
    for (int64_t i = p->prefix_count; i < b->ids.count; i++) {
        MEM_LIST_PUSH(&b->tails, b->whole.at[i]);
        b->wanted[b->whole.at[i]] = 1;
    }
}

/* Packs the examples' paths and runs the forward pass. */
static esp_status microbatch_forward(microbatch *b, model *m, const example *e, int64_t n, bool keep,
                                     esp_error *error) {
    pack_clear(b->paths);
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < example_paths(&e[i]); k++) add_path(b, &e[i].path[k]);
    b->tree = pack_tree(b->paths);
    int64_t tokens = b->tree.start[b->tree.runs];
    b->logprob = mem_realloc(b->logprob, (size_t)tokens * 4);
    b->dlogprob = mem_realloc(b->dlogprob, (size_t)tokens * 4);
    b->wanted = mem_realloc(b->wanted, (size_t)tokens);
    memset(b->dlogprob, 0, (size_t)tokens * 4);
    memset(b->wanted, 0, (size_t)tokens);
    b->tails.count = 0;
    for (int64_t i = 0; i < n; i++)
        for (int k = 0; k < example_paths(&e[i]); k++) locate_tail(b, &e[i].path[k]);
    return model_forward(m, &b->tree, b->wanted, keep, b->logprob, error);
}

/* at: the tail's places in the tree. */
static double tail_logprob(const microbatch *b, const int32_t *at, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)b->logprob[at[i]];
    return sum;
}

static void add_to_tail(microbatch *b, const int32_t *at, int64_t n, double d) {
    for (int64_t i = 0; i < n; i++) b->dlogprob[at[i]] += (float)d;
}

/* How many of e[0 .. n-1] fit in one micro-batch: at least one row. Rows of one group stay together where
 * that leaves others, so that what they share is computed once. A row that shares less than half of its path
 * with the rows before it may begin a micro-batch all the same. */
static int64_t microbatch_extent(microbatch *b, const example *e, int64_t n, int64_t limit) {
    int64_t row = 0, cut = 0; /* the row that is being added; the last place that is good to cut at */
    pack_clear(b->paths);
    for (int64_t i = 0; i < n; i++) {
        if (!e[i].same_row) row = i;
        for (int k = 0; k < example_paths(&e[i]); k++) {
            int64_t before = pack_tokens(b->paths);
            add_path(b, &e[i].path[k]);
            bool apart = e[i].group < 0 || 2 * (pack_tokens(b->paths) - before) > b->ids.count;
            if (k == 0 && !e[i].same_row && apart) cut = i;
        }
        if (row > 0 && pack_tokens(b->paths) > limit) return cut > 0 ? cut : row;
    }
    return n;
}

/* ---- scoring ---- */

esp_status score_paths(model *m, const example *e, int64_t n, int64_t microbatch_tokens,
                       double (*logp)[EXAMPLE_PATHS], score_progress *progress, void *context,
                       esp_error *error) {
    microbatch b = microbatch_new();
    esp_status status = ESP_OK;
    for (int64_t first = 0, count; first < n && status == ESP_OK; first += count) {
        count = microbatch_extent(&b, e + first, n - first, microbatch_tokens);
        status = microbatch_forward(&b, m, e + first, count, false, error);
        const int32_t *at = b.tails.at;
        for (int64_t i = first; i < first + count && status == ESP_OK; i++)
            for (int k = 0; k < example_paths(&e[i]); k++) {
                logp[i][k] = tail_logprob(&b, at, e[i].path[k].tail_count);
                at += e[i].path[k].tail_count;
            }
        if (status == ESP_OK && progress) status = progress(context, first + count, error);
    }
    microbatch_free(&b);
    return status;
}

/* ---- gradients ---- */

static void add_metric(learn_report *r, const char *name, double value) {
    int i = 0;
    while (i < r->metric_count && strcmp(r->metrics[i].name, name) != 0) i++;
    assert(i < LEARN_METRICS);
    if (i == r->metric_count) r->metrics[r->metric_count++] = (learn_metric){.name = name};
    r->metrics[i].value += value;
}

double learn_report_metric(const learn_report *r, const char *name) {
    for (int i = 0; i < r->metric_count; i++)
        if (strcmp(r->metrics[i].name, name) == 0) return r->metrics[i].value;
    return NAN;
}

/* An objective's value from the sums over the paths' tails, and the derivatives onto the tails' tokens. */
static double value_of_paths(microbatch *b, const example *e, const int32_t *at, double *metrics) {
    const objective *of = e->term->of;
    path_score scores[EXAMPLE_PATHS];
    double dlogp[EXAMPLE_PATHS];
    const int32_t *tail = at;
    int paths = example_paths(e);
    for (int k = 0; k < paths; tail += e->path[k++].tail_count)
        scores[k] = (path_score){tail_logprob(b, tail, e->path[k].tail_count), e->path[k].reference,
                                 e->path[k].tail_count};
    double value = of->value(e->term->options, e, scores, dlogp, metrics);
    tail = at;
    for (int k = 0; k < paths; tail += e->path[k++].tail_count)
        add_to_tail(b, tail, e->path[k].tail_count, weighted(e->term->weight, dlogp[k]) * e->scale);
    return value;
}

/* The same from the log-probs of the one tail's tokens. */
static double value_of_tokens(microbatch *b, const example *e, const int32_t *at, double *metrics) {
    int64_t n = e->path[0].tail_count;
    MEM_LIST_RESERVE(&b->token_logp, n);
    MEM_LIST_RESERVE(&b->token_dlogp, n);
    for (int64_t t = 0; t < n; t++) b->token_logp.at[t] = b->logprob[at[t]];
    double value =
        e->term->of->token_value(e->term->options, e, b->token_logp.at, b->token_dlogp.at, metrics);
    for (int64_t t = 0; t < n; t++)
        add_to_tail(b, &at[t], 1, weighted(e->term->weight, b->token_dlogp.at[t]) * e->scale);
    return value;
}

/* Into the report's sums, and the derivatives onto the tails' tokens. Returns the value with its weight. */
static double add_example(microbatch *b, const example *e, const int32_t *at, learn_report *report) {
    const objective *of = e->term->of;
    double metrics[OBJECTIVE_METRICS];
    double value = of->token_value ? value_of_tokens(b, e, at, metrics) : value_of_paths(b, e, at, metrics);
    value = weighted(e->term->weight, value);
    report->loss += value * e->scale;
    report->unscaled += value;
    for (int k = 0; of->metrics[k]; k++) add_metric(report, of->metrics[k], metrics[k] * e->scale);
    return value;
}

static void count_row(const example *e, learn_report *report) {
    if (e->same_row) return;
    report->rows++;
    for (int k = 0; k < example_paths(e); k++)
        report->tokens += e->path[k].prefix_count + e->path[k].tail_count;
}

static esp_status not_finite(esp_error *error) {
    return error_fail(error, "lower the learning rate, or look at the rows of this batch",
                      "the loss is not finite");
}

/* The gradient of one micro-batch, whose forward pass was done. */
static esp_status microbatch_backward(microbatch *b, trainer *t, const example *e, int64_t n,
                                      learn_report *report, esp_error *error) {
    const int32_t *at = b->tails.at;
    report->tokens_computed += pack_tokens(b->paths);
    for (int64_t i = 0; i < n; i++) {
        count_row(&e[i], report);
        if (!isfinite(add_example(b, &e[i], at, report))) return not_finite(error);
        for (int k = 0; k < example_paths(&e[i]); k++) at += e[i].path[k].tail_count;
    }
    return model_backward(t->m, &b->tree, b->dlogprob, t->gradient, error);
}

esp_status trainer_add(trainer *t, const example *e, int64_t n, learn_report *report, esp_error *error) {
    *report = (learn_report){0};
    ESP_TRY(trainer_show_raw(t, error));
    microbatch b = microbatch_new();
    esp_status status = ESP_OK;
    for (int64_t first = 0, count; first < n && status == ESP_OK; first += count) {
        count = microbatch_extent(&b, e + first, n - first, t->settings.microbatch_tokens);
        status = microbatch_forward(&b, t->m, e + first, count, true, error);
        if (status == ESP_OK) status = microbatch_backward(&b, t, e + first, count, report, error);
    }
    microbatch_free(&b);
    if (status != ESP_OK) trainer_zero(t);
    return status;
}
