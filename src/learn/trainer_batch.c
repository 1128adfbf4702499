/* Batches: rows become paths, paths become packed trees, and a loss puts one dloss/dlogprob on each token. */
#include "base/memory.h"
#include "learn/trainer_inner.h"

#include <math.h>
#include <string.h>

/* --- Micro-batches
 * ------------------------------------------------------------------------------------------------- */

/* A path through the packed tree: a prefix that is given and a tail whose tokens are scored. */
typedef struct {
    const int32_t *prefix, *tail;
    int64_t prefix_count, tail_count;
} scored_path;

/* One forward (and perhaps backward) over some paths. */
typedef struct {
    token_tree tree;
    float *logprob, *dlogprob;
    uint8_t *wanted;
    MEM_LIST(int32_t) ids; /* the path at hand, whole */
    MEM_LIST(int32_t) at;  /* where its tokens stand */
} microbatch;

static void microbatch_free(microbatch *b) {
    mem_free(b->logprob);
    mem_free(b->dlogprob);
    mem_free(b->wanted);
    MEM_LIST_FREE(&b->ids);
    MEM_LIST_FREE(&b->at);
}

static void join(microbatch *b, const scored_path *p) {
    b->ids.count = 0;
    for (int64_t i = 0; i < p->prefix_count; i++) MEM_LIST_PUSH(&b->ids, p->prefix[i]);
    for (int64_t i = 0; i < p->tail_count; i++) MEM_LIST_PUSH(&b->ids, p->tail[i]);
}

/* Where the tail's tokens stand in the tree; valid until the next call. */
static const int32_t *locate_tail(microbatch *b, const pack *paths, const scored_path *p) {
    join(b, p);
    MEM_LIST_RESERVE(&b->at, b->ids.count);
    pack_locate(paths, b->ids.at, b->ids.count, b->at.at);
    return b->at.at + p->prefix_count;
}

static double tail_logprob(microbatch *b, const pack *paths, const scored_path *p) {
    const int32_t *at = locate_tail(b, paths, p);
    double sum = 0;
    for (int64_t i = 0; i < p->tail_count; i++) sum += (double)b->logprob[at[i]];
    return sum;
}

static void add_to_tail(microbatch *b, const pack *paths, const scored_path *p, double d) {
    const int32_t *at = locate_tail(b, paths, p);
    for (int64_t i = 0; i < p->tail_count; i++) b->dlogprob[at[i]] += (float)d;
}

/* Packs paths[0 .. count-1], marks their tails as wanted and runs the forward pass. */
static esp_status microbatch_forward(microbatch *b, model *m, pack *paths, const scored_path *p,
                                     int64_t count, bool keep, esp_error *error) {
    pack_clear(paths);
    for (int64_t i = 0; i < count; i++) {
        join(b, &p[i]);
        pack_add(paths, b->ids.at, b->ids.count);
    }
    b->tree = pack_tree(paths);
    int64_t T = b->tree.start[b->tree.runs];
    b->logprob = mem_realloc(b->logprob, (size_t)T * 4);
    b->dlogprob = mem_realloc(b->dlogprob, (size_t)T * 4);
    b->wanted = mem_realloc(b->wanted, (size_t)T);
    memset(b->dlogprob, 0, (size_t)T * 4);
    memset(b->wanted, 0, (size_t)T);
    for (int64_t i = 0; i < count; i++) {
        const int32_t *at = locate_tail(b, paths, &p[i]);
        for (int64_t j = 0; j < p[i].tail_count; j++) b->wanted[at[j]] = 1;
    }
    return model_forward(m, &b->tree, b->wanted, keep, b->logprob, error);
}

/* Rows and their paths: row i has paths at[first[i]] .. at[first[i + 1] - 1]. */
typedef struct {
    scored_path *at;
    int64_t *first, count;
    bool trees; /* neighbours hang on one tree, as a search's pairs do; false: in any order */
} row_paths;

static row_paths paths_new(int64_t rows, bool trees) {
    return (row_paths){
        .at = MEM_ARRAY(scored_path, 2 * rows), .first = MEM_ARRAY(int64_t, rows + 1), .trees = trees};
}

static void paths_free(row_paths *p) {
    mem_free(p->at);
    mem_free(p->first);
}

/* A row of one path, or of two. */
static void paths_add(row_paths *p, const scored_path *path, int64_t n) {
    int64_t at = p->first[p->count];
    for (int64_t i = 0; i < n; i++) p->at[at + i] = path[i];
    p->first[++p->count] = at + n;
}

/* How many rows from `first` fit in one micro-batch: at least one. Rows that hang on one tree stay together
 * where that leaves others: what they share is then computed once. */
static int64_t microbatch_extent(microbatch *b, pack *paths, const row_paths *p, int64_t first,
                                 int64_t limit) {
    pack_clear(paths);
    int64_t row = first, tree = first; /* tree: the last row that shared less than half of its path */
    for (; row < p->count; row++) {
        int64_t before = pack_tokens(paths);
        for (int64_t i = p->first[row]; i < p->first[row + 1]; i++) {
            join(b, &p->at[i]);
            pack_add(paths, b->ids.at, b->ids.count);
            if (p->trees && i == p->first[row] && 2 * (pack_tokens(paths) - before) > b->ids.count)
                tree = row;
        }
        if (row > first && pack_tokens(paths) > limit) return (tree > first ? tree : row) - first;
    }
    return row - first;
}

/* The next rows from `first` that fit, forward. Returns how many by *n. */
static esp_status next_microbatch(microbatch *b, model *m, pack *packed, const row_paths *p, int64_t first,
                                  int64_t limit, bool keep, int64_t *n, esp_error *error) {
    *n = microbatch_extent(b, packed, p, first, limit);
    return microbatch_forward(b, m, packed, p->at + p->first[first], p->first[first + *n] - p->first[first],
                              keep, error);
}

static esp_status not_finite(esp_error *error) {
    return error_fail(error, "lower the learning rate, or look at the rows of this batch",
                      "the loss is not finite");
}

/* --- Supervised
 * ---------------------------------------------------------------------------------------------------- */

static scored_path path_of_chain(const supervised_row *row) {
    return (scored_path){row->prompt, row->completion, row->prompt_count, row->completion_count};
}

esp_status trainer_add_supervised(trainer *t, const supervised_row *rows, int64_t count, batch_report *report,
                                  esp_error *error) {
    *report = (batch_report){.rows = count};
    ESP_TRY(trainer_show_raw(t, error));
    row_paths paths = paths_new(count, false);
    double weight = 0, loss = 0;
    for (int64_t i = 0; i < count; i++) {
        scored_path path = path_of_chain(&rows[i]);
        paths_add(&paths, &path, 1);
        weight += rows[i].weight * (double)rows[i].completion_count;
        report->tokens += rows[i].prompt_count + rows[i].completion_count;
    }
    microbatch b = {0};
    esp_status status = ESP_OK;
    for (int64_t first = 0, n; first < count && status == ESP_OK; first += n) {
        status = next_microbatch(&b, t->m, t->paths, &paths, first, t->settings.microbatch_tokens, true, &n,
                                 error);
        if (status != ESP_OK) break;
        report->tokens_computed += pack_tokens(t->paths);
        for (int64_t i = first; i < first + n; i++) {
            loss -= rows[i].weight * tail_logprob(&b, t->paths, &paths.at[i]);
            add_to_tail(&b, t->paths, &paths.at[i], -rows[i].weight / weight);
        }
        status = isfinite(loss) ? model_backward(t->m, &b.tree, b.dlogprob, t->gradient, error)
                                : not_finite(error);
    }
    report->loss = loss / weight;
    microbatch_free(&b);
    paths_free(&paths);
    if (status != ESP_OK) trainer_zero(t);
    return status;
}

/* --- Preferences
 * --------------------------------------------------------------------------------------------------- */

/* Chosen, then rejected. */
static void paths_add_pair(row_paths *paths, const preference_row *row) {
    scored_path pair[] = {{row->prefix, row->chosen, row->prefix_count, row->chosen_count},
                          {row->prefix, row->rejected, row->prefix_count, row->rejected_count}};
    paths_add(paths, pair, 2);
}

/* Loss of one pair: into the report's sums, and its derivatives (of the batch's mean) onto the tokens.
 * likelihood: with the term on the chosen step. */
static double pair_loss(microbatch *b, const pack *packed, const scored_path *path, const preference_row *row,
                        const loss_options *options, bool likelihood, double share, batch_report *report) {
    loss_logps logps = {.chosen = tail_logprob(b, packed, &path[0]),
                        .rejected = tail_logprob(b, packed, &path[1]),
                        .ref_chosen = row->ref_chosen,
                        .ref_rejected = row->ref_rejected};
    loss_result r = likelihood ? loss_pair(options, logps, row->alpha, row->chosen_count)
                               : loss_preference(options, logps, row->alpha);
    add_to_tail(b, packed, &path[0], r.dchosen * share);
    add_to_tail(b, packed, &path[1], r.drejected * share);
    report->loss += r.loss * share;
    report->margin += r.margin * share;
    report->accuracy += (r.margin > 0) * share;
    report->logp_chosen += logps.chosen * share;
    report->logp_rejected += logps.rejected * share;
    report->kl += (logps.ref_chosen - logps.chosen + logps.ref_rejected - logps.rejected) / 2 * share;
    return r.loss;
}

/* A chain's part of the NLL; scale is what its sum of log-probs counts. */
static double chain_loss(microbatch *b, const pack *packed, const scored_path *path, double scale,
                         batch_report *report) {
    double loss = scale == 0 ? 0 : -scale * tail_logprob(b, packed, path);
    add_to_tail(b, packed, path, -scale);
    report->loss += loss;
    return loss;
}

/* What a mixed batch's rows count. */
typedef struct {
    double pair;  /* a pair's share of the mean */
    double chain; /* of a chain's sum of log-probs, times the chain's own weight */
} mixed_shares;

static mixed_shares shares_of(const mixed_item *items, int64_t count, const loss_options *options) {
    double pairs = 0, chains = 0, tokens = 0;
    for (int64_t i = 0; i < count; i++) {
        if (items[i].pair) {
            pairs++;
            continue;
        }
        chains += items[i].chain->weight;
        tokens += items[i].chain->weight * (double)items[i].chain->completion_count;
    }
    double over = options->nll_per_token ? tokens : chains;
    return (mixed_shares){.pair = pairs > 0 ? 1 / pairs : 0,
                          .chain = over > 0 ? options->nll_weight / over : 0};
}

static row_paths mixed_paths(const mixed_item *items, int64_t count, batch_report *report) {
    row_paths paths = paths_new(count, true);
    for (int64_t i = 0; i < count; i++) {
        if (items[i].pair) {
            const preference_row *row = items[i].pair;
            paths_add_pair(&paths, row);
            report->tokens += 2 * row->prefix_count + row->chosen_count + row->rejected_count;
        } else {
            scored_path path = path_of_chain(items[i].chain);
            paths_add(&paths, &path, 1);
            report->tokens += path.prefix_count + path.tail_count;
        }
    }
    return paths;
}

static esp_status add_items(trainer *t, const mixed_item *items, int64_t count, const loss_options *options,
                            bool likelihood, batch_report *report, esp_error *error) {
    *report = (batch_report){.rows = count};
    ESP_TRY(trainer_show_raw(t, error));
    row_paths paths = mixed_paths(items, count, report);
    mixed_shares share = shares_of(items, count, options);
    microbatch b = {0};
    esp_status status = ESP_OK;
    for (int64_t first = 0, n; first < count && status == ESP_OK; first += n) {
        status = next_microbatch(&b, t->m, t->paths, &paths, first, t->settings.microbatch_tokens, true, &n,
                                 error);
        if (status != ESP_OK) break;
        report->tokens_computed += pack_tokens(t->paths);
        for (int64_t i = first; i < first + n && status == ESP_OK; i++) {
            const scored_path *path = &paths.at[paths.first[i]];
            double loss =
                items[i].pair
                    ? pair_loss(&b, t->paths, path, items[i].pair, options, likelihood, share.pair, report)
                    : chain_loss(&b, t->paths, path, share.chain * items[i].chain->weight, report);
            if (!isfinite(loss)) status = not_finite(error);
        }
        if (status == ESP_OK) status = model_backward(t->m, &b.tree, b.dlogprob, t->gradient, error);
    }
    if (share.pair == 0)
        report->margin = report->accuracy = report->logp_chosen = report->logp_rejected = report->kl = NAN;
    microbatch_free(&b);
    paths_free(&paths);
    if (status != ESP_OK) trainer_zero(t);
    return status;
}

esp_status trainer_add_mixed(trainer *t, const mixed_item *items, int64_t count, const loss_options *options,
                             batch_report *report, esp_error *error) {
    return add_items(t, items, count, options, false, report, error);
}

esp_status trainer_add_preferences(trainer *t, const preference_row *rows, int64_t count,
                                   const loss_options *options, batch_report *report, esp_error *error) {
    mixed_item *items = MEM_ARRAY(mixed_item, count);
    for (int64_t i = 0; i < count; i++) items[i].pair = &rows[i];
    esp_status status = add_items(t, items, count, options, true, report, error);
    mem_free(items);
    return status;
}

esp_status score_preferences(model *m, const preference_row *rows, int64_t count, int64_t microbatch_tokens,
                             double *chosen, double *rejected, esp_error *error) {
    row_paths paths = paths_new(count, true);
    for (int64_t i = 0; i < count; i++) paths_add_pair(&paths, &rows[i]);
    pack *packed = pack_new();
    microbatch b = {0};
    esp_status status = ESP_OK;
    for (int64_t first = 0, n; first < count && status == ESP_OK; first += n) {
        status = next_microbatch(&b, m, packed, &paths, first, microbatch_tokens, false, &n, error);
        for (int64_t i = first; i < first + n && status == ESP_OK; i++) {
            chosen[i] = tail_logprob(&b, packed, &paths.at[2 * i]);
            rejected[i] = tail_logprob(&b, packed, &paths.at[2 * i + 1]);
        }
    }
    microbatch_free(&b);
    pack_free(packed);
    paths_free(&paths);
    return status;
}
