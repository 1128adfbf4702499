/* The problems that an iteration searches (docs/method.md 1.4). */
#include "loop/choice.h"

#include "base/memory.h"

#include "support.h"

#include <math.h>
#include <string.h>

enum { PROBLEMS = 60 };

static choice_settings settings_of(int64_t iteration) {
    return (choice_settings){.problems = PROBLEMS, .per_iteration = 20, .seed = 7, .iteration = iteration};
}

/* The problems at the places 0 .. n - 1. */
static void read_order(choice *c, int64_t n, int64_t *out) {
    for (int64_t i = 0; i < n; i++) {
        int64_t turn;
        out[i] = choice_at(c, i, &turn);
        assert_int_equal(turn, c->learnable ? i / PROBLEMS
                                            : ((c->set.iteration - 1) * 20 + i) / PROBLEMS -
                                                  (c->set.iteration - 1) * 20 / PROBLEMS);
    }
}

static bool is_among(const int64_t *list, int64_t n, int64_t problem) {
    for (int64_t i = 0; i < n; i++)
        if (list[i] == problem) return true;
    return false;
}

static void each_epoch_of_the_shuffle_has_all_problems(void **state) {
    (void)state;
    int64_t seen[PROBLEMS], found = 0;
    for (int64_t iteration = 1; iteration <= 3; iteration++) {
        choice_settings set = settings_of(iteration);
        choice c;
        choice_shuffle(&c, &set);
        read_order(&c, 20, seen + found);
        found += 20;
        choice_free(&c);
    }
    for (int64_t p = 0; p < PROBLEMS; p++) assert_true(is_among(seen, found, p));
}

/* Random trees of `iterations` iterations; problems 0 .. 9 are solved half of the time, the others never. */
static int64_t random_trees(choice_evidence *out, int64_t iterations, uint64_t seed) {
    int64_t n = 0;
    for (int64_t i = 1; i <= iterations; i++)
        for (int64_t p = 0; p < PROBLEMS; p++) {
            rng_key_t key = rng_mix(rng_mix(rng_key(seed), (uint64_t)i), (uint64_t)p);
            if (rng_uniform(key, 0) < 0.5) continue;
            out[n++] = (choice_evidence){i, p, p < 10 ? 2 : 0, 2};
        }
    return n;
}

static void an_order_has_each_problem_once_and_is_a_function_of_the_past(void **state) {
    (void)state;
    choice_evidence trees[8 * PROBLEMS];
    for (uint64_t seed = 0; seed < 20; seed++)
        for (int64_t iteration = 1; iteration <= 6; iteration++) {
            int64_t n = random_trees(trees, 8, seed), past = 0, first[2 * PROBLEMS], again[2 * PROBLEMS];
            while (past < n && trees[past].iteration < iteration) past++;
            choice_settings set = settings_of(iteration);
            choice c;
            choice_learnable(&c, &set, trees, past);
            read_order(&c, 2 * PROBLEMS, first);
            choice_free(&c);
            choice_learnable(&c, &set, trees, n); /* trees of later iterations are not looked at */
            read_order(&c, 2 * PROBLEMS, again);
            choice_free(&c);
            assert_memory_equal(first, again, sizeof first);
            for (int64_t p = 0; p < PROBLEMS; p++) assert_true(is_among(first, PROBLEMS, p));
            assert_memory_equal(first, first + PROBLEMS, sizeof first / 2);
        }
}

/* What is solved now and then comes first; one problem in ten is from the shuffle. */
static void learnable_problems_come_first(void **state) {
    (void)state;
    choice_evidence trees[PROBLEMS];
    for (int64_t p = 0; p < PROBLEMS; p++) /* 0 .. 8 mixed, 9 .. 29 always right, the others never */
        trees[p] = (choice_evidence){1, p, p < 9 ? 2 : p < 30 ? 4 : 0, p < 9 ? 2 : p < 30 ? 0 : 4};
    choice_settings set = settings_of(2);
    choice c;
    int64_t order[20];
    choice_learnable(&c, &set, trees, PROBLEMS);
    read_order(&c, 20, order);
    choice_free(&c);
    for (int64_t p = 0; p < 9; p++) assert_true(is_among(order, 9, p));
}

/* The order by score for some evidence, without its noise: the place of `better` is before that of `worse`
 * in nearly all seeds. */
static void assert_before(const choice_evidence *trees, int64_t n, int64_t iteration, int64_t better,
                          int64_t worse) {
    int before = 0;
    for (int64_t seed = 0; seed < 200; seed++) {
        choice_settings set = settings_of(iteration);
        set.seed = seed;
        choice c;
        choice_learnable(&c, &set, trees, n);
        int64_t order[PROBLEMS], at[2] = {0};
        read_order(&c, PROBLEMS, order);
        for (int64_t i = 0; i < PROBLEMS; i++)
            if (order[i] == better || order[i] == worse) at[order[i] == worse] = i;
        before += at[0] < at[1];
        choice_free(&c);
    }
    if (before < 170) fail_msg("%d of 200", before);
}

static void evidence_fades_while_a_problem_is_not_drawn(void **state) {
    (void)state;
    choice_evidence trees[40];
    int64_t n = 0;
    /* The pool is even, so that the mean is 1/2: fresh problems score 1/6, the known one 5 * 1 / (6 * 7). */
    trees[n++] = (choice_evidence){1, 0, 4, 0};
    trees[n++] = (choice_evidence){1, 1, 0, 4};
    assert_before(trees, n, 2, 5, 0);
    /* Ten iterations later what was known is forgotten, and problem 2, half right, is drawn each time. */
    for (int64_t i = 2; i < 12; i++) trees[n++] = (choice_evidence){i, 2, 1, 1};
    assert_before(trees, n, 12, 2, 0);
}

static void known_problems_rest(void **state) {
    (void)state;
    choice_evidence trees[4 * PROBLEMS];
    int64_t n = 0, order[PROBLEMS];
    for (int64_t i = 1; i <= 2; i++) /* 0 has 50 correct chains: E[q] > 0.95 */
        for (int64_t p = 0; p < PROBLEMS; p++) trees[n++] = (choice_evidence){i, p, p == 0 ? 50 : 1, 1 - !p};
    for (int64_t iteration = 2; iteration <= 6; iteration++) {
        int last = 0;
        for (int64_t seed = 0; seed < 50; seed++) {
            choice_settings set = settings_of(iteration);
            set.seed = seed;
            choice c;
            choice_learnable(&c, &set, trees, n);
            read_order(&c, PROBLEMS, order);
            choice_free(&c);
            last += order[PROBLEMS - 1] == 0;
        }
        if (iteration >= 3 && iteration <= 5)
            assert_int_equal(last, 50);
        else
            assert_true(last < 50);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_epoch_of_the_shuffle_has_all_problems),
        cmocka_unit_test(an_order_has_each_problem_once_and_is_a_function_of_the_past),
        cmocka_unit_test(learnable_problems_come_first),
        cmocka_unit_test(evidence_fades_while_a_problem_is_not_drawn), cmocka_unit_test(known_problems_rest)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
