#include "view/replay.h"

#include "loop/tree_rows.h"

#include <math.h>

/* Who is told of the simulations. */
typedef struct {
    const search *s;
    replay *out;
    MEM_LIST(replay_value) known; /* by node: what the search and the replay so far say */
} recorder;

static replay_value value_of(const search *s, int32_t node) {
    search_node n = search_node_at(s, node);
    return (replay_value){n.N, n.Q};
}

static void record(void *user, const search_simulation *simulation) {
    recorder *r = user;
    replay_moment moment = {.simulation = *simulation, .first = r->out->changes.count};
    for (int32_t at = simulation->leaf;; at = search_node_at(r->s, at).parent) {
        if (at < simulation->first_new) {
            replay_change change = {.before = r->known.at[at], .after = value_of(r->s, at)};
            MEM_LIST_PUSH(&r->out->changes, change);
            r->known.at[at] = change.after;
        }
        if (at == simulation->root) break;
    }
    for (int32_t i = 0; i < simulation->new_count; i++)
        MEM_LIST_PUSH(&r->known, value_of(r->s, simulation->first_new + i));
    moment.count = r->out->changes.count - moment.first;
    MEM_LIST_PUSH(&r->out->moments, moment);
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

static bool reproduces(const recorder *r, const store_node *nodes, int64_t count) {
    if (search_node_count(r->s) != count || r->known.count != count) return false;
    for (int32_t i = 0; i < count; i++) {
        search_node n = search_node_at(r->s, i);
        if (n.N != nodes[i].visits || !same(n.Q, nodes[i].q) || !same(n.V, nodes[i].v)) return false;
        if (n.N != r->known.at[i].N || n.Q != r->known.at[i].Q) return false;
    }
    return true;
}

/* Answers the search from the stored nodes until it is done. */
static esp_status search_again(search *s, const store_node *nodes, int64_t count) {
    search_request asked;
    esp_status status = ESP_OK;
    for (search_next(s, &asked); asked.kind != SEARCH_DONE && status == ESP_OK; search_next(s, &asked))
        status = asked.kind == SEARCH_CANDIDATES ? feed_candidates(s, &asked, nodes, count)
                                                 : feed_confidences(s, &asked, nodes);
    return status;
}

bool replay_tree(replay *out, const search_config *config, rng_key_t key, const store_node *nodes,
                 int64_t count) {
    search_config as_stored = *config;
    as_stored.rewards.depth_discount_confidence = false; /* the stored confidences are discounted already */
    out->moments.count = out->changes.count = 0;
    search *s;
    if (!store_nodes_are_sound(nodes, count) || search_new(&s, &as_stored, key, NULL) != ESP_OK) return false;
    recorder r = {.s = s, .out = out};
    MEM_LIST_PUSH(&r.known, value_of(s, 0));
    search_watch(s, record, &r);
    bool right = search_again(s, nodes, count) == ESP_OK && reproduces(&r, nodes, count);
    search_free(s);
    MEM_LIST_FREE(&r.known);
    if (!right) out->moments.count = out->changes.count = 0;
    return right;
}

void replay_free(replay *r) {
    MEM_LIST_FREE(&r->moments);
    MEM_LIST_FREE(&r->changes);
}
