/* Calibrated confidence (docs/method.md 3.5), and values on one scale (2.4b). */
#include "search/confidence.h"

#include "synthetic.h"

static void calibration_is_a_logistic_map(void **state) {
    (void)state;
    const search_calibration none = {.fitted = false, .slope = 7, .start = 0.2};
    const search_calibration same = {.fitted = true, .slope = 1, .start = 0.2};
    const search_calibration map = {.fitted = true, .slope = 0.5, .offset = -1, .start = 0.2};
    double before = -1;
    assert_true(confidence_at_start(&none) == 0.5 && confidence_at_start(&map) == 0.2);
    for (int i = 0; i <= 100; i++) {
        double C = i / 100.0, z = log(C / (1 - C)), want = 1 / (1 + exp(1 - 0.5 * z));
        double got = confidence_calibrated(&map, C);
        assert_true(confidence_calibrated(&none, C) == C);
        assert_true(fabs(confidence_calibrated(&same, C) - C) < 1e-12);
        assert_true(fabs(got - want) < 1e-12);
        assert_true(got > before && got >= 0 && got <= 1);
        before = got;
    }
}

/* Whatever the rule and the calibration: R is O where that is known, and 2 C~ - 1 where it is not. */
static void outcome_has_one_scale(void **state) {
    (void)state;
    int64_t open = 0, known = 0, unknown = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        search_config config = plain_config();
        config.rewards.value = SEARCH_VALUE_OUTCOME;
        config.rewards.judge = seed % 4 != 0;
        if (seed % 2)
            config.calibration =
                (search_calibration){.fitted = true, .slope = 1.5, .offset = -0.5, .start = 0.3};
        synthetic *y = synthetic_run_unknown(&config, seed, 0.3);
        double start = confidence_at_start(&config.calibration);
        assert_true(search_node_at(y->s, 0).R == 2 * start - 1);
        for (int32_t i = 1; i < search_node_count(y->s); i++) {
            search_node n = search_node_at(y->s, i);
            double chance = config.rewards.judge ? confidence_calibrated(&config.calibration, n.C) : start;
            bool told = n.outcome != SEARCH_OPEN && n.outcome != SEARCH_FINISHED_UNKNOWN;
            double want = told ? n.O : 2 * chance - 1;
            assert_true(fabs(n.R - want) < 1e-12);
            assert_true(fabs(n.r - (want - search_node_at(y->s, n.parent).R)) < 1e-12);
            known += told, open += n.outcome == SEARCH_OPEN;
            unknown += n.outcome == SEARCH_FINISHED_UNKNOWN;
        }
        synthetic_free(y);
    }
    assert_true(open > 100 && known > 100 && unknown > 20);
}

/* Whether the tokens are spent when a simulation ends: then it is the last one. */
typedef struct {
    const search *s;
    bool spent;
} spending;

static void see(void *user, const search_simulation *simulation) {
    spending *w = user;
    (void)simulation;
    assert_false(w->spent);
    int64_t tokens = search_stats_of(w->s).tokens;
    for (int32_t i = 0; i < search_node_count(w->s); i++) tokens += search_node_at(w->s, i).n;
    w->spent = tokens >= search_config_of(w->s)->limits.tokens;
}

static void tokens_of_a_tree_are_limited(void **state) {
    (void)state;
    int64_t spent = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        search_config config = plain_config();
        config.rewards.judge = true;
        config.limits.tokens = 60;
        synthetic *y = synthetic_new(&config, seed);
        spending w = {.s = y->s};
        search_watch(y->s, see, &w);
        while (synthetic_step(y)) {
        }
        spent += w.spent;
        synthetic_free(y);
    }
    assert_true(spent > 20);
}

/* A judge that is off is asked all the same, and counts for nothing, whatever it says: every number of the
 * tree but C is that of a search without a judge. */
static void a_judge_that_is_off_has_no_weight(void **state) {
    (void)state;
    int64_t judged = 0;
    for (uint64_t seed = 0; seed < 80; seed++) {
        search_config off = plain_config(), without = off;
        off.rewards.value = without.rewards.value = seed % 2 ? SEARCH_VALUE_OUTCOME : SEARCH_VALUE_SUM;
        if (seed % 4 > 1) {
            esp_error error;
            assert_int_equal(search_config_set(&off, "rule", "widening", &error), ESP_OK);
            assert_int_equal(search_config_set(&off, "stop_below", "0.9", &error), ESP_OK);
            without.rule = off.rule, without.rule_options = off.rule_options;
        }
        off.calibration = (search_calibration){.fitted = seed % 8 > 3, .off = true, .slope = 2, .start = 0.4};
        without.calibration = (search_calibration){.fitted = true, .start = 0.4};
        off.rewards.judge = true, without.rewards.judge = false;
        synthetic *a = synthetic_run_unknown(&off, seed, 0.2),
                  *b = synthetic_run_unknown(&without, seed, 0.2);
        assert_int_equal(search_node_count(a->s), search_node_count(b->s));
        for (int32_t i = 0; i < search_node_count(a->s); i++) {
            search_node x = search_node_at(a->s, i), y = search_node_at(b->s, i);
            assert_true(x.parent == y.parent && x.N == y.N && x.Q == y.Q && x.R == y.R);
            judged += x.C > 0 && y.C == 0;
        }
        synthetic_free(a);
        synthetic_free(b);
    }
    assert_true(judged > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calibration_is_a_logistic_map), cmocka_unit_test(outcome_has_one_scale),
        cmocka_unit_test(a_judge_that_is_off_has_no_weight), cmocka_unit_test(tokens_of_a_tree_are_limited)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
