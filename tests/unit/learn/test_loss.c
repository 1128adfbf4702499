/* Losses against autograd's numbers (golden/dpo.json), against finite differences, and at the ends of the
 * range. */
#include "support.h"

#include "formats/json.h"
#include "learn/loss.h"

#include <math.h>
#include <string.h>

static void near(double got, double want, double tolerance, const char *what) {
    if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static double number(const json_t *c, const char *key) {
    json_t *v = json_object_get(c, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static void test_golden(void **state) {
    (void)state;
    esp_error error;
    json_t *root;
    assert_int_equal(json_read_file(TEST_DATA "/golden/dpo.json", &root, &error), ESP_OK);
    json_t *cases = json_object_get(root, "cases"), *c;
    size_t i;
    assert_true(json_array_size(cases) >= 40);
    json_array_foreach(cases, i, c) {
        double alpha =
            loss_smoothing(number(c, "n_chosen"), number(c, "n_rejected"), number(c, "smoothing_cap"));
        loss_logps p = {number(c, "logp_chosen"), number(c, "logp_rejected"), number(c, "ref_chosen"),
                        number(c, "ref_rejected")};
        loss_result r = loss_dpo(p, number(c, "beta"), alpha);
        near(alpha, number(c, "alpha"), 1e-9, "alpha");
        near(r.margin, number(c, "h"), 1e-9, "h");
        near(r.loss, number(c, "loss"), 1e-9, "loss");
        near(r.dchosen, number(c, "dloss_dlogp_chosen"), 1e-9, "dchosen");
        near(r.drejected, number(c, "dloss_dlogp_rejected"), 1e-9, "drejected");
    }
    json_decref(root);
}

static const loss_logps points[] = {
    {-12, -9, -11, -10},  {-3.5, -40, -9, -2},    {-700, -1, -2, -650},
    {-1, -700, -650, -2}, {-20, -20, -21, -19.5},
};

static void check_slopes(const loss_options *o, loss_logps p, double alpha) {
    const double step = 1e-5;
    loss_result r = loss_pair(o, p, alpha, 7);
    loss_logps more = p, less = p;
    more.chosen += step, less.chosen -= step;
    double chosen = (loss_pair(o, more, alpha, 7).loss - loss_pair(o, less, alpha, 7).loss) / (2 * step);
    more = less = p;
    more.rejected += step, less.rejected -= step;
    double rejected = (loss_pair(o, more, alpha, 7).loss - loss_pair(o, less, alpha, 7).loss) / (2 * step);
    near(r.dchosen, chosen, 2e-5, loss_kind_name(o->kind));
    near(r.drejected, rejected, 2e-5, loss_kind_name(o->kind));
}

static void test_finite_differences(void **state) {
    (void)state;
    const double alphas[] = {0, 0.3, 0.5, 1}, nll[] = {0, 0.5};
    for (int kind = LOSS_DPO; kind <= LOSS_DPO_POSITIVE; kind++)
        for (size_t p = 0; p < sizeof points / sizeof *points; p++)
            for (int a = 0; a < 4; a++)
                for (int n = 0; n < 4; n++) {
                    loss_options o = {.kind = (loss_kind)kind,
                                      .beta = n & 1 ? 0.1 : 0.7,
                                      .weight = n < 2 ? 1 : 0.3,
                                      .lambda = 5,
                                      .nll_weight = nll[n / 2],
                                      .nll_per_token = (n & 1) != 0};
                    check_slopes(&o, points[p], alphas[a]);
                }
}

/* By hand: h = 0.1 ((-4 + 5) - (-9 + 6)) = 0.4. */
static void test_by_hand(void **state) {
    (void)state;
    loss_logps p = {-4, -9, -5, -6};
    near(loss_dpo(p, 0.1, 0).loss, log(1 + exp(-0.4)), 1e-15, "dpo");
    near(loss_ipo(p, 0.1, 0).loss, (4 - 5) * (4 - 5), 1e-14, "ipo");
    near(loss_ipo(p, 0.1, 0.25).loss, 0.75 * 1 + 0.25 * 81, 1e-14, "ipo smoothed");
    /* the chosen step did not fall: no penalty */
    near(loss_dpo_positive(p, 0.1, 0, 50).loss, log(1 + exp(-0.4)), 1e-15, "dpop");
    /* it fell by 1 nat: h = 0.1 (-1 + 3) = 0.2, held = 0.2 - 0.1 * 50 */
    p.chosen = -6;
    loss_result r = loss_dpo_positive(p, 0.1, 0, 50);
    near(r.margin, 0.2, 1e-14, "dpop margin");
    near(r.loss, log(1 + exp(4.8)), 1e-14, "dpop fell");
    double d;
    near(loss_nll(-6, 4, 0.5, true, &d), 0.75, 1e-15, "nll a token");
    near(d, -0.125, 1e-15, "nll slope a token");
    near(loss_nll(-6, 4, 0.5, false, &d), 3, 1e-15, "nll sum");
    near(d, -0.5, 1e-15, "nll slope sum");
    near(loss_nll(-6, 0, 0.5, true, &d), 0, 0, "nll of nothing");
    near(d, 0, 0, "nll slope of nothing");
}

static void test_smoothing(void **state) {
    (void)state;
    near(loss_smoothing(3, 1, 0.5), 0.25, 0, "3:1");
    near(loss_smoothing(0, 0, 0.5), 0, 0, "0:0");
    near(loss_smoothing(0, 4, 1), 0.8, 0, "0:4");
    near(loss_smoothing(0, 4, 0.5), 0.5, 0, "0:4 capped");
}

static void test_extremes(void **state) {
    (void)state;
    loss_result r = loss_dpo((loss_logps){-1e6, -1, -1, -1e6}, 1, 0);
    assert_true(isfinite(r.loss) && r.loss > 1.9e6);
    near(r.dchosen, -1, 0, "slope far below");
    r = loss_dpo((loss_logps){-1, -1e6, -1e6, -1}, 1, 0);
    near(r.loss, 0, 0, "loss far above");
    near(r.dchosen, 0, 0, "slope far above");
    /* the slope of a tiny error keeps its digits where 1 - sigmoid(h) would round to 0 */
    r = loss_dpo((loss_logps){0, -50, 0, 0}, 1, 0);
    near(r.dchosen / -exp(-50), 1, 1e-12, "slope at 50");
    assert_true(isnan(loss_dpo((loss_logps){NAN, -1, -1, -1}, 0.1, 0.2).loss));
    assert_false(isfinite(loss_dpo((loss_logps){-INFINITY, -1, -1, -1}, 0.1, 0.2).loss));
    assert_false(isfinite(loss_dpo((loss_logps){-1, -INFINITY, -1, -1}, 0.1, 0.2).loss));
}

static void test_names(void **state) {
    (void)state;
    esp_error error = {0};
    loss_kind kind;
    for (int i = LOSS_DPO; i <= LOSS_DPO_POSITIVE; i++) {
        assert_int_equal(loss_kind_parse(loss_kind_name((loss_kind)i), &kind, &error), ESP_OK);
        assert_int_equal(kind, i);
    }
    assert_int_equal(loss_kind_parse("dop", &kind, &error), ESP_FAILED);
    assert_non_null(strstr(error.message, "dop"));
    assert_non_null(strstr(error.hint, "ipo"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),   cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_by_hand),  cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_extremes), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
