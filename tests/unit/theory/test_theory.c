/* The tables of docs/theory.md, to the digits that it gives. */
#include "support.h"

#include "theory/theory.h"
#include "theory/two_steps.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { T1, T2, T3, T4, T5, T6, TABLES };

static theory_table tables[TABLES];

static int compute_all(void **state) {
    (void)state;
    for (int i = 0; i < TABLES; i++) theory_compute(i, 1, &tables[i]);
    return 0;
}

static int free_all(void **state) {
    (void)state;
    for (int i = 0; i < TABLES; i++) theory_free(&tables[i]);
    return 0;
}

static const theory_value *find(int table, const char *quantity, const char *at) {
    for (int64_t i = 0; i < tables[table].values.count; i++) {
        const theory_value *v = &tables[table].values.at[i];
        if (strcmp(v->quantity, quantity) == 0 && strcmp(v->at, at) == 0) return v;
    }
    print_error("%s has no %s at %s\n", theory_name(table), quantity, at);
    fail();
    return NULL;
}

/* Whether x rounds to these digits. */
static bool rounds_to(double x, const char *digits) {
    char text[64];
    const char *point = strchr(digits, '.');
    snprintf(text, sizeof text, "%.*f", point ? (int)strlen(point + 1) : 0, x);
    if (strcmp(text, digits) == 0) return true;
    print_error("%.9f is not %s\n", x, digits);
    return false;
}

typedef struct {
    int table;
    const char *quantity, *at, *digits;
} given;

static void the_digits_are_reproduced(void **state) {
    (void)state;
    const char *left = "P(not ruled out)", *h = "h*", *apart = "log-ratio difference (nats)",
               *least = "least loss", *doubt = "doubt by evidence",
               *previous = "pi(correct leaf), reference previous", *sft = "pi(correct leaf), reference sft",
               *ratio = "(1 - pi_next) / (1 - pi), to 1/3", *leaf = "E pi(correct leaf)",
               *solved = "P(all solved)", *offline = "pi(best), offline", *online = "pi(best), on-policy";
    const given all[] = {
        {T1, left, "e = 0.01, M = 20", "0.6703"},
        {T1, left, "e = 0.01, M = 50", "0.3679"},
        {T1, left, "e = 0.001, M = 300", "0.5488"},
        {T1, left, "e = 0.0001, M = 300", "0.9418"},
        {T1, "pairs until one answer is left", "on-policy, n = 8", "8"},
        {T1, "runs that end at the optimum", "on-policy, n = 8", "1"},
        {T2, "alpha", "beta = 0.1, N_w = 3, N_l = 1", "0.25"},
        {T2, h, "beta = 0.1, N_w = 3, N_l = 1", "1.098612"},
        {T2, apart, "beta = 0.1, N_w = 3, N_l = 1", "10.9861"},
        {T2, least, "beta = 0.1, N_w = 3, N_l = 1", "0.562335"},
        {T2, "alpha", "beta = 0.1, N_w = 15, N_l = 5", "0.25"},
        {T2, apart, "beta = 0.1, N_w = 15, N_l = 5", "10.9861"},
        {T2, apart, "beta = 0.5, N_w = 3, N_l = 1", "2.1972"},
        {T2, apart, "beta = 1, N_w = 3, N_l = 1", "1.0986"},
        {T2, "alpha", "beta = 0.1, N_w = 9, N_l = 1", "0.10"},
        {T2, h, "beta = 0.1, N_w = 9, N_l = 1", "2.197225"},
        {T2, apart, "beta = 0.1, N_w = 9, N_l = 1", "21.9722"},
        {T2, least, "beta = 0.1, N_w = 9, N_l = 1", "0.325083"},
        {T2, "alpha", "beta = 0.1, N_w = 1, N_l = 1", "0.50"},
        {T2, least, "beta = 0.1, N_w = 1, N_l = 1", "0.693147"},
        {T3, doubt, "(1, 0; 0, 1)", "0.166667"},
        {T3, doubt, "(2, 0; 0, 2)", "0.050000"},
        {T3, doubt, "(1, 0; 0, 0)", "0.333333"},
        {T3, doubt, "(1, 1; 0, 2)", "0.200000"},
        {T3, doubt, "(3, 1; 1, 3)", "0.103175"},
        {T3, doubt, "(2, 0; 1, 1)", "0.200000"},
        {T3, doubt, "(1, 0; 0, 3)", "0.066667"},
        {T3, doubt, "(0, 0; 0, 0)", "0.500000"},
        {T4, previous, "iteration 0", "0.0081"},
        {T4, previous, "iteration 1", "0.1001"},
        {T4, previous, "iteration 2", "0.3977"},
        {T4, previous, "iteration 3", "0.7178"},
        {T4, previous, "iteration 4", "0.8926"},
        {T4, previous, "iteration 5", "0.9625"},
        {T4, previous, "iteration 6", "0.9873"},
        {T4, previous, "iteration 7", "0.9957"},
        {T4, previous, "iteration 8", "0.9986"},
        {T4, ratio, "iteration 4", "0.3493"},
        {T4, ratio, "iteration 5", "0.3387"},
        {T4, ratio, "iteration 6", "0.3351"},
        {T4, ratio, "iteration 7", "0.3339"},
        {T4, ratio, "iteration 8", "0.3335"},
        {T4, sft, "iteration 0", "0.0081"},
        {T4, sft, "iteration 1", "0.1001"},
        {T4, sft, "iteration 2", "0.1001"},
        {T4, sft, "iteration 3", "0.1001"},
        {T5, leaf, "offline, M = 1", "0.0178"},
        {T5, leaf, "offline, M = 6", "0.0714"},
        {T5, leaf, "offline, M = 12", "0.1209"},
        {T5, leaf, "offline, M = 27", "0.2169"},
        {T5, leaf, "offline, M = 81", "0.4379"},
        {T5, leaf, "offline, M = 243", "0.7444"},
        {T5, leaf, "offline, M = 1000", "0.9892"},
        {T5, solved, "offline, M = 1", "0.0041"},
        {T5, solved, "offline, M = 6", "0.0244"},
        {T5, solved, "offline, M = 12", "0.0483"},
        {T5, solved, "offline, M = 27", "0.1054"},
        {T5, solved, "offline, M = 81", "0.2840"},
        {T5, solved, "offline, M = 243", "0.6329"},
        {T5, solved, "offline, M = 1000", "0.9838"},
        {T5, leaf, "on-policy, M = 1", "0.0178"},
        {T5, leaf, "on-policy, M = 2", "0.1001"},
        {T5, leaf, "on-policy, M = 3", "0.3196"},
        {T5, leaf, "on-policy, M = 4", "0.6488"},
        {T5, leaf, "on-policy, M = 5", "0.9122"},
        {T5, leaf, "on-policy, M = 6", "1"},
        {T5, solved, "on-policy, M = 1", "0.0041"},
        {T5, solved, "on-policy, M = 2", "0.0453"},
        {T5, solved, "on-policy, M = 3", "0.2099"},
        {T5, solved, "on-policy, M = 4", "0.5391"},
        {T5, solved, "on-policy, M = 5", "0.8683"},
        {T5, solved, "on-policy, M = 6", "1"},
        {T6, offline, "round 0", "0.0200"},
        {T6, offline, "round 1", "0.1550"},
        {T6, offline, "round 2", "0.6201"},
        {T6, offline, "round 3", "0.9286"},
        {T6, offline, "round 5", "0.9844"},
        {T6, offline, "round 10", "0.9569"},
        {T6, offline, "round 20", "0.7117"},
        {T6, offline, "round 24", "0.5062"},
        {T6, offline, "round 25", "0.4515"},
        {T6, offline, "round 30", "0.2153"},
        {T6, offline, "round 40", "0.0296"},
        {T6, offline, "round 60", "0.0004"},
        {T6, online, "round 0", "0.0200"},
        {T6, online, "round 1", "0.1550"},
        {T6, online, "round 2", "0.6201"},
        {T6, online, "round 3", "0.9286"},
        {T6, online, "round 5", "0.9978"},
        {T6, online, "round 10", "0.9978"},
        {T6, online, "round 60", "0.9978"},
        {T6, "pi(bad), on-policy", "round 60", "0.0013"},
        {T6, "round of the first pair with bad", "on-policy", "3"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const theory_value *v = find(all[i].table, all[i].quantity, all[i].at);
        assert_true(rounds_to(v->prediction, all[i].digits));
        assert_true(rounds_to(v->computed, all[i].digits));
    }
    const theory_value *even = find(T2, h, "beta = 0.1, N_w = 1, N_l = 1");
    assert_true(even->prediction == 0 && fabs(even->computed) < 1e-9);
    const struct {
        const char *at;
        double bound;
    } bounds[] = {{"e = 0.01, M = 20", 0.6},
                  {"e = 0.01, M = 50", 0},
                  {"e = 0.001, M = 300", 0.4},
                  {"e = 0.0001, M = 300", 0.94}};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        const theory_value *v = find(T1, "its bound 1 - 2eM", bounds[i].at);
        assert_true(fabs(v->prediction - bounds[i].bound) < 1e-12 && v->relation == THEORY_AT_LEAST);
    }
}

/* T3 of an earlier, independent simulation of 20,000 pairs per K, in the order of the names. */
static const char *const confidence_names[] = {"order wrong",
                                               "mean alpha, visits",
                                               "mean alpha, evidence",
                                               "calibration error, visits",
                                               "calibration error, evidence",
                                               "log-loss, visits",
                                               "log-loss, evidence"};
static const struct {
    const char *visits;
    double earlier[7];
} confidence[] = {
    {"2", {0.167, 0.500, 0.167, 0.333, 0.001, 0.693, 0.451}},
    {"5", {0.203, 0.264, 0.201, 0.061, 0.003, 0.524, 0.450}},
    {"20", {0.128, 0.208, 0.125, 0.080, 0.006, 0.362, 0.316}},
    {"64", {0.078, 0.180, 0.076, 0.102, 0.005, 0.264, 0.192}},
};

static void confidence_is_what_all_courses_give(void **state) {
    (void)state;
    json_error_t why;
    json_t *golden = json_load_file(ESPALIER_SOURCE_DIR "/tests/data/golden/two_steps.json", 0, &why);
    assert_non_null(golden);
    for (size_t k = 0; k < sizeof confidence / sizeof *confidence; k++) {
        char at[32];
        snprintf(at, sizeof at, "K = %s", confidence[k].visits);
        json_t *row = json_object_get(golden, confidence[k].visits);
        for (int i = 0; i < 7; i++) {
            const theory_value *v = find(T3, confidence_names[i], at);
            double exact = json_number_value(json_object_get(row, confidence_names[i]));
            assert_true(fabs(v->prediction - exact) < 1e-9);
            /* Two simulations of the same size are as noisy as each other; it is given to three digits. */
            assert_true(fabs(confidence[k].earlier[i] - v->prediction) <= v->allowed + 0.0005);
        }
    }
    json_decref(golden);
}

/* A longer simulation comes closer, so that what is left of the difference is noise. */
static void a_longer_simulation_is_closer(void **state) {
    (void)state;
    two_steps_quality exact = two_steps_exact(20);
    two_steps_simulation s = two_steps_simulate(20, 400000, rng_key(3));
    assert_true(fabs(s.mean.wrong - exact.wrong) < 0.002);
    for (int way = 0; way < WAYS; way++) {
        assert_true(fabs(s.mean.of[way].alpha - exact.of[way].alpha) < 0.001);
        assert_true(fabs(s.mean.of[way].log_loss - exact.of[way].log_loss) < 0.003);
        assert_true(fabs(s.mean.of[way].ece - exact.of[way].ece) < 0.002);
    }
}

static void every_value_holds(void **state) {
    (void)state;
    for (int i = 0; i < TABLES; i++) {
        assert_true(tables[i].values.count > 0);
        for (int64_t j = 0; j < tables[i].values.count; j++)
            assert_true(theory_holds(&tables[i].values.at[j]));
    }
    assert_null(theory_name(TABLES));
}

static void a_value_that_differs_does_not_hold(void **state) {
    (void)state;
    theory_value v = {.prediction = 1, .computed = 1.1, .allowed = 0.05};
    assert_false(theory_holds(&v));
    v.allowed = 0.2;
    assert_true(theory_holds(&v));
    v.computed = NAN;
    assert_false(theory_holds(&v));
    theory_value bound = {.prediction = 1, .computed = 2, .relation = THEORY_AT_LEAST};
    assert_true(theory_holds(&bound));
    bound.relation = THEORY_AT_MOST;
    assert_false(theory_holds(&bound));
    assert_true(theory_excess(&bound) == 1);
}

/* Simulations depend on the seed alone; the rest does not depend on it. */
static void the_seed_decides(void **state) {
    (void)state;
    for (int i = 0; i < TABLES; i++) {
        theory_table again, other;
        bool differs = false;
        theory_compute(i, 1, &again);
        theory_compute(i, 2, &other);
        for (int64_t j = 0; j < again.values.count; j++) {
            assert_true(again.values.at[j].computed == tables[i].values.at[j].computed);
            assert_true(other.values.at[j].prediction == tables[i].values.at[j].prediction);
            assert_true(theory_holds(&other.values.at[j]));
            differs = differs || other.values.at[j].computed != again.values.at[j].computed;
        }
        assert_true(differs == (i == T3)); /* T1's runs all end alike */
        theory_free(&again);
        theory_free(&other);
    }
}

static void the_figures_are_drawable(void **state) {
    (void)state;
    int figures = 0;
    for (int i = 0; i < TABLES; i++)
        for (int64_t j = 0; j < tables[i].figures.count; j++, figures++) {
            const theory_figure *f = &tables[i].figures.at[j];
            assert_true(f->lines.count >= 2 && f->lines.count <= 6); /* the page has six kinds of line */
            for (int64_t k = 0; k < f->lines.count; k++) {
                assert_true(f->lines.at[k].points.count >= 2);
                for (int64_t p = 0; p < f->lines.at[k].points.count; p++) {
                    theory_point at = f->lines.at[k].points.at[p];
                    assert_true(at.y >= 0 && at.y <= 1 && (!f->log_x || at.x >= 1));
                    if (p > 0) assert_true(at.x > f->lines.at[k].points.at[p - 1].x);
                }
            }
        }
    assert_int_equal(figures, 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digits_are_reproduced),
        cmocka_unit_test(confidence_is_what_all_courses_give),
        cmocka_unit_test(a_longer_simulation_is_closer),
        cmocka_unit_test(every_value_holds),
        cmocka_unit_test(a_value_that_differs_does_not_hold),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(the_figures_are_drawable),
    };
    return cmocka_run_group_tests(tests, compute_all, free_all);
}
