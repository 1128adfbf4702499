/* The judge's confidence, fitted to what came of the nodes, and the judge switched off (docs/method.md 3.5).
 */
#include "eval/confidence_fit.h"

#include "support.h"

#include <math.h>

static double sigma(double x) {
    return 1 / (1 + exp(-x));
}

static void add(judge_scores *scores, double confidence, bool positive, int64_t problem) {
    judge_row row = {.confidence = confidence, .positive = positive, .problem = problem, .family = problem};
    MEM_LIST_PUSH(&scores->rows, row);
}

/* Nodes whose chance is sigma(slope z + offset), `each` of every problem. */
static judge_scores made(double slope, double offset, int64_t n, int64_t each, uint64_t seed) {
    judge_scores scores = {0};
    for (int64_t i = 0; i < n; i++) {
        rng_key_t key = rng_mix(rng_key(seed), (uint64_t)i);
        double z = 8 * rng_uniform(key, 0) - 4;
        add(&scores, sigma(z), rng_uniform(key, 1) < sigma(slope * z + offset), i / each);
    }
    return scores;
}

static search_calibration fitted(const judge_scores *scores, double start) {
    judge_quality figures[JUDGE_KINDS];
    judge_scores_quality(scores, figures);
    return confidence_fit(scores, &figures[JUDGE_ALL].within, start);
}

static void the_map_that_made_the_nodes_is_found(void **state) {
    (void)state;
    const double maps[][2] = {{1, 0}, {0.4, -1}, {2.5, 0.7}, {0.6, 1.5}};
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        judge_scores scores = made(maps[i][0], maps[i][1], 20000, 10, 3 + i);
        search_calibration c = fitted(&scores, 0.25);
        assert_true(c.fitted && !c.off && c.start == 0.25);
        assert_true(fabs(c.slope - maps[i][0]) < 0.08 && fabs(c.offset - maps[i][1]) < 0.08);
        judge_quality before[JUDGE_KINDS], after[JUDGE_KINDS];
        judge_scores_quality(&scores, before);
        confidence_map_scores(&c, &scores);
        judge_scores_quality(&scores, after);
        assert_true(after[JUDGE_ALL].calibration.error < 0.02);
        assert_true(i == 0 || before[JUDGE_ALL].calibration.error > 0.04);
        assert_true(after[JUDGE_ALL].within.share == before[JUDGE_ALL].within.share);
        judge_scores_free(&scores);
    }
}

/* At the minimum the gradient of loss and ridge is 0, also where the nodes are few, all of one class, or
 * separated by C, and where a C is 0 or 1. */
static void the_map_is_a_minimum(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        judge_scores scores = {0};
        rng_key_t key = rng_key(seed);
        int64_t n = 1 + (int64_t)(seed % 12);
        for (int64_t i = 0; i < n; i++) {
            double C = rng_uniform(key, (uint64_t)(2 * i));
            if (seed % 5 == 0 && i < 2) C = (double)i;
            bool positive = seed % 3 == 0   ? true
                            : seed % 3 == 1 ? C > 0.5
                                            : rng_bits(key, (uint64_t)(2 * i + 1)) & 1;
            add(&scores, C, positive, i / 2);
        }
        search_calibration c = fitted(&scores, 0.5);
        double by_slope = 0.01 * c.slope, by_offset = 0.01 * c.offset;
        assert_true(c.fitted && isfinite(c.slope) && isfinite(c.offset));
        for (int64_t i = 0; i < n; i++) {
            double z = confidence_log_odds(scores.rows.at[i].confidence);
            double gap = sigma(c.slope * z + c.offset) - (scores.rows.at[i].positive ? 1 : 0);
            by_slope += gap * z, by_offset += gap;
        }
        assert_true(fabs(by_slope) < 1e-3 && fabs(by_offset) < 1e-3);
        judge_scores_free(&scores);
    }
}

/* On where the bound is above chance, off at chance, when it is turned around, and when too little is known.
 */
static void a_judge_at_chance_is_off(void **state) {
    (void)state;
    judge_scores good = made(1, 0, 400, 8, 1), chance = made(0, 0, 400, 8, 1),
                 turned = made(-1, 0, 400, 8, 1), few = made(1, 0, 4, 4, 1), none = {0};
    const judge_scores *off[] = {&chance, &turned, &few, &none};
    search_calibration c = fitted(&good, 0.5);
    assert_true(!c.off && confidence_calibrated(&c, 0.9) > 0.6);
    for (size_t i = 0; i < sizeof off / sizeof *off; i++) {
        c = fitted(off[i], 0.3);
        assert_true(c.off && confidence_at_start(&c) == 0.3);
        assert_true(confidence_calibrated(&c, 0.9) == 0.3 && confidence_calibrated(&c, 0.1) == 0.3);
        store_calibration row = confidence_row(&c, 4, 7);
        assert_true(row.iteration == 4 && row.nodes == 7 && !row.judged);
        search_calibration back = confidence_of_row(&row);
        assert_true(back.off && back.fitted == c.fitted && back.start == 0.3 && back.slope == c.slope);
    }
    assert_true(!c.fitted);
    judge_scores_free(&good);
    judge_scores_free(&chance);
    judge_scores_free(&turned);
    judge_scores_free(&few);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_map_that_made_the_nodes_is_found),
                                       cmocka_unit_test(the_map_is_a_minimum),
                                       cmocka_unit_test(a_judge_at_chance_is_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
