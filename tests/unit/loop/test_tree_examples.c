/* What is read off a stored tree for policy gradients and lists, from a tree whose numbers were worked out by
 * hand. */
#include "support.h"

#include "base/file.h"
#include "loop/tree_examples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static esp_error error;

static void near(double got, double want, const char *what) {
    if (!(fabs(got - want) <= 1e-12)) fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

/* ---- a stored tree ---- */

enum { PROMPT = 3, NODES = 9 };
#define PROBED(n) ((uint32_t)(n) << STORE_NODE_PROBED_SHIFT)

/*      0
 *      +- 1, of 2 ids: six of the eight sampled chains
 *      |  +- 3, of 1 id: correct, four chains
 *      |  +- 4, of 3 ids: incorrect, one chain
 *      |  +- 5, of 1 id: could not be judged, one chain
 *      +- 2, of 1 id: the other two
 *      |  +- 6, of 2 ids: cut, which counts as incorrect, two chains
 *      |  +- 7, of 1 id: correct, found by the search afterwards
 *      +- 8, of 1 id: never gone through */
static const store_node tree_nodes[NODES] = {
    {.index = 0, .parent = -1},
    {.index = 1, .parent = 0, .depth = 1, .count = 2, .flags = PROBED(6)},
    {.index = 2, .parent = 0, .depth = 1, .count = 1, .flags = PROBED(2)},
    {.index = 3, .parent = 1, .depth = 2, .count = 1, .outcome = 1, .flags = STORE_NODE_FINISHED | PROBED(4)},
    {.index = 4,
     .parent = 1,
     .depth = 2,
     .count = 3,
     .outcome = -1,
     .flags = STORE_NODE_FINISHED | PROBED(1)},
    {.index = 5,
     .parent = 1,
     .depth = 2,
     .count = 1,
     .flags = STORE_NODE_FINISHED | STORE_NODE_UNKNOWN | PROBED(1)},
    {.index = 6, .parent = 2, .depth = 2, .count = 2, .outcome = -1, .flags = STORE_NODE_CUT | PROBED(2)},
    {.index = 7, .parent = 2, .depth = 2, .count = 1, .outcome = 1, .flags = STORE_NODE_FINISHED},
    {.index = 8, .parent = 0, .depth = 1, .count = 1},
};

/* Ids 100 n, 100 n + 1, ... and log-probs -n/8, -n/8 - 1/64, ... of node n. */
static void add_tree(store *s, const store_node *nodes, int64_t ordinal) {
    static const int32_t prompt[PROMPT] = {7, 8, 9};
    int32_t ids[NODES][4];
    float logprobs[NODES][4];
    store_node rows[NODES];
    store_tree tree = {.iteration = 1,
                       .ordinal = ordinal,
                       .problem = ordinal,
                       .prompt_ids = prompt,
                       .prompt_count = PROMPT,
                       .final_node = 3,
                       .outcome = 1};
    memcpy(rows, nodes, sizeof rows);
    for (int n = 0; n < NODES; n++) {
        for (int i = 0; i < 4; i++) {
            ids[n][i] = 100 * n + i;
            logprobs[n][i] = -(float)n / 8 - (float)i / 64;
            rows[n].logprob += i < rows[n].count ? (double)logprobs[n][i] : 0;
        }
        rows[n].ids = ids[n];
        rows[n].logprobs = n == 0 ? NULL : logprobs[n];
        bool finished = nodes[n].flags & STORE_NODE_FINISHED, unknown = nodes[n].flags & STORE_NODE_UNKNOWN;
        tree.finished += finished;
        tree.unknown += unknown;
        tree.right += finished && nodes[n].outcome > 0;
    }
    OK(store_add_problem(s, &(store_problem){ordinal, NULL, "How many?", "4"}, &error));
    OK(store_add_tree(s, &tree, &error));
    OK(store_add_nodes(s, tree.tree, rows, NODES, &error));
}

typedef struct {
    char *folder;
    store *s;
    option_space options;
    objective_term term;
    tree_examples examples;
} fixture;

/* count trees of tree_nodes; then what an objective learns from them. */
static void read_trees(fixture *f, const char *name, int count, int64_t max_length) {
    const char *base = getenv("TMPDIR");
    f->folder = path_join(base && *base ? base : P_tmpdir, "espalier-tree-examples-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    OK(store_open(&f->s, f->folder, STORE_CREATE, &error));
    for (int i = 0; i < count; i++) add_tree(f->s, tree_nodes, i);
    for (int i = 0; objective_at(i); i++)
        if (strcmp(objective_name(i), name) == 0) f->term.of = objective_at(i);
    assert_non_null(f->term.of);
    options_defaults(f->term.of->options, &f->options);
    f->term.options = &f->options;
    tree_examples_options options = {.term = &f->term, .max_length = max_length, .reference_sampled = true};
    OK(tree_examples_gather(f->s, 1, &options, &f->examples, &error));
}

static void done(fixture *f) {
    tree_examples_free(&f->examples);
    store_close(f->s);
    OK(folder_remove(f->folder, &error));
    mem_free(f->folder);
}

/* The ids of a path, as the prompt and the ids of these nodes, -1 at the end; the last `tail` nodes are it.
 */
static void check_path(const learn_path *p, const int *nodes, int tail) {
    int32_t ids[32] = {7, 8, 9};
    float sampled[32];
    int64_t n = PROMPT, first = n, count = 0;
    while (nodes[count] >= 0) count++;
    for (int64_t k = 0; k < count; k++) {
        if (k == count - tail) first = n;
        for (int64_t i = 0; i < tree_nodes[nodes[k]].count; i++, n++) {
            ids[n] = 100 * nodes[k] + (int32_t)i;
            sampled[n] = -(float)nodes[k] / 8 - (float)i / 64;
        }
    }
    assert_int_equal(p->prefix_count, first);
    assert_int_equal(p->tail_count, n - first);
    assert_memory_equal(p->prefix, ids, (size_t)first * 4);
    assert_memory_equal(p->tail, ids + first, (size_t)(n - first) * 4);
    assert_memory_equal(p->sampled, sampled + first, (size_t)(n - first) * 4);
    double sum = 0;
    for (int64_t i = first; i < n; i++) sum += (double)sampled[i];
    near(p->reference, sum, "reference");
}

/* ---- groups ---- */

/* Seven chains were judged or cut: four correct, one incorrect, two cut. */
static void groups(void **state) {
    (void)state;
    fixture f = {.s = NULL};
    read_trees(&f, "rloo", 2, 100);
    assert_int_equal(f.examples.count, 14);
    assert_int_equal(f.examples.level + f.examples.too_long, 0);
    const int paths[][3] = {{1, 3, -1}, {1, 3, -1}, {1, 3, -1}, {1, 3, -1},
                            {1, 4, -1}, {2, 6, -1}, {2, 6, -1}};
    for (int i = 0; i < 14; i++) {
        const example *e = &f.examples.at[i];
        check_path(&e->path[0], paths[i % 7], 2);
        near(e->advantage, i % 7 < 4 ? 1 + 0.0 : -1 - 1.0 / 3, "advantage");
        assert_ptr_equal(e->term, &f.term);
        assert_int_equal(e->group == f.examples.at[0].group, i < 7);
    }
    done(&f);
}

/* Too long ones count for the others' advantages. */
static void long_chains(void **state) {
    (void)state;
    fixture f = {.s = NULL};
    read_trees(&f, "rloo", 1, PROMPT + 4);
    assert_int_equal(f.examples.count, 6);
    assert_int_equal(f.examples.too_long, 1);
    near(f.examples.at[0].advantage, 1, "advantage");
    done(&f);
}

/* Chains of one reward teach nothing. */
static void level_groups(void **state) {
    (void)state;
    fixture f = {.s = NULL};
    read_trees(&f, "grpo", 0, 100);
    store_node nodes[NODES];
    memcpy(nodes, tree_nodes, sizeof nodes);
    nodes[4].outcome = nodes[6].outcome = 1;
    add_tree(f.s, nodes, 1);
    tree_examples_free(&f.examples);
    tree_examples_options options = {.term = &f.term, .max_length = 100};
    OK(tree_examples_gather(f.s, 1, &options, &f.examples, &error));
    assert_int_equal(f.examples.count, 0);
    assert_int_equal(f.examples.level, 7);
    done(&f);
}

/* Rows that are no tree are refused. */
static void not_a_tree(void **state) {
    (void)state;
    fixture f = {.s = NULL};
    read_trees(&f, "grpo", 1, 100);
    store_node nodes[NODES];
    memcpy(nodes, tree_nodes, sizeof nodes);
    nodes[3].parent = 8;
    add_tree(f.s, nodes, 1);
    tree_examples again;
    tree_examples_options options = {.term = &f.term, .max_length = 100};
    assert_int_equal(tree_examples_gather(f.s, 1, &options, &again, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "of iteration 1 are no tree"));
    assert_null(again.memory);
    done(&f);
}

/* ---- values ---- */

/* docs/method.md 4.4 by hand. Judged chains of the iteration: 2 of 3 correct. Evidence: node 1 has one
 * correct and one incorrect chain, node 2 the same, the root two of each. */
static const double V0 = (2 + 2.0 / 3) / 5;
static double value_of(int node) {
    double below_root = (1 + V0) / 3;
    switch (node) {
    case 1:
    case 2:
        return below_root;
    case 3:
    case 7:
        return (1 + below_root) / 2;
    default:
        return below_root / 2; /* 4 and 6 */
    }
}

static void steps(void **state) {
    (void)state;
    fixture f = {.s = NULL};
    read_trees(&f, "tree_pg", 1, 100);
    /* Nodes 1 and 2 change the value from 8/15 to 23/45, by 0.0222; node 5 and 8 have no judged chain. */
    const int nodes[] = {1, 2, 3, 4, 6, 7}, chains[] = {2, 2, 1, 1, 1, 1};
    const int ways[][3] = {{1, -1}, {2, -1}, {1, 3, -1}, {1, 4, -1}, {2, 6, -1}, {2, 7, -1}};
    assert_int_equal(f.examples.count, 6);
    for (int i = 0; i < 6; i++) {
        const example *e = &f.examples.at[i];
        int parent = (int)tree_nodes[nodes[i]].parent;
        check_path(&e->path[0], ways[i], 1);
        near(e->advantage, (value_of(nodes[i]) - (parent ? value_of(parent) : V0)) * sqrt(chains[i]),
             "advantage");
    }
    assert_int_equal(f.examples.level, 0);
    done(&f);
}

static void states(void **state) {
    (void)state;
    fixture f = {.s = NULL};
    read_trees(&f, "listwise", 1, 100);
    /* After the root both steps have the same value. */
    assert_int_equal(f.examples.level, 1);
    assert_int_equal(f.examples.count, 2);
    const int ways[2][2][3] = {{{1, 3, -1}, {1, 4, -1}}, {{2, 6, -1}, {2, 7, -1}}};
    for (int i = 0; i < 2; i++) {
        const example *e = &f.examples.at[i];
        assert_int_equal(e->path_count, 2);
        for (int k = 0; k < 2; k++) {
            check_path(&e->path[k], ways[i][k], 1);
            near(e->path[k].value, value_of(ways[i][k][1]), "value");
        }
    }
    done(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups),     cmocka_unit_test(long_chains), cmocka_unit_test(level_groups),
        cmocka_unit_test(not_a_tree), cmocka_unit_test(steps),       cmocka_unit_test(states),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
