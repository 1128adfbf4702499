/* Trees that differ in one thing alone are not the same, from either side. */
#include "support.h"

#include "grade/expression.h"

static const expr *node(expr_pool *pool, expr_kind kind, int which, const char *text) {
    const expr *parts[] = {expr_integer(pool, 9), expr_integer(pool, 45)};
    expr *e = (expr *)expr_node(pool, kind, which, parts, 2);
    e->text = text;
    return e;
}

static void test_same(void **state) {
    (void)state;
    expr_pool pool;
    expr_pool_init(&pool);
    const expr *trees[] = {
        node(&pool, EXPR_RATIO, 0, NULL),   node(&pool, EXPR_RATIO, 0, "am"),
        node(&pool, EXPR_RATIO, 0, "pm"),   node(&pool, EXPR_LIST, 0, NULL),
        node(&pool, EXPR_LIST, 1, NULL),    node(&pool, EXPR_RELATION, 0, "<"),
        node(&pool, EXPR_RELATION, 0, "l"), node(&pool, EXPR_SUM, 0, NULL),
    };
    enum { TREES = sizeof trees / sizeof *trees };
    for (int i = 0; i < TREES; i++)
        for (int k = 0; k < TREES; k++) assert_int_equal(expr_same(trees[i], trees[k]), i == k);
    const expr *again = node(&pool, EXPR_RATIO, 0, (char[]){'p', 'm', 0});
    assert_true(expr_same(again, trees[2]));
    expr_pool_free(&pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
