/* `espalier bench`: the search's arithmetic without a model. A made-up policy answers at once. Its time is
 * part of the figures, and so is the time to make the tree. */
#include "app/bench_measure.h"
#include "base/clock.h"
#include "search/rules/puct.h"
#include "search/search.h"

enum { BREADTH = 4, TOKENS = 8, LEAST_DEPTH = 8 };

/* Answers with four steps of eight tokens. One chain in sixteen ends, but none above LEAST_DEPTH, so that the
 * tree reaches its size. */
static esp_status answer(search *s, const search_request *q, esp_error *error) {
    static const int32_t ids[TOKENS] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const float logprobs[TOKENS] = {-1, -1, -1, -1, -1, -1, -1, -1};
    search_candidate c[BREADTH];
    double confidences[BREADTH];
    bool ends = search_node_at(s, q->node).depth >= LEAST_DEPTH;
    for (int32_t i = 0; q->kind == SEARCH_CANDIDATES && i < q->count; i++) {
        uint64_t bits = rng_bits(q->key, (uint64_t)i);
        c[i] = (search_candidate){.ids = ids,
                                  .logprobs = logprobs,
                                  .n = TOKENS,
                                  .logprob = -4 - (double)(bits >> 32) * 0x1p-30,
                                  .text_key = bits,
                                  .outcome = !ends || bits % 16 ? SEARCH_OPEN
                                             : bits & 16        ? SEARCH_RIGHT
                                                                : SEARCH_WRONG};
    }
    for (int32_t i = 0; q->kind == SEARCH_JUDGE && i < q->count; i++)
        confidences[i] = rng_uniform(rng_key(1), (uint64_t)q->node + (uint64_t)i);
    search_reply reply = {c, q->count, confidences, q->count};
    return search_feed(s, &reply, error);
}

typedef struct {
    int32_t nodes;
    search_stats stats;
} grown;

static esp_status grow(int32_t nodes, grown *out, double *took, esp_error *error) {
    search_config config;
    search_config_defaults(&config);
    config.limits.breadth_root = config.limits.breadth = BREADTH;
    config.limits.root_probe = 0;
    config.limits.horizon = config.limits.max_steps = 16;
    config.limits.simulations = nodes / 16 + 1;
    config.limits.max_nodes = nodes;
    puct_options *rule = search_rule_options(&config);
    rule->c_puct = 50; /* large, so that the search explores instead of visiting one correct chain again */
    double began = clock_seconds();
    search *s;
    ESP_TRY(search_new(&s, &config, rng_key((uint64_t)nodes), error));
    search_request q;
    esp_status status = ESP_OK;
    for (search_next(s, &q); q.kind != SEARCH_DONE && status == ESP_OK; search_next(s, &q))
        status = answer(s, &q, error);
    *took = clock_seconds() - began;
    *out = (grown){search_node_count(s), search_stats_of(s)};
    search_free(s);
    return status;
}

/* A small tree is grown repeatedly for at least this long. */
static const double LEAST_SECONDS = 0.1;

esp_status bench_arithmetic(bench_place *b, json_t **out, esp_error *error) {
    *out = json_array();
    for (int32_t nodes = 100; nodes <= 1000000; nodes *= 10) {
        bench_laps laps = {.count = 0};
        grown tree = {0};
        double took, start = clock_seconds();
        for (int i = 0; i < b->repeats || clock_seconds() - start < LEAST_SECONDS; i++) {
            ESP_TRY(grow(nodes, &tree, &took, error));
            bench_lap(&laps, 1e9 * took / (double)tree.stats.visits);
        }
        json_array_append_new(*out, json_pack("{sI sI sf sf sf}", "nodes", (json_int_t)tree.nodes, "visited",
                                              (json_int_t)tree.stats.visits, "ns_per_visit",
                                              bench_best(&laps), "ns_per_visit_median", bench_median(&laps),
                                              "bytes_per_node", (double)tree.stats.bytes / tree.nodes));
    }
    return ESP_OK;
}
