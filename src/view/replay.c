#include "view/replay.h"

#include "loop/tree_rows.h"

#include <math.h>

static void record(void *user, const search_simulation *simulation) {
    replay *out = user;
    MEM_LIST_PUSH(&out->simulations, *simulation);
}

static esp_status feed_candidates(search *s, const search_request *asked, const store_node *nodes,
                                  int64_t count) {
    search_candidate *candidates = MEM_ARRAY(search_candidate, (int64_t)asked->count + 1);
    int32_t n = tree_rows_candidates(asked, nodes, count, search_node_count(s), candidates);
    search_reply reply = {.candidates = candidates, .candidate_count = n};
    esp_status status = n < 0 ? ESP_FAILED : search_feed(s, &reply, NULL);
    mem_free(candidates);
    return status;
}

static esp_status feed_confidences(search *s, const search_request *asked, const store_node *nodes) {
    double *confidences = MEM_ARRAY(double, asked->count);
    tree_rows_confidences(asked, nodes, confidences);
    search_reply reply = {.confidences = confidences, .confidence_count = asked->count};
    esp_status status = search_feed(s, &reply, NULL);
    mem_free(confidences);
    return status;
}

static bool same(double a, double b) {
    return fabs(a - b) <= REPLAY_TOLERANCE;
}

static bool reproduces(const search *s, const store_node *nodes, int64_t count) {
    if (search_node_count(s) != count) return false;
    for (int32_t i = 0; i < count; i++) {
        search_node n = search_node_at(s, i);
        if (n.N != nodes[i].visits || !same(n.Q, nodes[i].q) || !same(n.V, nodes[i].v)) return false;
    }
    return true;
}

bool replay_tree(replay *out, const search_config *config, rng_key_t key, const store_node *nodes,
                 int64_t count) {
    search_config as_stored = *config;
    as_stored.rewards.depth_discount_confidence = false; /* the stored confidences are discounted already */
    out->simulations.count = 0;
    search *s;
    if (!tree_rows_are_sound(nodes, count) || search_new(&s, &as_stored, key, NULL) != ESP_OK) return false;
    search_watch(s, record, out);
    search_request asked;
    esp_status status = ESP_OK;
    for (search_next(s, &asked); asked.kind != SEARCH_DONE && status == ESP_OK; search_next(s, &asked))
        status = asked.kind == SEARCH_CANDIDATES ? feed_candidates(s, &asked, nodes, count)
                                                 : feed_confidences(s, &asked, nodes);
    bool right = status == ESP_OK && reproduces(s, nodes, count);
    search_free(s);
    if (!right) out->simulations.count = 0;
    return right;
}

void replay_free(replay *r) {
    MEM_LIST_FREE(&r->simulations);
}
