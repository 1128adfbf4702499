#include "view/run_check.h"

#include "base/file.h"
#include "eval/confidence_fit.h"
#include "loop/checkpoint.h"
#include "loop/recipe_change.h"
#include "loop/tree_rows.h"
#include "view/replay.h"

#include <string.h>

typedef struct {
    const run_check_listener *listener;
    run_check_result *out;
    store *store;
    recipe *recipe; /* NULL: cannot be read */
} check;

static void tell(check *c, bool fault, const char *line) {
    if (fault)
        c->out->faults++;
    else
        c->out->notes++;
    c->listener->found(c->listener->context, fault, line);
}

static void fault(void *context, const char *line) {
    tell(context, true, line);
}

/* An error of a part of the check is a finding; the other parts go on. */
static void take(check *c, esp_status status, const esp_error *error) {
    if (status != ESP_OK) tell(c, true, error->message);
}

static void check_rows(check *c) {
    text_buffer differing = {0};
    bool kept = false;
    esp_error error = {0};
    take(c, store_integrity(c->store, fault, c, &error), &error);
    take(c, store_sums_differing(c->store, &kept, &differing, &error), &error);
    if (differing.length > 0) {
        char *line = mem_printf("run.db: rows are not those that were written, in: %s", differing.at);
        tell(c, true, line);
        mem_free(line);
    } else if (!kept) {
        tell(c, false,
             "run.db: an earlier version wrote it without sums: whether rows have changed is not known");
    }
    text_free(&differing);
}

static void check_files(check *c) {
    store_files files = {0};
    esp_error error = {0};
    take(c, store_read_files(c->store, "", &files, &error), &error);
    for (int64_t i = 0; i < files.count; i++) {
        bool known;
        take(c, store_check_files(c->store, files.at[i].path, &known, &error), &error);
        c->out->files++;
        c->out->bytes += files.at[i].sum.bytes;
    }
    if (files.memory) STORE_LIST_FREE(&files);
}

static void check_position(check *c) {
    store_position at = {0};
    esp_error error = {0};
    bool known = true;
    esp_status status = store_position_get(c->store, &at, &error);
    take(c, status, &error);
    if (status != ESP_OK) return;
    take(c, checkpoint_check_place(c->store, &at, &error), &error);
    if (at.checkpoint[0]) {
        char *place = checkpoint_place(at.checkpoint);
        store_files files = {0};
        if (store_read_files(c->store, place, &files, NULL) == ESP_OK) known = files.count > 0;
        if (files.memory) STORE_LIST_FREE(&files);
        mem_free(place);
    }
    if (!known) {
        char *line = mem_printf(
            "checkpoints/%s: was written without sums: whether it has changed is not known", at.checkpoint);
        tell(c, false, line);
        mem_free(line);
    }
}

/* How often the iteration has reached the problem before: part of the key of its search. Trees come by
 * iteration, then in the order of search. */
static int64_t turn_of(const store_trees *trees, int64_t index) {
    int64_t turn = 0;
    for (int64_t i = index - 1; i >= 0 && trees->at[i].iteration == trees->at[index].iteration; i--)
        turn += trees->at[i].problem == trees->at[index].problem;
    return turn;
}

static esp_status replay_one(check *c, replay *r, const store_trees *trees, int64_t index, esp_error *error) {
    const store_tree *t = &trees->at[index];
    store_nodes nodes;
    ESP_TRY(store_read_nodes(c->store, t->tree, &nodes, error));
    rng_key_t key = tree_rows_key(c->recipe->run.seed, t->iteration, t->problem, turn_of(trees, index));
    search_config config = c->recipe->search.config;
    esp_status status = confidence_read(c->store, t->iteration, &config.calibration, error);
    bool same = status == ESP_OK && replay_tree(r, &config, key, nodes.at, nodes.count);
    STORE_LIST_FREE(&nodes);
    ESP_TRY(status);
    c->out->replayed += same;
    if (same) return ESP_OK;
    return error_fail(error, NULL,
                      "run.db: tree %lld (iteration %lld, problem %lld): searched again from its rows, it is "
                      "another tree",
                      (long long)t->tree, (long long)t->iteration, (long long)t->problem);
}

static void check_trees(check *c) {
    store_trees trees = {0};
    esp_error error = {0};
    replay r = {0};
    take(c, store_read_trees(c->store, STORE_ALL, &trees, &error), &error);
    c->out->trees = trees.count;
    for (int64_t i = 0; i < trees.count && c->recipe; i++)
        take(c, replay_one(c, &r, &trees, i, &error), &error);
    replay_free(&r);
    if (trees.memory) STORE_LIST_FREE(&trees);
}

/* The digests read every pair, and the tree that it is of. */
static void check_digests(check *c) {
    esp_error error = {0};
    take(c, store_digest(c->store, &c->out->digest, &error), &error);
    take(c, store_digest_tables(c->store, &c->out->digest_tables, &error), &error);
}

static void read_recipe(check *c) {
    esp_error error = {0};
    char *name = NULL;
    take(c, recipe_file_name(c->store, &name, &error), &error);
    if (!name) return;
    char *path = path_join(store_folder(c->store), name);
    take(c, recipe_load(&c->recipe, path, NULL, 0, &error), &error);
    mem_free(path);
    mem_free(name);
}

esp_status run_check(const char *folder, const run_check_listener *listener, run_check_result *out,
                     esp_error *error) {
    check c = {.listener = listener, .out = out};
    *out = (run_check_result){0};
    ESP_TRY(store_open(&c.store, folder, STORE_READ, error));
    esp_status status = store_begin_read(c.store, error);
    if (status == ESP_OK) {
        check_rows(&c);
        check_files(&c);
        check_position(&c);
        read_recipe(&c);
        check_trees(&c);
        check_digests(&c);
    }
    recipe_free(c.recipe);
    store_rollback(c.store);
    store_close(c.store);
    return status;
}
