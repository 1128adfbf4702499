#include "run/judge_auc.h"

#include <math.h>

static void class_add(judge_class *c, double confidence, bool positive) {
    MEM_LIST_PUSH(&c->confidence, confidence);
    MEM_LIST_PUSH(&c->positive, positive);
}

void judge_scores_add(judge_scores *scores, const judge_node *nodes, int64_t n) {
    int64_t *balance = MEM_ARRAY(int64_t, n + 1); /* finished nodes at or below: right ones less wrong ones */
    for (int64_t i = n - 1; i >= 0; i--) {
        balance[i] += nodes[i].outcome;
        if (nodes[i].parent >= 0) balance[nodes[i].parent] += balance[i];
    }
    for (int64_t i = 0; i < n; i++) {
        if (!nodes[i].judged || nodes[i].parent < 0 || balance[i] == 0) continue;
        class_add(nodes[i].outcome ? &scores->finished : &scores->unfinished, nodes[i].confidence,
                  balance[i] > 0);
    }
    mem_free(balance);
}

static int search_outcome_sign(const search_node *v) {
    switch (v->outcome) {
    case SEARCH_RIGHT:
        return 1;
    case SEARCH_WRONG:
        return -1;
    case SEARCH_SCORED:
        return v->O > 0 ? 1 : v->O < 0 ? -1 : 0;
    case SEARCH_OPEN:
    case SEARCH_FINISHED_UNKNOWN:
    case SEARCH_CUT:
        break;
    }
    return 0;
}

void judge_scores_add_search(judge_scores *scores, const search *s, const int8_t *outcomes) {
    if (!search_config_of(s)->judge) return;
    int32_t count = search_node_count(s);
    judge_node *nodes = MEM_ARRAY(judge_node, count);
    for (int32_t i = 0; i < count; i++) {
        search_node v = search_node_at(s, i);
        nodes[i] = (judge_node){.parent = v.parent,
                                .judged = i > 0,
                                .outcome = outcomes ? outcomes[i] : search_outcome_sign(&v),
                                .confidence = v.C};
    }
    judge_scores_add(scores, nodes, count);
    mem_free(nodes);
}

void judge_scores_add_stored(judge_scores *scores, const store_node *rows, int64_t n) {
    judge_node *nodes = MEM_ARRAY(judge_node, n + 1);
    for (int64_t i = 0; i < n; i++) {
        bool finished = rows[i].flags & STORE_NODE_FINISHED;
        nodes[i] = (judge_node){.parent = rows[i].parent,
                                .judged = rows[i].flags & STORE_NODE_JUDGED,
                                .outcome = !finished ? 0 : (rows[i].outcome > 0) - (rows[i].outcome < 0),
                                .confidence = rows[i].confidence};
    }
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

esp_status judge_auc_of_trees(store *s, int64_t iteration, judge_auc *out, esp_error *error) {
    store_trees trees;
    *out = judge_scores_auc(&(judge_scores){0});
    ESP_TRY(store_read_trees(s, iteration, &trees, error));
    judge_scores scores = {0};
    esp_status status = ESP_OK;
    for (int64_t i = 0; i < trees.count && status == ESP_OK; i++) {
        store_nodes nodes;
        status = store_read_nodes(s, trees.at[i].tree, &nodes, error);
        if (status != ESP_OK) break;
        judge_scores_add_stored(&scores, nodes.at, nodes.count);
        STORE_LIST_FREE(&nodes);
    }
    STORE_LIST_FREE(&trees);
    if (status == ESP_OK) *out = judge_scores_auc(&scores);
    judge_scores_free(&scores);
    return status;
}

static json_t *number_or_null(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *judge_auc_json(metrics_auc a) {
    return json_pack("{s:o, s:o, s:o, s:I, s:I}", "area", number_or_null(a.area), "low",
                     number_or_null(a.interval.low), "high", number_or_null(a.interval.high), "positives",
                     (json_int_t)a.positives, "negatives", (json_int_t)a.negatives);
}
