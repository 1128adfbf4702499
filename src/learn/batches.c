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
    int64_t *begin;         /* [groups + 1]: where in `order` the k-th group of this epoch begins */
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
    b->only_tokens = !options->of_groups && only_tokens(examples, n);
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
    b->begin = MEM_ARRAY(int64_t, b->groups + 1);
    return b;
}

void batches_free(batches *b) {
    if (!b) return;
    mem_free(b->row);
    mem_free(b->first);
    mem_free(b->order);
    mem_free(b->begin);
    MEM_LIST_FREE(&b->taken);
    mem_free(b);
}

int64_t batches_per_epoch(const batches *b) {
    if (b->options.per_epoch > 0) return b->options.per_epoch;
    int64_t all = b->options.of_groups ? b->groups : b->rows;
    return (all + b->options.batch - 1) / b->options.batch;
}

/* The rows of an epoch: groups in a seeded order, a group's rows in their own. */
static void order_epoch(batches *b, int64_t epoch) {
    if (b->epoch == epoch) return;
    b->epoch = epoch;
    int64_t *groups = MEM_ARRAY(int64_t, b->groups), n = 0;
    for (int64_t g = 0; g < b->groups; g++) groups[g] = g;
    if (b->options.shuffle) rng_shuffle(rng_mix(b->options.key, (uint64_t)epoch), groups, b->groups);
    for (int64_t g = 0; g < b->groups; g++) {
        b->begin[g] = n;
        for (int64_t r = b->first[groups[g]]; r < b->first[groups[g] + 1]; r++) b->order[n++] = r;
    }
    b->begin[b->groups] = n;
    mem_free(groups);
}

/* The rows of update k of this epoch: *first and, returned, the one after the last. */
static int64_t share_of(const batches *b, int64_t k, int64_t *first) {
    if (b->options.of_groups) {
        int64_t end = (k + 1) * b->options.batch;
        *first = b->begin[k * b->options.batch];
        return b->begin[end < b->groups ? end : b->groups];
    }
    if (b->options.per_epoch > 0) {
        *first = k * b->rows / b->options.per_epoch;
        return (k + 1) * b->rows / b->options.per_epoch;
    }
    *first = k * b->options.batch;
    return *first + b->options.batch < b->rows ? *first + b->options.batch : b->rows;
}

/* ---- means ---- */

/* What the mean of a term over some examples divides by; 0: none has it. */
static double divisor_of(const example *at, int64_t n, const objective_term *term) {
    double examples = 0, tokens = 0;
    for (int64_t i = 0; i < n; i++) {
        if (at[i].term != term) continue;
        examples++;
        tokens += (double)at[i].path[0].tail_count;
    }
    return term->mean == MEAN_OVER_TOKENS ? tokens : examples;
}

enum { MOST_TERMS = 8 };
typedef struct {
    const objective_term *term[MOST_TERMS];
    double divisor[MOST_TERMS]; /* of one part of the batch */
    double parts[MOST_TERMS];   /* that have the term */
    int count;
} batch_terms;

static int place_of(batch_terms *t, const objective_term *term) {
    for (int i = 0; i < t->count; i++)
        if (t->term[i] == term) return i;
    assert(t->count < MOST_TERMS);
    t->term[t->count] = term;
    t->divisor[t->count] = t->parts[t->count] = 0;
    return t->count++;
}

/* A part of the batch over which a mean is taken, from example `first`: a group, or all. */
static int64_t part_end(const batches *b, int64_t first) {
    int64_t end = b->taken.count;
    if (!b->options.of_groups) return end;
    for (int64_t i = first + 1; i < end; i++) {
        const example *e = &b->taken.at[i];
        if (!e->same_row && (e->group < 0 || e->group != e[-1].group)) return i;
    }
    return end;
}

/* Scales of one part as if there were no other. */
static void scale_part(batch_terms *t, example *at, int64_t n) {
    for (int i = 0; i < t->count; i++) t->divisor[i] = 0;
    for (int64_t i = 0; i < n; i++) {
        int k = place_of(t, at[i].term);
        if (t->divisor[k] == 0) {
            t->divisor[k] = divisor_of(at, n, at[i].term);
            t->parts[k] += t->divisor[k] > 0;
        }
        at[i].scale = t->divisor[k] > 0 ? 1 / t->divisor[k] : 0;
    }
}

static void set_scales(batches *b) {
    batch_terms terms = {.count = 0};
    for (int64_t first = 0, end; first < b->taken.count; first = end) {
        end = part_end(b, first);
        scale_part(&terms, &b->taken.at[first], end - first);
    }
    for (int64_t i = 0; i < b->taken.count; i++) {
        double parts = terms.parts[place_of(&terms, b->taken.at[i].term)];
        if (parts > 0) b->taken.at[i].scale /= parts;
    }
}

const example *batches_take(batches *b, int64_t update, int64_t *n) {
    int64_t per_epoch = batches_per_epoch(b), first;
    order_epoch(b, update / per_epoch);
    int64_t end = share_of(b, update % per_epoch, &first);
    b->taken.count = 0;
    for (int64_t i = first; i < end; i++) {
        int64_t row = b->order[i];
        for (int64_t k = b->row[row]; k < b->row[row + 1]; k++) MEM_LIST_PUSH(&b->taken, b->examples[k]);
    }
    set_scales(b);
    *n = b->taken.count;
    return b->taken.at;
}

esp_status batches_add(batches *b, trainer *t, int64_t update, learn_report *report, esp_error *error) {
    int64_t n;
    const example *examples = batches_take(b, update, &n);
    ESP_TRY(trainer_add(t, examples, n, report, error));
    if (b->only_tokens) report->loss = report->unscaled / divisor_of(examples, n, examples->term);
    return ESP_OK;
}

/* ---- references ---- */

static bool lacks_reference(const example *e) {
    if (!e->term->of->needs_reference) return false;
    for (int k = 0; k < e->term->of->paths; k++)
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
        for (int k = 0; k < examples[i].term->of->paths; k++) examples[i].path[k].reference = logp[at][k];
        at++;
    }
    mem_free(logp);
    MEM_LIST_FREE(&unknown);
    return status;
}
