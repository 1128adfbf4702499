/* Values from evidence (docs/method.md 4.4), against a plain second implementation on random trees. */
#include "search/evidence.h"

#include "base/random.h"

#include "support.h"

#include <math.h>
#include <stdbool.h>

enum { MOST = 40 };

typedef struct {
    int32_t parents[MOST], count;
    int signs[MOST];
} random_tree;

static random_tree tree_of(uint64_t seed) {
    rng_key_t key = rng_key(seed);
    random_tree t = {.count = 1 + (int32_t)rng_below(key, 0, MOST)};
    t.parents[0] = -1;
    for (int32_t i = 0; i < t.count; i++) {
        if (i > 0) t.parents[i] = (int32_t)rng_below(key, 100 + (uint64_t)i, (uint64_t)i);
        t.signs[i] = (int)rng_below(key, 200 + (uint64_t)i, 3) - 1;
    }
    return t;
}

static bool is_below(const random_tree *t, int32_t node, int32_t above) {
    for (int32_t a = node; a >= 0; a = t->parents[a])
        if (a == above) return true;
    return false;
}

/* The formula as it is written, each node by itself from the root down to it. */
static double value_at(const random_tree *t, int32_t node, double mean) {
    double above = node == 0 ? mean : value_at(t, t->parents[node], mean), right = 0, wrong = 0;
    for (int32_t i = 0; i < t->count; i++)
        if (is_below(t, i, node)) right += t->signs[i] > 0, wrong += t->signs[i] < 0;
    return (right + above) / (right + wrong + 1);
}

static void values_shrink_to_the_parent(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        random_tree t = tree_of(seed);
        evidence of[MOST];
        double values[MOST], mean = (double)(seed % 11) / 10;
        for (int32_t i = 0; i < t.count; i++) of[i] = evidence_of_sign(t.signs[i]);
        evidence_gather(t.parents, t.count, of);
        evidence_values(t.parents, of, t.count, mean, values);
        for (int32_t i = 0; i < t.count; i++) {
            double above = i == 0 ? mean : values[t.parents[i]];
            assert_true(fabs(values[i] - value_at(&t, i, mean)) < 1e-12);
            assert_true(values[i] >= 0 && values[i] <= 1);
            if (of[i].right + of[i].wrong == 0) assert_true(values[i] == above);
            if (of[i].right == 0 && of[i].wrong > 0 && above > 0) assert_true(values[i] < above);
            if (of[i].wrong == 0 && of[i].right > 0 && above < 1) assert_true(values[i] > above);
        }
    }
}

/* Two first steps, one with a correct chain and one with two incorrect ones; the root's mean is 1/2. */
static void values_of_a_small_tree(void **state) {
    (void)state;
    const int32_t parents[] = {-1, 0, 0, 1, 2, 2};
    const int signs[] = {0, 0, 0, 1, -1, -1};
    evidence of[6];
    double values[6];
    for (int i = 0; i < 6; i++) of[i] = evidence_of_sign(signs[i]);
    evidence_gather(parents, 6, of);
    assert_int_equal(of[0].right, 1);
    assert_int_equal(of[0].wrong, 2);
    evidence_values(parents, of, 6, 0.5, values);
    const double want[] = {1.5 / 4, 1.375 / 2, 0.375 / 3, (1 + 1.375 / 2) / 2, 0.375 / 6, 0.375 / 6};
    for (int i = 0; i < 6; i++) assert_true(fabs(values[i] - want[i]) < 1e-12);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_shrink_to_the_parent),
                                       cmocka_unit_test(values_of_a_small_tree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
