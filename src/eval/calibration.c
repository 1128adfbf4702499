#include "eval/calibration.h"

#include "formats/json.h"

#include <math.h>
#include <string.h>

static const char *const kind_names[JUDGE_KINDS] = {"finished", "unfinished", "all"};

const char *judge_kind_name(judge_kind kind) {
    return kind_names[kind];
}

void judge_scores_add(judge_scores *scores, int64_t problem, const judge_node *nodes, int64_t n) {
    int64_t *balance = MEM_ARRAY(int64_t, n + 1); /* chains that end at or below: correct less incorrect */
    for (int64_t i = n - 1; i >= 0; i--) {
        balance[i] += nodes[i].sign;
        if (nodes[i].parent >= 0) balance[nodes[i].parent] += balance[i];
    }
    for (int64_t i = 0; i < n; i++) {
        if (!nodes[i].judged || nodes[i].parent < 0 || balance[i] == 0) continue;
        judge_row row = {.confidence = nodes[i].confidence,
                         .positive = balance[i] > 0,
                         .finished = nodes[i].finished,
                         .problem = problem,
                         .family = scores->families + nodes[i].parent};
        MEM_LIST_PUSH(&scores->rows, row);
    }
    scores->families += n;
    mem_free(balance);
}

void judge_scores_add_search(judge_scores *scores, int64_t problem, const search *s, const int8_t *graded) {
    if (!search_config_of(s)->rewards.judge) return;
    int32_t count = search_node_count(s);
    judge_node *nodes = MEM_ARRAY(judge_node, count);
    for (int32_t i = 0; i < count; i++) {
        search_node v = search_node_at(s, i);
        bool finished = search_outcome_is_finished(v.outcome);
        nodes[i] = (judge_node){.parent = v.parent,
                                .judged = i > 0,
                                .finished = finished,
                                .sign = finished ? graded[i] : search_outcome_sign(v.outcome, v.O),
                                .confidence = v.C};
    }
    judge_scores_add(scores, problem, nodes, count);
    mem_free(nodes);
}

/* The store keeps O and whether a chain was finished or cut. */
static int stored_sign(const store_node *row) {
    search_outcome outcome = row->flags & STORE_NODE_FINISHED ? SEARCH_SCORED
                             : row->flags & STORE_NODE_CUT    ? SEARCH_CUT
                                                              : SEARCH_OPEN;
    return search_outcome_sign(outcome, row->outcome);
}

void judge_scores_add_stored(judge_scores *scores, int64_t problem, const store_node *rows, int64_t n) {
    judge_node *nodes = MEM_ARRAY(judge_node, n + 1);
    for (int64_t i = 0; i < n; i++)
        nodes[i] = (judge_node){.parent = rows[i].parent,
                                .judged = rows[i].flags & STORE_NODE_JUDGED,
                                .finished = rows[i].flags & STORE_NODE_FINISHED,
                                .sign = stored_sign(&rows[i]),
                                .confidence = rows[i].confidence};
    judge_scores_add(scores, problem, nodes, n);
    mem_free(nodes);
}

void judge_scores_free(judge_scores *scores) {
    MEM_LIST_FREE(&scores->rows);
    scores->families = 0;
}

esp_status judge_scores_of_trees(store *s, int64_t iteration, judge_scores *out, esp_error *error) {
    store_trees trees;
    *out = (judge_scores){0};
    ESP_TRY(store_read_trees(s, iteration, &trees, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < trees.count && status == ESP_OK; i++) {
        store_nodes nodes;
        status = store_read_nodes(s, trees.at[i].tree, &nodes, error);
        if (status != ESP_OK) break;
        judge_scores_add_stored(out, trees.at[i].problem, nodes.at, nodes.count);
        STORE_LIST_FREE(&nodes);
    }
    STORE_LIST_FREE(&trees);
    if (status != ESP_OK) judge_scores_free(out);
    return status;
}

/* ---- calibration ---- */

static judge_bin bin_of(int64_t nodes, int64_t positives, double confidence) {
    return (judge_bin){.nodes = nodes,
                       .positives = positives,
                       .confidence = nodes ? confidence : NAN,
                       .share = nodes ? (double)positives / (double)nodes : NAN,
                       .interval = metrics_wilson(positives, nodes)};
}

judge_calibration judge_calibrate(const area_row *rows, int64_t n) {
    judge_calibration out = {0};
    double sums[JUDGE_BINS] = {0}, error = 0;
    for (int64_t i = 0; i < n; i++) {
        double confidence = rows[i].score, place = floor(confidence * JUDGE_BINS);
        if (!isfinite(confidence)) continue;
        int bin = place < 0 ? 0 : place >= JUDGE_BINS ? JUDGE_BINS - 1 : (int)place;
        out.bins[bin].nodes++;
        out.bins[bin].positives += rows[i].positive;
        sums[bin] += confidence;
        out.nodes++;
    }
    for (int i = 0; i < JUDGE_BINS; i++) {
        judge_bin *b = &out.bins[i];
        error += fabs(sums[i] - (double)b->positives);
        *b = bin_of(b->nodes, b->positives, sums[i] / (double)b->nodes);
    }
    out.error = out.nodes ? error / (double)out.nodes : NAN;
    return out;
}

static bool is_of_kind(const judge_row *row, judge_kind kind) {
    return kind == JUDGE_ALL || row->finished == (kind == JUDGE_FINISHED);
}

static judge_quality quality_of(const judge_scores *scores, judge_kind kind) {
    area_row *rows = MEM_ARRAY(area_row, scores->rows.count + 1);
    int64_t *families = MEM_ARRAY(int64_t, scores->rows.count + 1), n = 0;
    for (int64_t i = 0; i < scores->rows.count; i++) {
        const judge_row *r = &scores->rows.at[i];
        if (!is_of_kind(r, kind)) continue;
        families[n] = r->family;
        rows[n++] = (area_row){r->confidence, r->positive, r->problem, r->problem};
    }
    judge_quality out = {
        .auc = area_pooled(rows, n), .within = area_within(rows, n), .calibration = judge_calibrate(rows, n)};
    for (int64_t i = 0; i < n; i++) rows[i].group = families[i];
    out.siblings = area_within(rows, n);
    mem_free(rows);
    mem_free(families);
    return out;
}

void judge_scores_quality(const judge_scores *scores, judge_quality out[JUDGE_KINDS]) {
    for (int k = 0; k < JUDGE_KINDS; k++) out[k] = quality_of(scores, (judge_kind)k);
}

/* ---- words ---- */

static void put_interval(double value, metrics_interval i, text_buffer *out) {
    text_printf(out, " %.3f [%.3f, %.3f]", value, i.low, i.high);
}

static void put_share(const char *what, const area_share *a, text_buffer *out) {
    text_puts(out, what);
    if (a->comparisons == 0) {
        text_puts(out, ": nothing to compare");
        return;
    }
    put_interval(a->share, a->interval, out);
    text_printf(out, " (%lld comparison%s in %lld problem%s)", (long long)a->comparisons,
                a->comparisons == 1 ? "" : "s", (long long)a->clusters, a->clusters == 1 ? "" : "s");
}

static void put_pooled(const char *what, const area_pool *a, text_buffer *out) {
    if (isnan(a->area)) return;
    text_printf(out, "; pooled over problems, %s: AUC", what);
    put_interval(a->area, a->interval, out);
    text_printf(out, " (%lld correct, %lld incorrect)", (long long)a->positives, (long long)a->negatives);
}

void judge_quality_words(const judge_quality figures[JUDGE_KINDS], text_buffer *out) {
    const judge_quality *all = &figures[JUDGE_ALL];
    if (all->calibration.nodes == 0) return;
    put_share("AUC within problems", &all->within, out);
    put_share(", accuracy among siblings", &all->siblings, out);
    put_pooled("finished chains", &figures[JUDGE_FINISHED].auc, out);
    put_pooled("unfinished steps", &figures[JUDGE_UNFINISHED].auc, out);
    text_printf(out, "; calibration error %.3f on %lld nodes", all->calibration.error,
                (long long)all->calibration.nodes);
}

/* ---- store ---- */

static store_comparison comparison_of(const area_share *a) {
    return (store_comparison){a->comparisons, a->clusters, a->share, a->interval.low, a->interval.high};
}

static area_share share_of(const store_comparison *c) {
    if (c->comparisons == 0) return (area_share){.share = NAN, .interval = {0, 1}};
    return (area_share){c->share, {c->low, c->high}, c->comparisons, c->problems};
}

static void put_bins(const judge_quality *f, text_buffer *bins) {
    for (int i = 0; i < JUDGE_BINS; i++) {
        const judge_bin *b = &f->calibration.bins[i];
        text_printf(bins, "%s[%lld,%lld,", i ? "," : "[", (long long)b->nodes, (long long)b->positives);
        text_printf(bins, b->nodes ? "%.17g]" : "null]", b->confidence);
    }
    text_puts(bins, "]");
}

esp_status judge_record(const judge_quality figures[JUDGE_KINDS], int64_t iteration, const char *source,
                        store *s, esp_error *error) {
    text_buffer bins[JUDGE_KINDS] = {0};
    store_judgement rows[JUDGE_KINDS];
    int64_t n = 0;
    for (int i = 0; i < JUDGE_KINDS; i++) {
        const judge_quality *f = &figures[i];
        if (f->calibration.nodes == 0) continue;
        put_bins(f, &bins[i]);
        rows[n++] = (store_judgement){.iteration = iteration,
                                      .source = source,
                                      .kind = kind_names[i],
                                      .positives = f->auc.positives,
                                      .negatives = f->auc.negatives,
                                      .area = f->auc.area,
                                      .low = f->auc.interval.low,
                                      .high = f->auc.interval.high,
                                      .calibration_error = f->calibration.error,
                                      .bins = bins[i].at,
                                      .within = comparison_of(&f->within),
                                      .siblings = comparison_of(&f->siblings)};
    }
    /* All or none: a run that finds one takes the others for written too. */
    esp_status status = store_add_judgements(s, rows, n, error);
    for (int i = 0; i < JUDGE_KINDS; i++) text_free(&bins[i]);
    return status;
}

esp_status judge_quality_read(const store_judgement *row, judge_quality *out, esp_error *error) {
    *out = (judge_quality){.auc = {.area = row->area,
                                   .interval = {row->low, row->high},
                                   .positives = row->positives,
                                   .negatives = row->negatives},
                           .within = share_of(&row->within),
                           .siblings = share_of(&row->siblings)};
    out->calibration.error = row->calibration_error;
    json_t *bins = json_loads(row->bins ? row->bins : "", 0, NULL);
    bool sound = json_array_size(bins) == JUDGE_BINS;
    for (int i = 0; i < JUDGE_BINS && sound; i++) {
        json_int_t nodes, positives;
        json_t *mean;
        sound = json_unpack(json_array_get(bins, (size_t)i), "[I, I, o!]", &nodes, &positives, &mean) == 0 &&
                positives >= 0 && nodes >= positives && json_is_number(mean) == (nodes > 0);
        if (!sound) break;
        out->calibration.bins[i] = bin_of(nodes, positives, json_number_value(mean));
        out->calibration.nodes += nodes;
    }
    json_decref(bins);
    if (!sound)
        return error_fail(error, "the file is damaged; restore it from a copy",
                          "run.db: judgement of iteration %lld (%s, %s): its bins are not ten of [nodes, "
                          "positives, mean C]",
                          (long long)row->iteration, row->source, row->kind);
    return ESP_OK;
}

esp_status judge_read(store *s, int64_t iteration, const char *source, judge_quality out[JUDGE_KINDS],
                      esp_error *error) {
    store_judgements rows;
    judge_scores_quality(&(judge_scores){0}, out);
    ESP_TRY(store_read_judgements(s, &rows, error));
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < rows.count && status == ESP_OK; i++) {
        const store_judgement *row = &rows.at[i];
        if (row->iteration != iteration || strcmp(row->source, source) != 0) continue;
        int kind = 0;
        while (kind < JUDGE_KINDS && strcmp(row->kind, kind_names[kind]) != 0) kind++;
        if (kind < JUDGE_KINDS) status = judge_quality_read(row, &out[kind], error);
    }
    STORE_LIST_FREE(&rows);
    return status;
}

/* ---- JSON ---- */

static json_t *pool_json(const area_pool *a) {
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "area", json_real_or_null(a->area), "low",
                     json_real_or_null(a->interval.low), "high", json_real_or_null(a->interval.high),
                     "positives", (json_int_t)a->positives, "negatives", (json_int_t)a->negatives);
}

static json_t *share_json(const area_share *a) {
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "share", json_real_or_null(a->share), "low",
                     json_real_or_null(a->interval.low), "high", json_real_or_null(a->interval.high),
                     "comparisons", (json_int_t)a->comparisons, "problems", (json_int_t)a->clusters);
}

json_t *judge_quality_json(const judge_quality *f) {
    json_t *bins = json_array();
    for (int i = 0; i < JUDGE_BINS; i++) {
        const judge_bin *b = &f->calibration.bins[i];
        json_array_append_new(
            bins, json_pack("{s:f, s:f, s:I, s:I, s:o, s:o, s:[o, o]}", "low", (double)i / JUDGE_BINS, "high",
                            (double)(i + 1) / JUDGE_BINS, "nodes", (json_int_t)b->nodes, "positives",
                            (json_int_t)b->positives, "confidence", json_real_or_null(b->confidence), "share",
                            json_real_or_null(b->share), "interval", json_real_or_null(b->interval.low),
                            json_real_or_null(b->interval.high)));
    }
    return json_pack("{s:o, s:o, s:o, s:I, s:o, s:o}", "auc", pool_json(&f->auc), "auc_within",
                     share_json(&f->within), "sibling_accuracy", share_json(&f->siblings), "nodes",
                     (json_int_t)f->calibration.nodes, "calibration_error",
                     json_real_or_null(f->calibration.error), "bins", bins);
}
