/* Areas under the ROC curve: by hand, by counting pairs one by one, and intervals that know of clusters. */
#include "support.h"

#include "eval/area.h"

#include <math.h>

static void near(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, not %.17g", got, want);
}

/* Each row a cluster and a group of its own. */
static void make_rows(const double *scores, const bool *positive, int64_t n, area_row *out) {
    for (int64_t i = 0; i < n; i++) out[i] = (area_row){scores[i], positive[i], i, 0};
}

static void pooled(void **state) {
    (void)state;
    const double scores[] = {0.1, 0.4, 0.35, 0.8, 0.8, 0.5, 0.5, 0.2, 0.9, 0.5};
    const bool right[] = {0, 0, 1, 1, 0, 1, 0, 0, 1, 0};
    area_row rows[60];
    make_rows(scores, right, 10, rows);
    area_pool a = area_pooled(rows, 10); /* (scipy) */
    near(a.area, 0.7291666666666666, 1e-15);
    assert_int_equal(a.positives, 4);
    assert_int_equal(a.negatives, 6);
    for (int i = 0; i < 60; i++)
        rows[i] = (area_row){(i * 37 % 101) / 100.0 + (i % 3 ? 0 : 0.3), i % 3 == 0, i, 0};
    a = area_pooled(rows, 60); /* (scipy) */
    near(a.area, 0.755, 1e-15);
    /* Rows that are independent: about the interval of Hanley and McNeil 1982. */
    near(a.interval.low, 0.6167555239148123, 0.03);
    near(a.interval.high, 0.8932444760851878, 0.03);
    make_rows((const double[]){0.5, 0.5, 0.5, 0.5}, (const bool[]){1, 0, 1, 0}, 4, rows);
    near(area_pooled(rows, 4).area, 0.5, 0);
}

static void undefined(void **state) {
    (void)state;
    area_row rows[4];
    make_rows((const double[]){1, 2, 3, 4}, (const bool[]){1, 1, 1, 1}, 4, rows);
    area_pool a = area_pooled(rows, 4);
    assert_true(isnan(a.area) && a.interval.low == 0 && a.interval.high == 1 && a.positives == 4);
    assert_true(isnan(area_within(rows, 4).share) && area_within(rows, 4).comparisons == 0);
    make_rows((const double[]){0.1, NAN}, (const bool[]){1, 0}, 2, rows);
    assert_true(isnan(area_pooled(rows, 2).area) && isnan(area_within(rows, 2).share));
    assert_true(isnan(area_pooled(NULL, 0).area) && isnan(area_within(NULL, 0).share));
    /* One cluster says nothing of how clusters differ. */
    make_rows((const double[]){1, 2, 3, 4}, (const bool[]){0, 1, 0, 1}, 4, rows);
    for (int i = 0; i < 4; i++) rows[i].cluster = 9;
    a = area_pooled(rows, 4);
    assert_true(a.area == 0.75 && a.interval.low == 0 && a.interval.high == 1);
}

/* Random rows; every figure against plain loops over pairs. */
static void within_groups(void **state) {
    (void)state;
    enum { N = 120 };
    for (uint64_t seed = 0; seed < 50; seed++) {
        area_row rows[N];
        rng_key_t key = rng_key(seed);
        for (uint64_t i = 0; i < N; i++) {
            int64_t cluster = (int64_t)rng_below(rng_mix(key, 1), i, 12);
            rows[i] = (area_row){.score = (double)rng_below(rng_mix(key, 2), i, 9) / 8,
                                 .positive = rng_below(rng_mix(key, 3), i, 3) == 0,
                                 .cluster = 1000 - cluster,
                                 .group = 10 * cluster + (int64_t)rng_below(rng_mix(key, 4), i, 3)};
        }
        double won = 0, pool_won = 0;
        int64_t compared = 0, pairs = 0, clusters = 0;
        bool seen[12] = {0};
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                if (!rows[i].positive || rows[j].positive) continue;
                double win = rows[i].score > rows[j].score ? 1 : rows[i].score == rows[j].score ? 0.5 : 0;
                pool_won += win, pairs++;
                if (rows[i].group != rows[j].group) continue;
                won += win, compared++;
                clusters += !seen[1000 - rows[i].cluster];
                seen[1000 - rows[i].cluster] = true;
            }
        area_share w = area_within(rows, N);
        area_pool a = area_pooled(rows, N);
        assert_int_equal(w.comparisons, compared);
        assert_int_equal(w.clusters, clusters);
        near(w.share, won / (double)compared, 1e-12);
        near(a.area, pool_won / (double)pairs, 1e-12);
        assert_true(w.interval.low <= w.share && w.share <= w.interval.high &&
                    w.interval.low < w.interval.high);
        assert_true(a.interval.low <= a.area && a.area <= a.interval.high);
        area_share again = area_within(rows, N);
        assert_true(again.interval.low == w.interval.low && again.interval.high == w.interval.high);
    }
}

/* A judge that knows which problems are hard and nothing else: the pooled area is high, that within problems
 * is chance. */
static void hard_problems_are_not_wrong_steps(void **state) {
    (void)state;
    area_row rows[40 * 10];
    for (int p = 0; p < 40; p++)
        for (int i = 0; i < 10; i++) {
            bool easy = p % 2;
            rows[10 * p + i] = (area_row){easy ? 0.9 : 0.1, i < (easy ? 8 : 2), p, p};
        }
    area_pool a = area_pooled(rows, 400);
    area_share w = area_within(rows, 400);
    near(a.area, 0.8, 1e-12);
    assert_true(a.interval.low > 0.65);
    near(w.share, 0.5, 1e-12);
    assert_true(w.interval.low <= 0.5 && w.interval.high >= 0.5);
}

/* Copies of a row are no evidence: with clusters of ten equal rows the interval is as wide as with one each,
 * and far wider than where the copies are taken for independent. */
static void copies_are_no_evidence(void **state) {
    (void)state;
    enum { N = 50, COPIES = 10 };
    area_row one[N], many[N * COPIES], apart[N * COPIES];
    for (int i = 0; i < N; i++) {
        one[i] = (area_row){(i * 37 % 101) / 100.0 + (i % 3 ? 0 : 0.2), i % 3 == 0, i, 0};
        for (int k = 0; k < COPIES; k++) {
            many[i * COPIES + k] = apart[i * COPIES + k] = one[i];
            apart[i * COPIES + k].cluster = i * COPIES + k;
        }
    }
    area_pool a = area_pooled(one, N), b = area_pooled(many, N * COPIES), c = area_pooled(apart, N * COPIES);
    near(b.area, a.area, 1e-12);
    near(b.interval.low, a.interval.low, 1e-12);
    near(b.interval.high, a.interval.high, 1e-12);
    assert_true(b.interval.high - b.interval.low > 2.5 * (c.interval.high - c.interval.low));
}

/* Where every comparison comes out one way no draw differs, and the interval must not have no width. */
static void perfect_judges_are_not_certain(void **state) {
    (void)state;
    area_row rows[12];
    for (int i = 0; i < 12; i++) rows[i] = (area_row){i % 2 ? 0.9 : 0.1, i % 2, i / 4, i / 4};
    area_share w = area_within(rows, 12);
    metrics_interval wilson = metrics_wilson(3, 3);
    assert_true(w.share == 1 && w.clusters == 3 && w.comparisons == 12);
    assert_true(w.interval.low == wilson.low && w.interval.low < 0.5 && w.interval.high == 1);
    assert_true(area_pooled(rows, 12).interval.low == wilson.low);
    for (int i = 0; i < 12; i++) rows[i].score = -rows[i].score;
    w = area_within(rows, 12);
    assert_true(w.share == 0 && w.interval.low == 0 && w.interval.high > 0.5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pooled),
        cmocka_unit_test(undefined),
        cmocka_unit_test(within_groups),
        cmocka_unit_test(hard_problems_are_not_wrong_steps),
        cmocka_unit_test(copies_are_no_evidence),
        cmocka_unit_test(perfect_judges_are_not_certain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
