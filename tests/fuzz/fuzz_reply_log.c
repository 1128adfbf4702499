/* libFuzzer: arbitrary bytes as a log of replies, and as the payload of a record that answers a search's
 * request. Build with clang -fsanitize=fuzzer,address,undefined. */
#include "policy/reply_log.h"

#include "base/memory.h"
#include "search/rules/puct.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static search_config small_config(void) {
    search_config c = {.limits = {.simulations = 3,
                                  .root_multiplier = 1,
                                  .breadth_root = 3,
                                  .breadth = 2,
                                  .horizon = 3,
                                  .max_steps = 3,
                                  .rest_from_depth = -1,
                                  .gold_injection = true},
                       .prior = {.kind = SEARCH_PRIOR_LENGTH_NORMALISED, .lambda = 1},
                       .rewards = {.cut_reward = -1,
                                   .right_other_reward = 1,
                                   .short_bonus_1 = 1,
                                   .short_bonus_2 = 1,
                                   .gamma = 1,
                                   .judge = true}};
    *(puct_options *)search_rule_options(&c) = (puct_options){.c_puct = 1, .commit = PUCT_COMMIT_VISITS};
    return c;
}

static void put(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> 8 * i);
}

/* The bytes as they are. What is taken is given back unchanged. */
static void raw(const uint8_t *bytes, size_t n) {
    reply_log *log;
    esp_error e = {0};
    esp_status status = reply_log_from_bytes(&log, bytes, n, &e);
    if ((status == ESP_OK) != (log != NULL) || (status != ESP_OK && e.message[0] == '\0')) abort();
    if (log) {
        size_t m;
        const uint8_t *same = reply_log_bytes(log, &m);
        if (m != n || (n && memcmp(same, bytes, n) != 0)) abort();
    }
    reply_log_close(log);
}

/* One record around the payload, with the right fingerprint and checksum; true: the search took it. */
static bool feed_one(search *s, const search_request *asked, const uint8_t *payload, size_t n) {
    size_t length = 40 + n + 8;
    uint8_t *bytes = mem_alloc(length);
    bool judge = asked->kind == SEARCH_JUDGE;
    put(bytes, length, 4);
    put(bytes + 4, judge ? 2 : 1, 4);
    put(bytes + 8, 1, 8);
    put(bytes + 20, judge ? n / 8 : n ? payload[0] % 6u : 0, 4);
    put(bytes + 24, reply_log_fingerprint(s, asked), 8);
    if (n) memcpy(bytes + 40, payload, n);
    put(bytes + 40 + n, XXH3_64bits(bytes, 40 + n), 8);
    reply_log *log;
    int32_t nodes = search_node_count(s), fed = 0;
    bool taken = false;
    if (reply_log_from_bytes(&log, bytes, length, NULL) == ESP_OK) {
        taken = reply_log_feed(log, 1, s, &fed, NULL) == ESP_OK && fed == 1;
        if (!taken && search_node_count(s) != nodes) abort(); /* a refused reply changes nothing */
    }
    reply_log_close(log);
    mem_free(bytes);
    return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    raw(bytes, n);
    search *s;
    search_config config = small_config();
    if (search_new(&s, &config, rng_key(1), NULL) != ESP_OK) abort();
    search_request asked;
    for (search_next(s, &asked); asked.kind != SEARCH_DONE && n > 2; search_next(s, &asked)) {
        size_t part = bytes[0] | (size_t)bytes[1] << 8;
        bytes += 2, n -= 2;
        if (part > n) part = n;
        if (!feed_one(s, &asked, bytes, part)) break;
        bytes += part, n -= part;
    }
    search_free(s);
    return 0;
}
