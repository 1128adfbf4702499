/* A run's folder whose store is made by hand, and its report's document. */
#ifndef ESPALIER_TESTS_MADE_RUN_H
#define ESPALIER_TESTS_MADE_RUN_H

#include "support.h"
#include "../search/synthetic.h"

#include "base/file.h"
#include "recipe/recipe.h"
#include "store/store.h"
#include "loop/tree_rows.h"
#include "view/report.h"

#include <jansson.h>

static esp_error error;

typedef struct {
    char *folder;
    store *s;
    recipe *recipe;
} fixture;

static inline fixture fixture_new(const char *yaml) {
    fixture f;
    const char *base = getenv("TMPDIR");
    f.folder = path_join(base && *base ? base : P_tmpdir, "espalier-report-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    OK(store_open(&f.s, f.folder, STORE_CREATE, &error));
    OK(recipe_parse(&f.recipe, "test", yaml, strlen(yaml), NULL, 0, &error));
    char *path = path_join(f.folder, "recipe.yaml");
    OK(recipe_write(f.recipe, path, &error));
    mem_free(path);
    return f;
}

static inline void fixture_free(fixture *f) {
    store_close(f->s);
    recipe_free(f->recipe);
    OK(folder_remove(f->folder, &error));
    mem_free(f->folder);
}

/* The document, parsed. New reference. */
static inline json_t *document_of(const fixture *f, int64_t trees, report_result *result) {
    report_options options = {.run = f->folder, .trees = trees};
    text_buffer text = {0};
    OK(report_json(&options, &text, result, &error));
    for (size_t i = 0; i < text.length; i++) assert_null(strchr("<>&", text.at[i]));
    json_error_t why;
    json_t *out = json_loadb(text.at, text.length, 0, &why);
    if (!out) fail_msg("%s near %.60s", why.text, text.at + why.position);
    text_free(&text);
    return out;
}

static inline void add_problem(fixture *f, int64_t problem, const char *question) {
    store_problem p = {problem, "train:1", question, "42"};
    OK(store_add_problem(f->s, &p, &error));
}

/* A tree that the synthetic policy grew, with one pair where `paired`. */
static inline void add_search(fixture *f, int64_t iteration, int64_t ordinal, uint64_t seed, bool paired,
                              const char *text) {
    search_config config = f->recipe->search.config;
    synthetic *y = synthetic_run(&config, seed);
    int32_t prompt[] = {1, 2, 3};
    store_tree t = {.iteration = iteration,
                    .ordinal = ordinal,
                    .problem = ordinal % 7,
                    .prompt_ids = prompt,
                    .prompt_count = 3,
                    .final_node = search_top(y->s),
                    .outcome = search_node_at(y->s, search_top(y->s)).O,
                    .simulations = search_stats_of(y->s).simulations,
                    .tokens_sampled = 100,
                    .tokens_judged = 50,
                    .tokens_computed = 300};
    OK(store_add_tree(f->s, &t, &error));
    int32_t n = search_node_count(y->s);
    store_node *rows = MEM_ARRAY(store_node, n);
    tree_rows_nodes(y->s, rows);
    for (int32_t i = 0; i < n; i++) rows[i].text = i ? text : "";
    OK(store_add_nodes(f->s, t.tree, rows, n, &error));
    for (int32_t i = 0; i < search_commitment_count(y->s); i++) {
        store_commitment c = tree_rows_commitment(y->s, i, NULL);
        OK(store_add_commitments(f->s, t.tree, &c, 1, &error));
    }
    store_pair pair = {.iteration = iteration,
                       .tree = t.tree,
                       .problem = t.problem,
                       .state = 0,
                       .chosen = 1,
                       .rejected = 2,
                       .prefix_ids = prompt,
                       .chosen_ids = prompt,
                       .rejected_ids = prompt,
                       .prefix_count = 3,
                       .chosen_count = 3,
                       .rejected_count = 2};
    if (paired) OK(store_add_pair(f->s, &pair, &error));
    mem_free(rows);
    synthetic_free(y);
}

static inline json_t *at(const json_t *value, const char *key) {
    json_t *member = json_object_get(value, key);
    if (!member) fail_msg("there is no \"%s\"", key);
    return member;
}

static inline void finish(fixture *f) {
    store_position end = {.phase = STORE_PHASE_DONE, .iteration = 2, .checkpoint = "iteration-2"};
    OK(store_position_set(f->s, &end, &error));
}

#endif
