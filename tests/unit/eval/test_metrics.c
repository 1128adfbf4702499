/* Estimators and tests of an evaluation. The numbers marked (scipy) were made with scipy 1.17.1 and
 * numpy 2.4.6: binomtest(s, n).proportion_ci(.95, "wilson"), binomtest(min(a, b), a + b, .5).pvalue,
 * mannwhitneyu(p, q).statistic / (len(p) * len(q)), numpy.std(ddof=1); pass@k by 1 -
 * comb(n-c, k) / comb(n, k) in exact integers; Hanley and McNeil's interval from their formula over that
 * area. */
#include "support.h"

#include "eval/metrics.h"

#include <math.h>

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("got %.17g, want %.17g", got, want);
}

static void test_pass_at_k(void **state) {
    (void)state;
    near(metrics_pass_at_k(8, 3, 1), 0.375, 1e-15);
    near(metrics_pass_at_k(8, 3, 4), 0.9285714285714286, 1e-15);
    near(metrics_pass_at_k(8, 1, 8), 1, 0);
    near(metrics_pass_at_k(20, 2, 5), 0.4473684210526315, 1e-15);
    near(metrics_pass_at_k(200, 7, 100), 0.9929911172418123, 1e-14);
    near(metrics_pass_at_k(5, 0, 5), 0, 0);
    assert_true(isnan(metrics_pass_at_k(5, 2, 6)));
    assert_true(isnan(metrics_pass_at_k(5, 6, 2)));
    assert_true(isnan(metrics_pass_at_k(5, 2, 0)));
    assert_true(isnan(metrics_pass_at_k(0, 0, 1)));
}

static void test_majority(void **state) {
    (void)state;
    /* 7, none, 18, 5, 18, none, 7, 5, none */
    static const int64_t answers[] = {0, -1, 2, 3, 2, -1, 0, 3, -1};
    assert_int_equal(metrics_majority(answers, NULL, 9), 0); /* 7, 18 and 5 twice each: 7 came first */
    assert_int_equal(metrics_majority(answers, NULL, 5), 2);
    assert_int_equal(metrics_majority(answers + 1, NULL, 8), 1); /* 18 at place 1 of these */
    assert_int_equal(metrics_majority(answers + 1, NULL, 1), -1);
    assert_int_equal(metrics_majority(answers, NULL, 0), -1);
    const double weights[] = {0.2, 9, 0.1, 0.9, 0.3, 9, 0.2, 0, 9};
    assert_int_equal(metrics_majority(answers, weights, 9), 3);
    const double none[9] = {0};
    assert_int_equal(metrics_majority(answers, none, 9), -1);
}

static void test_wilson(void **state) {
    (void)state;
    static const struct {
        int64_t s, n;
        double low, high;
    } cases[] = {
        {0, 10, 0, 0.27753279986288926},
        {10, 10, 0.7224672001371109, 1},
        {7, 10, 0.39677814746114526, 0.892208732593699},
        {264, 1319, 0.17944336673548858, 0.2226013796506943},
        {1, 1, 0.20654931437723745, 1},
        {0, 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) { /* (scipy) */
        metrics_interval w = metrics_wilson(cases[i].s, cases[i].n);
        near(w.low, cases[i].low, 1e-14);
        near(w.high, cases[i].high, 1e-14);
    }
}

static void test_mcnemar(void **state) {
    (void)state;
    static const struct {
        int64_t a, b;
        double p;
    } cases[] = {
        {0, 0, 1},
        {1, 5, 0.21875},
        {5, 1, 0.21875},
        {10, 10, 1},
        {30, 55, 0.008836205876094518},
        {0, 12, 0.00048828125},
        {400, 500, 0.0009564441369189373},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) /* (scipy) */
        near(metrics_mcnemar(cases[i].a, cases[i].b), cases[i].p, 1e-12);
    assert_true(metrics_mcnemar(0, 100000) < 1e-300);
    assert_true(isnan(metrics_mcnemar(-1, 2)));
}

static void test_bootstrap(void **state) {
    (void)state;
    enum { N = 1000 };
    double a[N], b[N], gap[N];
    rng_key_t data = rng_key(5);
    for (int i = 0; i < N; i++) {
        a[i] = rng_uniform(data, (uint64_t)(2 * i)) < 0.6;
        b[i] = rng_uniform(data, (uint64_t)(2 * i + 1)) < 0.5;
        gap[i] = a[i] - b[i];
    }
    metrics_difference d = metrics_paired_bootstrap(a, b, N, 4000, rng_key(1));
    double half = 1.959964 * metrics_deviation(gap, N) / sqrt(N);
    near(d.difference, metrics_mean(a, N) - metrics_mean(b, N), 1e-12);
    near(d.interval.low, d.difference - half, 0.1 * half); /* the normal approximation is good at this size */
    near(d.interval.high, d.difference + half, 0.1 * half);
    metrics_difference again = metrics_paired_bootstrap(a, b, N, 4000, rng_key(1));
    assert_true(again.interval.low == d.interval.low && again.interval.high == d.interval.high);
    metrics_difference self = metrics_paired_bootstrap(a, a, N, 100, rng_key(1));
    assert_true(self.difference == 0 && self.interval.low == 0 && self.interval.high == 0);
    /* pairing matters: a policy against itself but for one problem has a narrow interval */
    b[0] = a[0] + 1;
    for (int i = 1; i < N; i++) b[i] = a[i];
    metrics_difference close = metrics_paired_bootstrap(a, b, N, 1000, rng_key(1));
    assert_true(close.interval.high - close.interval.low < 0.005);
    assert_true(isnan(metrics_paired_bootstrap(a, b, 0, 100, rng_key(1)).difference));
}

/* Of 400 experiments with a known difference the interval holds it in about 95%. */
static void test_bootstrap_coverage(void **state) {
    (void)state;
    enum { N = 80, EXPERIMENTS = 400 };
    int held = 0;
    for (int e = 0; e < EXPERIMENTS; e++) {
        double a[N], b[N] = {0};
        rng_key_t key = rng_mix(rng_key(11), (uint64_t)e);
        for (int i = 0; i < N; i++) a[i] = 0.25 + rng_normal(key, (uint64_t)i);
        metrics_difference d = metrics_paired_bootstrap(a, b, N, 300, rng_mix(key, 1));
        held += d.interval.low <= 0.25 && 0.25 <= d.interval.high;
    }
    if (held < 0.91 * EXPERIMENTS || held > 0.98 * EXPERIMENTS)
        fail_msg("held in %d of %d", held, EXPERIMENTS);
}

static void test_summaries(void **state) {
    (void)state;
    const double v[] = {3, 1, 4, 1, 5, 9, 2, 6};
    near(metrics_mean(v, 8), 3.875, 0);
    near(metrics_deviation(v, 8), 2.748376143938713, 1e-15); /* (numpy) */
    near(metrics_deviation(v, 1), 0, 0);
    assert_true(isnan(metrics_mean(v, 0)) && isnan(metrics_deviation(v, 0)));
}

/* The points are those of printed tables; the interval was computed by hand. */
static void test_student(void **state) {
    (void)state;
    static const struct {
        int64_t n;
        double point;
    } table[] = {{1, 12.706}, {2, 4.303}, {3, 3.182}, {4, 2.776}, {7, 2.365}, {30, 2.042}, {120, 1.980}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        near(metrics_student_point(table[i].n), table[i].point, 5e-4);
    near(metrics_student_point(1000000), 1.959966, 1e-5);
    assert_true(isnan(metrics_student_point(0)));

    const double values[] = {65.9, 58.8, 66.5};
    metrics_estimate e = metrics_student(values, 3);
    assert_int_equal(e.n, 3);
    near(e.mean, 63.7333, 1e-4);
    near(e.interval.low, 53.09399, 1e-4);
    near(e.interval.high, 74.37268, 1e-4);
    e = metrics_student(values, 1);
    near(e.mean, 65.9, 0);
    assert_true(isnan(e.interval.low) && isnan(e.interval.high));
    assert_true(isnan(metrics_student(values, 0).mean));
}

static void test_judged_accuracy(void **state) {
    (void)state;
    assert_true(metrics_judged_accuracy(3, 10, 0) == 0.3);
    assert_true(metrics_judged_accuracy(3, 10, 4) == 0.5);
    assert_true(metrics_judged_accuracy(0, 10, 9) == 0);
    assert_true(isnan(metrics_judged_accuracy(0, 10, 10)) && isnan(metrics_judged_accuracy(0, 0, 0)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_judged_accuracy),
        cmocka_unit_test(test_pass_at_k),
        cmocka_unit_test(test_majority),
        cmocka_unit_test(test_wilson),
        cmocka_unit_test(test_mcnemar),
        cmocka_unit_test(test_bootstrap),
        cmocka_unit_test(test_bootstrap_coverage),
        cmocka_unit_test(test_summaries),
        cmocka_unit_test(test_student),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
