/* Rows of trees for the judge: labels by what came of a node, how sure they are, and which are taken. */
#include "support.h"

#include "loop/judge_rows_trees.h"

#include <string.h>

static const uint32_t judged = STORE_NODE_JUDGED, finished = STORE_NODE_JUDGED | STORE_NODE_FINISHED,
                      cut = STORE_NODE_JUDGED | STORE_NODE_CUT;

#define TREE(number) (&(store_tree){.tree = number, .problem = 10 + number})

/* Node 1 has three chains below it, two of them correct; 5 is as often one as the other; 8 was cut at no
 * price, 9 was cut and that counts as incorrect; 10 was never judged. */
static const store_node nodes[] = {
    {.index = 0, .parent = -1},
    {.index = 1, .parent = 0, .flags = judged},
    {.index = 2, .parent = 1, .flags = finished, .outcome = 1},
    {.index = 3, .parent = 1, .flags = finished, .outcome = -1},
    {.index = 4, .parent = 1, .flags = finished, .outcome = 1},
    {.index = 5, .parent = 0, .flags = judged},
    {.index = 6, .parent = 5, .flags = finished, .outcome = 1},
    {.index = 7, .parent = 5, .flags = finished, .outcome = -1},
    {.index = 8, .parent = 0, .flags = cut},
    {.index = 9, .parent = 0, .flags = cut, .outcome = -1},
    {.index = 10, .parent = 0, .flags = STORE_NODE_FINISHED, .outcome = 1},
};
enum { NODES = sizeof nodes / sizeof *nodes };

static void labels_by_what_came_of_it(void **state) {
    (void)state;
    const struct {
        int64_t node;
        bool right;
        double alpha;
    } want[] = {{1, true, 2.0 / 5}, {2, true, 0},  {3, false, 0},      {4, true, 0},
                {6, true, 0},       {7, false, 0}, {9, false, 1.0 / 3}};
    tree_row_list rows = {0};
    tree_rows_label(TREE(4), nodes, NODES, rng_key(1), &rows);
    assert_int_equal(rows.count, sizeof want / sizeof *want);
    for (int64_t i = 0; i < rows.count; i++) {
        assert_int_equal(rows.at[i].node, want[i].node);
        assert_int_equal(rows.at[i].right, want[i].right);
        assert_float_equal(rows.at[i].alpha, want[i].alpha, 1e-12);
        assert_int_equal(rows.at[i].tree, 4);
        assert_int_equal(rows.at[i].problem, 14);
    }
    MEM_LIST_FREE(&rows);
}

/* Rows of a problem: `right` correct and `wrong` incorrect ones. */
static void add(tree_row_list *rows, int64_t problem, int right, int wrong) {
    for (int i = 0; i < right + wrong; i++)
        MEM_LIST_PUSH(rows, ((tree_row){.tree = problem,
                                        .problem = problem,
                                        .node = 1 + i,
                                        .right = i < right,
                                        .rank = rng_bits(rng_key((uint64_t)problem), (uint64_t)i)}));
}

static void mixed_problems_first_and_balanced(void **state) {
    (void)state;
    for (int64_t most = 1; most <= 6; most++) {
        tree_row_list rows = {0};
        int64_t half = (most + 1) / 2, mixed = 0, taken[2] = {0}, of[40][2] = {{0}};
        for (int64_t p = 0; p < 40; p++) {
            int right = p % 4 == 3 ? 0 : 1 + (int)p % 5,
                wrong = p % 4 == 2 || p % 4 == 1 ? 0 : 1 + (int)p % 3;
            add(&rows, p, right, wrong);
            int64_t less = right < wrong ? right : wrong;
            mixed += less < half ? less : half;
        }
        tree_rows_choose(&rows, most);
        for (int64_t i = 0; i < rows.count; i++) {
            const tree_row *r = &rows.at[i];
            taken[r->right]++;
            of[r->problem][r->right]++;
            assert_int_equal(r->mixed, r->problem % 4 == 0);
            assert_true(i == 0 || r[-1].tree < r->tree || r[-1].node < r->node);
        }
        for (int64_t p = 0; p < 40; p++) {
            if (p % 4 == 0) assert_true(of[p][0] == of[p][1] && of[p][0] >= 1);
            assert_true(of[p][0] <= half && of[p][1] <= half);
        }
        assert_int_equal(taken[0], taken[1]);
        assert_true(taken[0] > mixed && taken[0] <= 2 * mixed);
        MEM_LIST_FREE(&rows);
    }
    /* Without a mixed problem there is nothing but difficulty to learn: no rows. */
    tree_row_list rows = {0};
    add(&rows, 1, 3, 0), add(&rows, 2, 0, 3);
    tree_rows_choose(&rows, 2);
    assert_int_equal(rows.count, 0);
    MEM_LIST_FREE(&rows);
}

static void draws_half_of_either(void **state) {
    (void)state;
    for (int64_t count = 0; count < 30; count++) {
        tree_row_list rows = {0};
        for (int64_t p = 0; p < 10; p++) add(&rows, p, 2, 1);
        tree_rows_draw(&rows, count);
        int64_t right = 0;
        for (int64_t i = 0; i < rows.count; i++) right += rows.at[i].right;
        assert_int_equal(right, count - count / 2 < 20 ? count - count / 2 : 20);
        assert_int_equal(rows.count - right, count / 2 < 10 ? count / 2 : 10);
        MEM_LIST_FREE(&rows);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_by_what_came_of_it),
        cmocka_unit_test(mixed_problems_first_and_balanced),
        cmocka_unit_test(draws_half_of_either),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
