#include "learn/batches.h"

#include <assert.h>
#include <math.h>
#include <string.h>

void example_list_add_pair(example_list *list, const example *pair, const objective_term *likelihood) {
    MEM_LIST_PUSH(list, *pair);
    if (!likelihood) return;
    example chosen = {.path = {pair->path[0]}, .term = likelihood, .group = pair->group, .same_row = true};
    MEM_LIST_PUSH(list, chosen);
}

/* ---- order ---- */

struct batches {
    const example *examples;
    batches_options options;
    int64_t rows, *row;     /* [rows + 1]: row r is examples[row[r]] to examples[row[r + 1] - 1] */
    int64_t groups, *first; /* [groups + 1]: group g is rows first[g] to first[g + 1] - 1 */
    int64_t *order;         /* [rows]: of this epoch */
    int64_t epoch;          /* that `order` is of; -1: none */
    bool only_tokens;       /* all examples have one term, and it is a mean over tokens */
    example_list taken;
};

static bool only_tokens(const example *examples, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (examples[i].term != examples[0].term || examples[i].term->mean != MEAN_OVER_TOKENS) return false;
    return true;
}

batches *batches_new(const example *examples, int64_t n, const batches_options *options) {
    batches *b = MEM_NEW(batches);
    b->examples = examples;
    b->options = *options;
    b->epoch = -1;
    b->only_tokens = only_tokens(examples, n);
    b->row = MEM_ARRAY(int64_t, n + 1);
    b->first = MEM_ARRAY(int64_t, n + 1);
    b->order = MEM_ARRAY(int64_t, n);
    for (int64_t i = 0; i < n; i++) {
        if (examples[i].same_row) continue;
        bool goes_on = i > 0 && examples[i].group >= 0 && examples[i].group == examples[i - 1].group;
        if (!goes_on) b->first[b->groups++] = b->rows;
        b->row[b->rows++] = i;
    }
    b->row[b->rows] = n;
    b->first[b->groups] = b->rows;
    return b;
}

void batches_free(batches *b) {
    if (!b) return;
    mem_free(b->row);
    mem_free(b->first);
    mem_free(b->order);
    MEM_LIST_FREE(&b->taken);
    mem_free(b);
}

int64_t batches_per_epoch(const batches *b) {
    if (b->options.per_epoch > 0) return b->options.per_epoch;
    return (b->rows + b->options.batch - 1) / b->options.batch;
}

/* The rows of an epoch: groups in a seeded order, a group's rows in their own. */
static void order_epoch(batches *b, int64_t epoch) {
    if (b->epoch == epoch) return;
    b->epoch = epoch;
    int64_t *groups = MEM_ARRAY(int64_t, b->groups), n = 0;
    for (int64_t g = 0; g < b->groups; g++) groups[g] = g;
    if (b->options.shuffle) rng_shuffle(rng_mix(b->options.key, (uint64_t)epoch), groups, b->groups);
    for (int64_t g = 0; g < b->groups; g++)
        for (int64_t r = b->first[groups[g]]; r < b->first[groups[g] + 1]; r++) b->order[n++] = r;
    mem_free(groups);
}

/* The rows of update k of an epoch: *first and, returned, the one after the last. */
static int64_t share_of(const batches *b, int64_t k, int64_t *first) {
    if (b->options.per_epoch > 0) {
        *first = k * b->rows / b->options.per_epoch;
        return (k + 1) * b->rows / b->options.per_epoch;
    }
    *first = k * b->options.batch;
    return *first + b->options.batch < b->rows ? *first + b->options.batch : b->rows;
}

/* ---- means ---- */

/* What the mean of an example's term divides by, in this batch. */
static double divisor_of(const example_list *batch, const objective_term *term) {
    double examples = 0, tokens = 0;
    for (int64_t i = 0; i < batch->count; i++) {
        if (batch->at[i].term != term) continue;
        examples++;
        tokens += (double)batch->at[i].path[0].tail_count;
    }
    return term->mean == MEAN_OVER_TOKENS ? tokens : examples;
}

enum { MOST_TERMS = 8 };
typedef struct {
    const objective_term *term[MOST_TERMS];
    double divisor[MOST_TERMS];
    int count;
} batch_terms;

static double divisor_once(batch_terms *t, const example_list *batch, const objective_term *term) {
    for (int i = 0; i < t->count; i++)
        if (t->term[i] == term) return t->divisor[i];
    assert(t->count < MOST_TERMS);
    t->term[t->count] = term;
    return t->divisor[t->count++] = divisor_of(batch, term);
}

const example *batches_take(batches *b, int64_t update, int64_t *n) {
    int64_t per_epoch = batches_per_epoch(b), first, end = share_of(b, update % per_epoch, &first);
    order_epoch(b, update / per_epoch);
    b->taken.count = 0;
    for (int64_t i = first; i < end; i++) {
        int64_t row = b->order[i];
        for (int64_t k = b->row[row]; k < b->row[row + 1]; k++) MEM_LIST_PUSH(&b->taken, b->examples[k]);
    }
    batch_terms terms = {.count = 0};
    for (int64_t i = 0; i < b->taken.count; i++) {
        double divisor = divisor_once(&terms, &b->taken, b->taken.at[i].term);
        b->taken.at[i].scale = divisor > 0 ? 1 / divisor : 0;
    }
    *n = b->taken.count;
    return b->taken.at;
}

esp_status batches_add(batches *b, trainer *t, int64_t update, learn_report *report, esp_error *error) {
    int64_t n;
    const example *examples = batches_take(b, update, &n);
    ESP_TRY(trainer_add(t, examples, n, report, error));
    if (b->only_tokens) report->loss = report->unscaled / divisor_of(&b->taken, examples->term);
    return ESP_OK;
}

/* ---- references ---- */

static bool lacks_reference(const example *e) {
    if (!e->term->of->needs_reference) return false;
    for (int k = 0; k < example_paths(e); k++)
        if (isnan(e->path[k].reference)) return true;
    return false;
}

int64_t examples_without_reference(const example *examples, int64_t n) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; i++) count += lacks_reference(&examples[i]);
    return count;
}

esp_status examples_set_references(model *m, example *examples, int64_t n, int64_t microbatch_tokens,
                                   score_progress *progress, void *context, esp_error *error) {
    example_list unknown = {0};
    for (int64_t i = 0; i < n; i++)
        if (lacks_reference(&examples[i])) MEM_LIST_PUSH(&unknown, examples[i]);
    double(*logp)[EXAMPLE_PATHS] = mem_alloc((size_t)(unknown.count + 1) * sizeof *logp);
    esp_status status =
        score_paths(m, unknown.at, unknown.count, microbatch_tokens, logp, progress, context, error);
    for (int64_t i = 0, at = 0; i < n && status == ESP_OK; i++) {
        if (!lacks_reference(&examples[i])) continue;
        for (int k = 0; k < example_paths(&examples[i]); k++) examples[i].path[k].reference = logp[at][k];
        at++;
    }
    mem_free(logp);
    MEM_LIST_FREE(&unknown);
    return status;
}
