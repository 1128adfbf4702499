/* The trees of a report: their replays have the search's own numbers; and which of them are included. */
#include "made_run.h"

#include "view/replay.h"

#include <time.h>

/* A tree whose nodes are nobody's search: only its size matters. */
static void add_tree_of(fixture *f, int64_t iteration, int64_t ordinal, int64_t nodes) {
    int32_t ids[20] = {1};
    store_tree t = {.iteration = iteration,
                    .ordinal = ordinal,
                    .problem = ordinal % 7,
                    .prompt_ids = ids,
                    .prompt_count = 20,
                    .final_node = 3,
                    .outcome = 1,
                    .simulations = 60};
    OK(store_add_tree(f->s, &t, &error));
    store_node *rows = MEM_ARRAY(store_node, nodes);
    char(*texts)[80] = mem_alloc(sizeof *texts * (size_t)nodes);
    for (int64_t i = 0; i < nodes; i++) {
        double x = rng_uniform(rng_mix(rng_key((uint64_t)t.tree), (uint64_t)i), 0);
        snprintf(texts[i], sizeof texts[i],
                 "Then she has %04d apples and gives %04d to the others, so %05d.\n", (int)(x * 9999),
                 (int)(x * 7777), (int)(x * 99999));
        rows[i] = (store_node){.index = i,
                               .parent = i ? (i - 1) / 3 : -1,
                               .depth = i ? 1 : 0,
                               .ids = ids,
                               .count = 16,
                               .visits = (int64_t)(x * 50),
                               .logprob = -20 * x,
                               .q = 2 * x - 1,
                               .v = x - 0.7123456789,
                               .r = x,
                               .prior = x,
                               .confidence = x,
                               .outcome = 0,
                               .flags = STORE_NODE_JUDGED,
                               .text = texts[i]};
    }
    OK(store_add_nodes(f->s, t.tree, rows, nodes, &error));
    mem_free(rows);
    mem_free(texts);
}

/* Column `name` of a node in the document. */
static double cell(const json_t *d, const json_t *node, const char *name) {
    const json_t *columns = at(d, "tree_columns");
    size_t i = 0;
    while (strcmp(json_string_value(json_array_get(columns, i)), name) != 0) i++;
    return json_number_value(json_array_get(node, i));
}

/* A row of a replay changes the page's N and Q to what they were before: those of the search. */
static void take_back(const json_t *row, const replay *r, int64_t index, const store_node *nodes, double *N,
                      double *Q) {
    const replay_moment *m = &r->moments.at[index];
    size_t used = 3;
    assert_int_equal(json_integer_value(json_array_get(row, 0)), m->simulation.root);
    assert_int_equal(json_integer_value(json_array_get(row, 1)), m->simulation.leaf);
    assert_int_equal(json_integer_value(json_array_get(row, 2)), m->simulation.new_count);
    int64_t node = m->simulation.leaf;
    for (int64_t i = 0; i < m->count; i++, node = nodes[node].parent) {
        while (node >= m->simulation.first_new) node = nodes[node].parent;
        const json_t *change = json_array_get(row, used++);
        bool both = json_is_array(change);
        N[node] -= both ? json_number_value(json_array_get(change, 0)) : 1;
        Q[node] -= json_number_value(both ? json_array_get(change, 1) : change);
        assert_true(N[node] == (double)r->changes.at[m->first + i].before.N);
        assert_true(fabs(Q[node] / 1000 - r->changes.at[m->first + i].before.Q) < 5.1e-4);
    }
    assert_int_equal(used, json_array_size(row));
}

static void check_replay(const fixture *f, const json_t *d, const json_t *tree) {
    store_nodes nodes = {0};
    replay r = {0};
    OK(store_read_nodes(f->s, json_integer_value(at(tree, "tree")), &nodes, &error));
    assert_true(replay_tree(&r, &f->recipe->search.config, rng_key(1), nodes.at, nodes.count));
    double *N = MEM_ARRAY(double, nodes.count), *Q = MEM_ARRAY(double, nodes.count);
    for (int64_t i = 0; i < nodes.count; i++) {
        const json_t *node = json_array_get(at(tree, "nodes"), (size_t)i);
        N[i] = cell(d, node, "N");
        Q[i] = floor(1000 * cell(d, node, "Q") + 0.5); /* as the page begins */
    }
    assert_int_equal(json_array_size(at(tree, "replay")), r.moments.count);
    for (int64_t i = r.moments.count - 1; i >= 0; i--)
        take_back(json_array_get(at(tree, "replay"), (size_t)i), &r, i, nodes.at, N, Q);
    assert_true(N[0] == 0 && Q[0] == 0);
    mem_free(N);
    mem_free(Q);
    replay_free(&r);
    STORE_LIST_FREE(&nodes);
}

static void replays_are_those_of_the_search(void **state) {
    (void)state;
    const char *const recipes[] = {
        "search: {simulations: 9, root_probe: 0}", "search: {simulations: 5, root_probe: 3, gamma: 0.9}",
        "search: {simulations: 9, root_probe: 0, root_counts_twice: true, unvisited_counts_one: true}"};
    for (size_t k = 0; k < sizeof recipes / sizeof *recipes; k++) {
        fixture f = fixture_new(recipes[k]);
        for (int i = 0; i < 6; i++) add_search(&f, 1, i, (uint64_t)i, i < 3, "a step");
        json_t *d = document_of(&f, -1, NULL), *tree;
        size_t i;
        assert_int_equal(json_array_size(at(d, "trees")), 6);
        json_array_foreach(at(d, "trees"), i, tree) check_replay(&f, d, tree);
        json_decref(d);
        fixture_free(&f);
    }
}

static void trees_per_iteration(json_t *d, int64_t *counts, int n) {
    size_t i;
    json_t *one;
    memset(counts, 0, sizeof *counts * (size_t)n);
    json_array_foreach(at(d, "trees"), i, one) {
        int64_t iteration = json_integer_value(at(one, "iteration"));
        assert_in_range(iteration, 1, n);
        counts[iteration - 1]++;
    }
}

static void five_hundred_trees_fit(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}");
    for (int i = 0; i < 7; i++)
        add_problem(&f, i, "She has some apples and gives some away. How many are left?");
    OK(store_begin(f.s, &error));
    for (int i = 0; i < 500; i++) add_tree_of(&f, 1 + i / 50, i, 200);
    OK(store_commit(f.s, &error));
    report_options options = {.run = f.folder, .trees = -1};
    report_result result;
    clock_t start = clock(); /* of the processor: the machine may be busy with other things */
    OK(report_write(&options, &result, &error));
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    print_message("500 trees of 200 nodes: %.2f MB, %.2f s\n", (double)result.bytes / 1e6, seconds);
    assert_int_equal(result.trees, 500);
    assert_true(result.bytes < 15000000);
    assert_true(seconds < 10); /* less than one; sanitizers take their time */
    /* three times as many: under the same limit, the iterations alike in number */
    OK(store_begin(f.s, &error));
    for (int i = 500; i < 1500; i++) add_tree_of(&f, 1 + i % 10, 1000 + i, 200);
    OK(store_commit(f.s, &error));
    OK(report_write(&options, &result, &error));
    assert_true(result.bytes < 15000000 && result.bytes > 14000000);
    assert_int_equal(result.trees + result.trees_left_out, 1500);
    assert_true(result.trees_left_out > 700);
    json_t *d = document_of(&f, -1, NULL);
    int64_t counts[10];
    trees_per_iteration(d, counts, 10);
    for (int i = 0; i < 10; i++) assert_in_range(counts[i], result.trees / 10, result.trees / 10 + 1);
    assert_int_equal(json_integer_value(at(d, "trees_left_out")), result.trees_left_out);
    json_decref(d);
    fixture_free(&f);
}

static void few_trees_are_spread_and_have_pairs(void **state) {
    (void)state;
    fixture f = fixture_new("run: {seed: 3}\nsearch: {simulations: 2}");
    add_problem(&f, 0, "?");
    for (int i = 0; i < 45; i++) add_search(&f, 1 + i / 5, i, (uint64_t)i, i % 5 == 3, "s");
    json_t *d = document_of(&f, 3, NULL);
    int64_t counts[9], wanted[] = {1, 0, 0, 0, 1, 0, 0, 0, 1};
    trees_per_iteration(d, counts, 9);
    assert_memory_equal(counts, wanted, sizeof counts); /* the first, the middle, the last */
    size_t i;
    json_t *one;
    json_array_foreach(at(d, "trees"), i, one) assert_int_equal(json_array_size(at(one, "pairs")), 1);
    json_decref(d);
    d = document_of(&f, 18, NULL);
    trees_per_iteration(d, counts, 9);
    for (int k = 0; k < 9; k++) assert_int_equal(counts[k], 2);
    json_decref(d);
    d = document_of(&f, 0, NULL);
    assert_int_equal(json_array_size(at(d, "trees")), 0);
    assert_int_equal(json_integer_value(at(d, "trees_left_out")), 45);
    json_decref(d);
    fixture_free(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replays_are_those_of_the_search),
        cmocka_unit_test(five_hundred_trees_fit),
        cmocka_unit_test(few_trees_are_spread_and_have_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
