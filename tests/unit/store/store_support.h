/* A made-up run for the tests of the store, and how they look at its file. */
#ifndef ESPALIER_TESTS_STORE_SUPPORT_H
#define ESPALIER_TESTS_STORE_SUPPORT_H

#include "support.h"

#include "base/file.h"
#include "base/random.h"
#include "store/store.h"

#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>

static esp_error error;

static inline char *new_folder(void) {
    const char *base = getenv("TMPDIR");
    char *folder = path_join(base && *base ? base : P_tmpdir, "espalier-store-XXXXXX");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static inline void drop_folder(char *folder) {
    esp_error error = {0};
    assert_int_equal(folder_remove(folder, &error), ESP_OK);
    mem_free(folder);
}

static inline int64_t number(const char *folder, const char *sql) {
    char *file = path_join(folder, "run.db");
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(file, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    if (strstr(sql, "integrity")) value = strcmp(text, "ok") == 0;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    mem_free(file);
    return value;
}

static inline void change(const char *folder, const char *sql) {
    char *file = path_join(folder, "run.db");
    sqlite3 *db;
    assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    mem_free(file);
}

/* ---- a made-up run: everything in it follows from the wave's number ---- */

enum { TREES = 4, NODES = 30, STEP_IDS = 20 };

static inline esp_status write_tree(store *s, int64_t wave, int64_t t, esp_error *error) {
    rng_key_t key = rng_mix(rng_mix(rng_key(7), (uint64_t)wave), (uint64_t)t);
    int64_t problem = wave * TREES + t;
    int32_t ids[NODES * STEP_IDS];
    float logprobs[NODES * STEP_IDS];
    store_node nodes[NODES];
    for (int i = 0; i < NODES * STEP_IDS; i++) {
        ids[i] = (int32_t)rng_below(key, (uint64_t)i, 49152);
        logprobs[i] = (float)-rng_uniform(key, (uint64_t)i);
    }
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (store_node){.index = i,
                                .parent = i - 1,
                                .depth = i,
                                .ids = ids + i * STEP_IDS,
                                .logprobs = logprobs + i * STEP_IDS,
                                .count = i ? STEP_IDS : 0,
                                .visits = i,
                                .logprob = -0.5 * i,
                                .q = 0.1 * i,
                                .text = "a step"};
    }
    store_tree tree = {.iteration = 1,
                       .wave = wave,
                       .ordinal = problem,
                       .problem = problem,
                       .prompt_ids = ids,
                       .prompt_count = 11,
                       .tokens_sampled = 500,
                       .tokens_judged = 90,
                       .tokens_judged_steps = 60};
    store_problem p = {problem, NULL, "How many?", "4"};
    store_commitment c = {0, 0, 1, 1, 2};
    ESP_TRY(store_add_problem(s, &p, error));
    ESP_TRY(store_add_tree(s, &tree, error));
    ESP_TRY(store_add_nodes(s, tree.tree, nodes, NODES, error));
    ESP_TRY(store_add_commitments(s, tree.tree, &c, 1, error));
    store_pair pair = {.iteration = 1,
                       .tree = tree.tree,
                       .problem = problem,
                       .chosen = 1,
                       .rejected = 2,
                       .prefix_ids = ids,
                       .prefix_count = 11,
                       .chosen_ids = ids + 20,
                       .chosen_count = 20,
                       .rejected_ids = ids + 40,
                       .rejected_count = 20,
                       .q_chosen = 1,
                       .q_rejected = -1,
                       .n_chosen = 5,
                       .n_rejected = 2,
                       .alpha = 2.0 / 7,
                       .ref_logp_chosen = NAN,
                       .ref_logp_rejected = NAN,
                       .policy_logp_chosen = -3,
                       .policy_logp_rejected = -4,
                       .policy = "theta_0"};
    return store_add_pair(s, &pair, error);
}

static inline esp_status write_wave(store *s, int64_t wave, esp_error *error) {
    ESP_TRY(store_wave_begin(s, 1, wave, error));
    esp_status status = ESP_OK;
    for (int64_t t = 0; t < TREES && status == ESP_OK; t++) status = write_tree(s, wave, t, error);
    if (status != ESP_OK) {
        store_rollback(s);
        return status;
    }
    store_position next = {STORE_PHASE_SEARCH, 1, wave + 1, 0, "theta_0"};
    return store_wave_commit(s, &next, error);
}

/* Writes waves from the position of the run up to `waves`. */
static inline esp_status go_on(const char *folder, store_mode mode, int64_t waves, esp_error *error) {
    store *s;
    store_position at;
    ESP_TRY(store_open(&s, folder, mode, error));
    esp_status status = store_position_get(s, &at, error);
    for (int64_t w = at.wave; status == ESP_OK && w < waves; w++) {
        status = write_wave(s, w, error);
        if (status == ESP_OK) status = store_log(s, "wave", "{\"wave\": 1}", error);
    }
    store_close(s);
    return status;
}

static inline uint64_t digest(const char *folder) {
    store *s;
    uint64_t value = 0;
    OK(store_open(&s, folder, STORE_READ, &error));
    OK(store_digest(s, &value, &error));
    store_close(s);
    return value;
}

static inline void refused(const char *folder, store_mode mode, const char *part) {
    store *s;
    esp_error error = {0};
    assert_int_equal(store_open(&s, folder, mode, &error), ESP_FAILED);
    assert_null(s);
    if (!strstr(error.message, part)) fail_msg("wanted \"%s\" in: %s", part, error.message);
    assert_true(error.hint[0]);
}

#endif
