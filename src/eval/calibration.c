#include "eval/calibration.h"

#include "formats/json.h"

#include <math.h>

static void class_add(judge_class *c, double confidence, bool positive) {
    MEM_LIST_PUSH(&c->confidence, confidence);
    MEM_LIST_PUSH(&c->positive, positive);
}

void judge_scores_add(judge_scores *scores, const judge_node *nodes, int64_t n) {
    int64_t *balance = MEM_ARRAY(int64_t, n + 1); /* chains that end at or below: right less wrong */
    for (int64_t i = n - 1; i >= 0; i--) {
        balance[i] += nodes[i].sign;
        if (nodes[i].parent >= 0) balance[nodes[i].parent] += balance[i];
    }
    for (int64_t i = 0; i < n; i++) {
        if (!nodes[i].judged || nodes[i].parent < 0 || balance[i] == 0) continue;
        class_add(nodes[i].finished ? &scores->finished : &scores->unfinished, nodes[i].confidence,
                  balance[i] > 0);
    }
    mem_free(balance);
}

void judge_scores_add_search(judge_scores *scores, const search *s, const int8_t *graded) {
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
    judge_scores_add(scores, nodes, count);
    mem_free(nodes);
}

/* The store keeps O and whether a chain was finished or cut. */
static int stored_sign(const store_node *row) {
    search_outcome outcome = row->flags & STORE_NODE_FINISHED ? SEARCH_SCORED
                             : row->flags & STORE_NODE_CUT    ? SEARCH_CUT
                                                              : SEARCH_OPEN;
    return search_outcome_sign(outcome, row->outcome);
}

void judge_scores_add_stored(judge_scores *scores, const store_node *rows, int64_t n) {
    judge_node *nodes = MEM_ARRAY(judge_node, n + 1);
    for (int64_t i = 0; i < n; i++)
        nodes[i] = (judge_node){.parent = rows[i].parent,
                                .judged = rows[i].flags & STORE_NODE_JUDGED,
                                .finished = rows[i].flags & STORE_NODE_FINISHED,
                                .sign = stored_sign(&rows[i]),
                                .confidence = rows[i].confidence};
    judge_scores_add(scores, nodes, n);
    mem_free(nodes);
}

void judge_scores_free(judge_scores *scores) {
    judge_class *both[] = {&scores->finished, &scores->unfinished};
    for (int i = 0; i < 2; i++) {
        MEM_LIST_FREE(&both[i]->confidence);
        MEM_LIST_FREE(&both[i]->positive);
    }
}

static metrics_auc class_area(const judge_class *c) {
    return metrics_area(c->confidence.at, c->positive.at, c->confidence.count);
}

judge_auc judge_scores_auc(const judge_scores *scores) {
    return (judge_auc){.finished = class_area(&scores->finished),
                       .unfinished = class_area(&scores->unfinished)};
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
        judge_scores_add_stored(out, nodes.at, nodes.count);
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

static judge_calibration calibration_of(const judge_class *c) {
    judge_calibration out = {0};
    double sums[JUDGE_BINS] = {0}, error = 0;
    for (int64_t i = 0; i < c->confidence.count; i++) {
        double confidence = c->confidence.at[i], place = floor(confidence * JUDGE_BINS);
        if (!isfinite(confidence)) continue;
        int bin = place < 0 ? 0 : place >= JUDGE_BINS ? JUDGE_BINS - 1 : (int)place;
        out.bins[bin].nodes++;
        out.bins[bin].positives += c->positive.at[i];
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

judge_quality judge_class_quality(const judge_class *c) {
    return (judge_quality){.auc = class_area(c), .calibration = calibration_of(c)};
}

/* ---- store ---- */

static void put_bins(const judge_quality *f, text_buffer *bins) {
    for (int i = 0; i < JUDGE_BINS; i++) {
        const judge_bin *b = &f->calibration.bins[i];
        text_printf(bins, "%s[%lld,%lld,", i ? "," : "[", (long long)b->nodes, (long long)b->positives);
        text_printf(bins, b->nodes ? "%.17g]" : "null]", b->confidence);
    }
    text_puts(bins, "]");
}

esp_status judge_record(const judge_quality *finished, const judge_quality *unfinished, int64_t iteration,
                        const char *source, store *s, esp_error *error) {
    const judge_quality *figures[] = {finished, unfinished};
    static const char *const kinds[] = {"finished", "unfinished"};
    text_buffer bins[2] = {0};
    store_judgement rows[2];
    int64_t n = 0;
    for (int i = 0; i < 2; i++) {
        const judge_quality *f = figures[i];
        if (f->calibration.nodes == 0) continue;
        put_bins(f, &bins[i]);
        rows[n++] = (store_judgement){.iteration = iteration,
                                      .source = source,
                                      .kind = kinds[i],
                                      .positives = f->auc.positives,
                                      .negatives = f->auc.negatives,
                                      .area = f->auc.area,
                                      .low = f->auc.interval.low,
                                      .high = f->auc.interval.high,
                                      .calibration_error = f->calibration.error,
                                      .bins = bins[i].at};
    }
    /* Both or none: a run that finds one takes the other for written too. */
    esp_status status = store_add_judgements(s, rows, n, error);
    for (int i = 0; i < 2; i++) text_free(&bins[i]);
    return status;
}

esp_status judge_quality_read(const store_judgement *row, judge_quality *out, esp_error *error) {
    *out = (judge_quality){.auc = {.area = row->area,
                                   .interval = {row->low, row->high},
                                   .positives = row->positives,
                                   .negatives = row->negatives}};
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

/* ---- JSON ---- */

json_t *judge_auc_json(metrics_auc a) {
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "area", json_real_or_null(a.area), "low",
                     json_real_or_null(a.interval.low), "high", json_real_or_null(a.interval.high),
                     "positives", (json_int_t)a.positives, "negatives", (json_int_t)a.negatives);
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
    return json_pack("{s:o, s:I, s:o, s:o}", "auc", judge_auc_json(f->auc), "nodes",
                     (json_int_t)f->calibration.nodes, "calibration_error",
                     json_real_or_null(f->calibration.error), "bins", bins);
}
