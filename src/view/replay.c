#include "view/replay.h"

#include <math.h>

static void take(void *user, const search_simulation *simulation) {
    replay *out = user;
    MEM_LIST_PUSH(&out->simulations, *simulation);
}

static int64_t probed(const store_node *n) {
    return n->flags >> STORE_NODE_PROBED_SHIFT;
}

static bool is_gold(const store_node *n, const search_request *asked) {
    return asked->wants_gold && (n->flags & STORE_NODE_GOLD);
}

/* The stored children of a node that are not in the tree yet stand behind all that are: those of one reply.
 * Chains of the root probe and later candidates are never in one. */
static int64_t children_of(const store_node *nodes, int64_t count, int64_t first,
                           const search_request *asked) {
    int64_t n = 0;
    while (first + n < count && nodes[first + n].parent == asked->node &&
           (is_gold(&nodes[first + n], asked) || !probed(&nodes[first + n]) == !probed(&nodes[first])))
        n++;
    return n;
}

/* Candidates that became this node: as many as chains of the probe went on to it, and the gold one. */
static int64_t candidates_of(const store_node *n, const search_request *asked) {
    return probed(n) ? probed(n) + is_gold(n, asked) : 1;
}

/* O as it was stored, whatever rule made it (2.4). */
static search_candidate candidate_of(const store_node *n, bool gold) {
    search_outcome outcome = n->flags & STORE_NODE_FINISHED ? SEARCH_SCORED
                             : n->flags & STORE_NODE_CUT    ? SEARCH_CUT
                                                            : SEARCH_OPEN;
    return (search_candidate){
        .n = (int32_t)n->count,
        .logprob = n->logprob,
        .text_key = (uint64_t)n->index, /* no two alike: twins were dropped when it was searched */
        .outcome = outcome,
        .reward = n->outcome,
        .gold = gold};
}

static esp_status feed_candidates(search *s, const search_request *asked, const store_node *nodes,
                                  int64_t count) {
    int64_t first = search_node_count(s), n = children_of(nodes, count, first, asked), all = 0;
    int64_t most = (int64_t)asked->count + asked->wants_gold;
    for (int64_t i = 0; i < n; i++) all += candidates_of(&nodes[first + i], asked);
    if (all > most) return ESP_FAILED; /* nobody gave more than was asked for */
    search_candidate *candidates = MEM_ARRAY(search_candidate, all + 1);
    int32_t filled = 0;
    for (int64_t i = 0; i < n; i++) {
        const store_node *v = &nodes[first + i];
        int64_t copies = candidates_of(v, asked);
        for (int64_t j = 1; j <= copies; j++)
            candidates[filled++] = candidate_of(v, j == copies && is_gold(v, asked));
    }
    search_reply reply = {.candidates = candidates, .candidate_count = filled};
    esp_status status = search_feed(s, &reply, NULL);
    mem_free(candidates);
    return status;
}

static esp_status feed_confidences(search *s, const search_request *asked, const store_node *nodes) {
    double *confidences = MEM_ARRAY(double, asked->count);
    for (int32_t i = 0; i < asked->count; i++) confidences[i] = nodes[asked->node + i].confidence;
    search_reply reply = {.confidences = confidences, .confidence_count = asked->count};
    esp_status status = search_feed(s, &reply, NULL);
    mem_free(confidences);
    return status;
}

static bool same(double a, double b) {
    return fabs(a - b) <= REPLAY_TOLERANCE;
}

static bool came_to(const search *s, const store_node *nodes, int64_t count) {
    if (search_node_count(s) != count) return false;
    for (int32_t i = 0; i < count; i++) {
        search_node n = search_node_at(s, i);
        if (n.N != nodes[i].visits || !same(n.Q, nodes[i].q) || !same(n.V, nodes[i].v)) return false;
    }
    return true;
}

/* What a damaged store could hold and the search's arrays could not. */
static bool in_order(const store_node *nodes, int64_t count) {
    if (count < 1 || count > INT32_MAX || nodes[0].parent != -1) return false;
    for (int64_t i = 0; i < count; i++)
        if (nodes[i].index != i || nodes[i].parent >= i || (i > 0 && nodes[i].parent < 0) ||
            nodes[i].count > INT32_MAX)
            return false;
    return true;
}

bool replay_tree(replay *out, const search_config *config, const store_node *nodes, int64_t count) {
    search_config as_stored = *config;
    as_stored.rewards.depth_discount_confidence = false; /* the stored C has it */
    out->simulations.count = 0;
    search *s;
    if (!in_order(nodes, count) || search_new(&s, &as_stored, rng_key(0), NULL) != ESP_OK) return false;
    search_watch(s, take, out);
    search_request asked;
    esp_status status = ESP_OK;
    for (search_next(s, &asked); asked.kind != SEARCH_DONE && status == ESP_OK; search_next(s, &asked))
        status = asked.kind == SEARCH_CANDIDATES ? feed_candidates(s, &asked, nodes, count)
                                                 : feed_confidences(s, &asked, nodes);
    bool right = status == ESP_OK && came_to(s, nodes, count);
    search_free(s);
    if (!right) out->simulations.count = 0;
    return right;
}

void replay_free(replay *r) {
    MEM_LIST_FREE(&r->simulations);
}
