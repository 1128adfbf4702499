/* Speed and memory of the search's arithmetic without a model (docs/architecture.md: under 2 microseconds a
 * visited node, memory linear in nodes). A synthetic policy answers at once; its time is in the figures.
 * Prints one JSON line a tree size:
 * {"nodes", "visited", "ns_per_visit", "bytes_per_node"}. Optional argument: the largest tree (1000000).
 *
 * Build: cc -O2 -Isrc -Iinclude bench/search_arith.c -o search_arith, with the libraries esp_search and
 * esp_base, -lm. */
#include "search/search.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BREADTH 4
#define TOKENS  8

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Four steps of eight tokens; one in sixteen chains ends here. */
static esp_status answer(search *s, const search_request *q, esp_error *error) {
    static const int32_t ids[TOKENS] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const float logprobs[TOKENS] = {-1, -1, -1, -1, -1, -1, -1, -1};
    search_candidate c[BREADTH];
    double confidences[BREADTH];
    for (int32_t i = 0; q->kind == SEARCH_CANDIDATES && i < q->count; i++) {
        uint64_t bits = rng_bits(q->key, (uint64_t)i);
        c[i] = (search_candidate){.ids = ids,
                                  .logprobs = logprobs,
                                  .n = TOKENS,
                                  .logprob = -4 - (double)(bits >> 32) * 0x1p-30,
                                  .text_key = bits,
                                  .outcome = bits % 16   ? SEARCH_OPEN
                                             : bits & 16 ? SEARCH_RIGHT
                                                         : SEARCH_WRONG};
    }
    for (int32_t i = 0; q->kind == SEARCH_JUDGE && i < q->count; i++)
        confidences[i] = rng_uniform(rng_key(1), (uint64_t)q->node + (uint64_t)i);
    search_reply reply = {c, q->count, confidences, q->count};
    return search_feed(s, &reply, error);
}

static esp_status measure(int32_t nodes, esp_error *error) {
    search_config config = search_preset_named("default")->config;
    config.breadth_root = config.breadth = BREADTH;
    config.horizon = config.max_steps = 16;
    config.c_puct =
        50; /* explores, so that the tree fills up rather than one right chain be visited over and over */
    config.simulations = nodes / 16 + 1;
    config.max_nodes = nodes;
    double begin = seconds();
    search *s = NULL;
    if (search_new(&s, &config, rng_key((uint64_t)nodes), error)) return error->code;
    search_request q;
    esp_status status = ESP_OK;
    for (search_next(s, &q); q.kind != SEARCH_DONE && status == ESP_OK; search_next(s, &q))
        status = answer(s, &q, error);
    search_stats stats = search_stats_of(s);
    printf("{\"nodes\": %d, \"visited\": %lld, \"ns_per_visit\": %.1f, \"bytes_per_node\": %.1f}\n",
           search_node_count(s), (long long)stats.visits, 1e9 * (seconds() - begin) / (double)stats.visits,
           (double)stats.bytes / search_node_count(s));
    search_free(s);
    return status;
}

int main(int count, char **arguments) {
    int32_t most = count > 1 ? atoi(arguments[1]) : 1000000;
    for (int32_t nodes = 100; nodes <= most; nodes *= 10) {
        esp_error error = {0};
        if (measure(nodes, &error)) {
            fprintf(stderr, "%s\n", error.message);
            return 1;
        }
    }
    return 0;
}
