/* Objectives against autograd's numbers (golden/dpo.json), against numbers worked by hand, against finite
 * differences, and at the ends of the range. */
#include "support.h"

#include "formats/json.h"
#include "learn/objective.h"
#include "search/harvest.h"

#include <math.h>
#include <string.h>

static esp_error error;

static void near(double got, double want, double tolerance, const char *what) {
    if (!(fabs(got - want) <= tolerance * fmax(1, fabs(want))))
        fail_msg("%s: got %.17g, want %.17g", what, got, want);
}

static double number(const json_t *c, const char *key) {
    json_t *v = json_object_get(c, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static const objective *find(const char *name) {
    for (int i = 0; objective_at(i); i++)
        if (strcmp(objective_name(i), name) == 0) return objective_at(i);
    fail_msg("there is no objective %s", name);
    return NULL;
}

/* What an objective says of some paths. */
typedef struct {
    double value, dlogp[EXAMPLE_PATHS], metric[OBJECTIVE_METRICS];
} result;

/* settings: "beta=0.1 penalty=5", in the words of the recipe's keys; "" for the defaults. */
static result evaluate(const char *name, const char *settings, const path_score *scores, double alpha) {
    const objective *o = find(name);
    option_space options = {.bytes = {0}};
    options_defaults(o->options, &options);
    char text[200], *rest = text, *word;
    snprintf(text, sizeof text, "%s", settings);
    while ((word = strsep(&rest, " ")) && *word) {
        char *value = strchr(word, '=');
        *value++ = 0;
        const option *one = option_by_key(o->options, word);
        if (!one) fail_msg("%s has no option %s", name, word);
        assert_int_equal(option_set(one, &options, value, NULL), ESP_OK);
    }
    result r;
    example e = {.alpha = alpha};
    r.value = o->value(&options, &e, scores, r.dlogp, r.metric);
    return r;
}

static double metric(const char *objective, const result *r, const char *name) {
    const char *const *objective_names = find(objective)->metrics;
    for (int i = 0; objective_names[i]; i++)
        if (strcmp(objective_names[i], name) == 0) return r->metric[i];
    fail_msg("%s has no metric %s", objective, name);
    return NAN;
}

/* {chosen, rejected} with references, of 7 and 5 tokens. */
#define PAIR(chosen, rejected, ref_chosen, ref_rejected)                                                     \
    ((const path_score[EXAMPLE_PATHS]){{chosen, ref_chosen, 7}, {rejected, ref_rejected, 5}})

static void test_golden(void **state) {
    (void)state;
    json_t *root;
    assert_int_equal(json_read_file(TEST_DATA "/golden/dpo.json", &root, &error), ESP_OK);
    json_t *cases = json_object_get(root, "cases"), *c;
    size_t i;
    assert_true(json_array_size(cases) >= 40);
    json_array_foreach(cases, i, c) {
        double alpha = fmin(harvest_doubt_by_visits(number(c, "n_chosen"), number(c, "n_rejected")),
                            number(c, "smoothing_cap"));
        char settings[64];
        snprintf(settings, sizeof settings, "beta=%.17g", number(c, "beta"));
        result r = evaluate("dpo", settings,
                            PAIR(number(c, "logp_chosen"), number(c, "logp_rejected"),
                                 number(c, "ref_chosen"), number(c, "ref_rejected")),
                            alpha);
        near(alpha, number(c, "alpha"), 1e-9, "alpha");
        near(metric("dpo", &r, "margin"), number(c, "h"), 1e-9, "h");
        near(r.value, number(c, "loss"), 1e-9, "loss");
        near(r.dlogp[0], number(c, "dloss_dlogp_chosen"), 1e-9, "chosen's slope");
        near(r.dlogp[1], number(c, "dloss_dlogp_rejected"), 1e-9, "rejected's slope");
    }
    json_decref(root);
}

/* ---- every objective of the table ---- */

enum { POINT = 4 };
static const double points[][POINT] = {
    {-12, -9, -11, -10},  {-3.5, -40, -9, -2},    {-700, -1, -2, -650},
    {-1, -700, -650, -2}, {-20, -20, -21, -19.5}, {-0.3, -0.2, -0.4, -0.1},
};

/* An example of `paths` paths, which lead to states of different values. */
static example example_of(int paths, double alpha) {
    example e = {.alpha = alpha, .path_count = paths};
    for (int k = 0; k < paths; k++) e.path[k].value = 0.3 * k;
    return e;
}

static void check_slopes(const objective *o, const void *options, const double *point, double alpha) {
    path_score at[EXAMPLE_PATHS];
    for (int k = 0; k < EXAMPLE_PATHS; k++)
        at[k] = (path_score){point[k % POINT], point[(k + 2) % POINT], 3 + 4 * k};
    example e = example_of(o->paths, alpha);
    double dlogp[EXAMPLE_PATHS], ignored[EXAMPLE_PATHS], metrics[OBJECTIVE_METRICS];
    double value = o->value(options, &e, at, dlogp, metrics);
    assert_true(isfinite(value));
    for (int k = 0; k < o->paths; k++) {
        double step = 1e-5 * fmax(1e-2, fmin(1, fabs(at[k].logp))), logp = at[k].logp;
        at[k].logp = logp + step;
        double more = o->value(options, &e, at, ignored, metrics);
        at[k].logp = logp - step;
        double less = o->value(options, &e, at, ignored, metrics);
        at[k].logp = logp;
        near(dlogp[k], (more - less) / (2 * step), 2e-5, o->name);
    }
}

/* The same of an objective on tokens, of which some have become more likely and some less. */
static void check_token_slopes(const objective *o, const void *options, const double *point,
                               double advantage) {
    float sampled[2 * POINT], logp[2 * POINT];
    for (int t = 0; t < 2 * POINT; t++) {
        sampled[t] = (float)fmax(point[t % POINT], -20);
        logp[t] = sampled[t] + (float)(t - 3) * 0.11F;
    }
    example e = {.path = {{.tail_count = 2 * POINT, .sampled = sampled}}, .advantage = advantage};
    double dlogp[2 * POINT], ignored[2 * POINT], metrics[OBJECTIVE_METRICS];
    assert_true(isfinite(o->token_value(options, &e, logp, dlogp, metrics)));
    for (int t = 0; t < 2 * POINT; t++) {
        float kept = logp[t], step = 1e-3F;
        logp[t] = kept + step;
        double above = (double)logp[t], more = o->token_value(options, &e, logp, ignored, metrics);
        logp[t] = kept - step;
        double below = (double)logp[t], less = o->token_value(options, &e, logp, ignored, metrics);
        logp[t] = kept;
        near(dlogp[t], (more - less) / (above - below), 1e-5, o->name);
    }
}

static void check_all_slopes(const objective *o, const void *options) {
    const double alphas[] = {0, 0.3, 0.5, 1}, advantages[] = {1.5, -0.7, 0, -1e3};
    for (size_t p = 0; p < sizeof points / sizeof *points; p++)
        for (int a = 0; a < 4; a++) {
            if (o->token_value)
                check_token_slopes(o, options, points[p], advantages[a]);
            else
                check_slopes(o, options, points[p], alphas[a]);
        }
}

/* Slopes are those of the value, at the default options and at others. */
static void test_finite_differences(void **state) {
    (void)state;
    int objectives = 0;
    for (const objective *o; (o = objective_at(objectives)) != NULL; objectives++)
        for (int turn = 0; turn < 3; turn++) {
            option_space options = {.bytes = {0}};
            options_defaults(o->options, &options);
            for (int i = 0; turn > 0 && i < o->options.count; i++) {
                const option *one = &o->options.at[i];
                const char *value = turn == 1 ? "0.7" : one->high < 5 ? "1" : "5";
                if (one->type == OPTION_FLOAT) OK(option_set(one, &options, value, NULL));
            }
            check_all_slopes(o, &options);
        }
    assert_true(objectives >= 10);
}

/* Also where the token would be clipped or masked. */
static double value_of_bad_tokens(const objective *o, const void *options, float bad) {
    for (int sign = -1; sign <= 1; sign++)
        for (int at = 0; at < 2; at++) {
            const float sampled[] = {-0.01F, -3}, logp[] = {at == 0 ? bad : -0.02F, at == 1 ? bad : -2};
            double dlogp[2], metrics[OBJECTIVE_METRICS];
            example e = {.path = {{.tail_count = 2, .sampled = sampled}}, .advantage = sign};
            double value = o->token_value(options, &e, logp, dlogp, metrics);
            if (isfinite(value)) return value;
        }
    return NAN;
}

/* A log-prob that is no finite number makes a value that is none: a trainer looks at the value alone. */
static void test_not_finite(void **state) {
    (void)state;
    const double bad[] = {NAN, -INFINITY};
    for (int i = 0; objective_at(i); i++) {
        const objective *o = objective_at(i);
        option_space options = {.bytes = {0}};
        options_defaults(o->options, &options);
        for (int k = 0; k < o->paths; k++)
            for (int b = 0; b < 2; b++) {
                path_score at[EXAMPLE_PATHS];
                double dlogp[EXAMPLE_PATHS], metrics[OBJECTIVE_METRICS];
                for (int j = 0; j < EXAMPLE_PATHS; j++) at[j] = (path_score){-1, -1, 4};
                at[k].logp = bad[b];
                example e = example_of(o->paths, 0.2);
                double value = o->token_value ? value_of_bad_tokens(o, &options, (float)bad[b])
                                              : o->value(&options, &e, at, dlogp, metrics);
                if (isfinite(value)) fail_msg("%s is %g with path %d at %g", o->name, value, k, bad[b]);
            }
    }
}

/* What trainers, recipes and reports rely on. */
static void test_table(void **state) {
    (void)state;
    for (int i = 0; objective_at(i); i++) {
        const objective *o = objective_at(i);
        assert_ptr_equal(find(o->name), o);
        assert_true(o->options_size <= sizeof(option_space));
        assert_in_range(o->paths, 1, EXAMPLE_PATHS);
        assert_true(!o->value != !o->token_value);
        assert_true(!o->token_value || o->paths == 1);
        assert_true((o->source == LEARNS_FROM_GROUPS) == (o->group_advantages != NULL));
        assert_true((o->source == LEARNS_FROM_STEPS) == (o->step_advantage != NULL));
        assert_true(o->source != LEARNS_FROM_PAIRS || o->paths == 2);
        assert_true(strlen(o->about) > 10);
        int metrics = 0;
        while (o->metrics[metrics]) metrics++;
        assert_in_range(metrics, 0, OBJECTIVE_METRICS);
        assert_true(o->options.count > 0 || o->options_size == 0);
        for (int k = 0; k < o->options.count; k++) {
            const option *one = &o->options.at[k];
            assert_non_null(one->initial);
            assert_null(strchr(one->key, '.'));
            assert_true(one->offset < o->options_size);
        }
    }
    assert_null(objective_at(-1));
    assert_null(objective_name(1000));
}

/* ---- one by one ---- */

/* h = 0.1 ((-4 + 5) - (-9 + 6)) = 0.4. */
static void test_by_hand(void **state) {
    (void)state;
    const path_score *p = PAIR(-4, -9, -5, -6);
    result r = evaluate("dpo", "beta=0.1", p, 0);
    near(r.value, log(1 + exp(-0.4)), 1e-15, "dpo");
    near(metric("dpo", &r, "margin"), 0.4, 1e-15, "margin");
    near(metric("dpo", &r, "accuracy"), 1, 0, "accuracy");
    near(metric("dpo", &r, "logp_chosen"), -4, 0, "chosen");
    near(metric("dpo", &r, "logp_rejected"), -9, 0, "rejected");
    near(metric("dpo", &r, "kl"), 1, 0, "kl"); /* ((-5 + 4) + (-6 + 9)) / 2 */
    near(evaluate("ipo", "beta=0.1", p, 0).value, (4 - 5) * (4 - 5), 1e-14, "ipo");
    near(evaluate("ipo", "beta=0.1", p, 0.25).value, 0.75 * 1 + 0.25 * 81, 1e-14, "ipo smoothed");
    /* the chosen step did not fall: no penalty */
    near(evaluate("dpop", "beta=0.1", p, 0).value, log(1 + exp(-0.4)), 1e-15, "dpop");
    /* it fell by 1 nat: h = 0.1 (-1 + 3) = 0.2, held = 0.2 - 0.1 * 50 */
    r = evaluate("dpop", "beta=0.1", PAIR(-6, -9, -5, -6), 0);
    near(metric("dpop", &r, "margin"), 0.2, 1e-14, "dpop margin");
    near(r.value, log(1 + exp(4.8)), 1e-14, "dpop fell");
}

/* simpo() computes in 40 decimal digits:
 *   from decimal import Decimal as D, getcontext; getcontext().prec = 40
 *   def simpo(w, nw, l, nl, beta, gamma, alpha):
 *       h = beta * (w / nw - l / nl); p = 1 / (1 + (gamma - h).exp())
 *       slope = beta * (p - (1 - alpha))
 *       return h, -(1 - alpha) * p.ln() - alpha * (1 - p).ln(), slope / nw, -slope / nl
 *   simpo(D('-8.4'), 7, D('-4.5'), 5, D('2.5'), D('0.75'), D(0)), and D('0.25') in place of D(0) */
static void test_simpo(void **state) {
    (void)state;
    const path_score *p = PAIR(-8.4, -4.5, NAN, NAN); /* no references */
    result r = evaluate("simpo", "beta=2.5 gamma=0.75", p, 0);
    near(metric("simpo", &r, "margin"), -0.75, 1e-15, "margin");
    near(metric("simpo", &r, "accuracy"), 0, 0, "accuracy");
    near(metric("simpo", &r, "logp_chosen"), -8.4, 0, "chosen");
    near(r.value, 1.7014132779827524, 1e-15, "simpo");
    near(r.dlogp[0], -0.29199088435487275, 1e-15, "chosen's slope");
    near(r.dlogp[1], 0.40878723809682183, 1e-15, "rejected's slope");
    r = evaluate("simpo", "beta=2.5 gamma=0.75", p, 0.25);
    near(r.value, 1.3264132779827524, 1e-15, "smoothed");
    near(r.dlogp[0], -0.20270517006915845, 1e-15, "chosen's slope, smoothed");
    near(r.dlogp[1], 0.28378723809682183, 1e-15, "rejected's slope, smoothed");
}

/* orpo() computes in 40 decimal digits:
 *   from decimal import Decimal as D, getcontext; getcontext().prec = 40
 *   def orpo(w, nw, l, nl, lam):
 *       a, b = w / nw, l / nl; odds = lambda x: x.exp() / (1 - x.exp()); r = odds(a) / odds(b)
 *       s = -lam / (1 + r)
 *       return r.ln(), -a + lam * (1 + 1 / r).ln(), (s / (1 - a.exp()) - 1) / nw, -s / (1 - b.exp()) / nl
 *   orpo(D('-8.4'), 7, D('-4.5'), 5, D('0.2')); orpo(D('-0.0007'), 7, D('-60'), 5, D('0.2')) */
static void test_orpo(void **state) {
    (void)state;
    result r = evaluate("orpo", "lambda=0.2", PAIR(-8.4, -4.5, NAN, NAN), 0); /* no references */
    near(metric("orpo", &r, "margin"), -0.46345302504828836, 1e-15, "log odds ratio");
    near(metric("orpo", &r, "accuracy"), 0, 0, "accuracy");
    near(metric("orpo", &r, "logp_rejected"), -4.5, 0, "rejected");
    near(metric("orpo", &r, "nll"), 1.2, 1e-15, "nll");
    near(r.value, 1.3902970769379445, 1e-15, "orpo");
    near(r.dlogp[0], -0.16795436769287825, 1e-15, "chosen's slope");
    near(r.dlogp[1], 0.041375235990598397, 1e-15, "rejected's slope");
    /* Near 1 and near 0, 1 - p keeps its digits. */
    r = evaluate("orpo", "lambda=0.2", PAIR(-0.0007, -60, NAN, NAN), 0);
    near(metric("orpo", &r, "margin"), 21.210284227328287, 1e-14, "log odds ratio near 1");
    near(r.value / 0.00010000012289114652, 1, 1e-12, "orpo near 1");
    near(r.dlogp[0] / -0.14285731842470162, 1, 1e-12, "chosen's slope near 1");
    near(r.dlogp[1] / 2.4578380310291791e-11, 1, 1e-12, "rejected's slope near 0");
    /* A probability of 1 has no odds: it counts as the nearest one that a log-prob of f32 can tell from it.
     */
    r = evaluate("orpo", "lambda=0.2", PAIR(0, 0, NAN, NAN), 0);
    assert_true(isfinite(r.value) && isfinite(r.dlogp[0]) && r.dlogp[1] > 1e5 && r.dlogp[1] < 1e6);
}

static void test_likelihood(void **state) {
    (void)state;
    double dlogp[EXAMPLE_PATHS];
    const nll_options mean = {.per_token = true}, sum = {.per_token = false};
    const path_score some = {.logp = -6, .tokens = 4}, none = {.logp = -6};
    near(objective_nll.value(&mean, NULL, &some, dlogp, NULL), 1.5, 1e-15, "per token");
    near(dlogp[0], -0.25, 1e-15, "slope per token");
    near(objective_nll.value(NULL, NULL, &some, dlogp, NULL), 6, 1e-15, "without options");
    near(objective_nll.value(&sum, NULL, &some, dlogp, NULL), 6, 1e-15, "sum");
    near(dlogp[0], -1, 1e-15, "slope of the sum");
    near(objective_nll.value(&mean, NULL, &none, dlogp, NULL), 0, 0, "nothing");
    near(dlogp[0], 0, 0, "slope of nothing");
}

static void test_smoothing(void **state) {
    (void)state;
    near(harvest_doubt_by_visits(3, 1), 0.25, 0, "3:1");
    near(harvest_doubt_by_visits(0, 0), 0, 0, "0:0");
    near(harvest_doubt_by_visits(0, 4), 0.8, 0, "0:4");
}

static void test_extremes(void **state) {
    (void)state;
    result r = evaluate("dpo", "beta=1", PAIR(-1e6, -1, -1, -1e6), 0);
    assert_true(isfinite(r.value) && r.value > 1.9e6);
    near(r.dlogp[0], -1, 0, "slope far below");
    r = evaluate("dpo", "beta=1", PAIR(-1, -1e6, -1e6, -1), 0);
    near(r.value, 0, 0, "loss far above");
    near(r.dlogp[0], 0, 0, "slope far above");
    /* the slope of a tiny error keeps its digits where 1 - sigmoid(h) would round to 0 */
    r = evaluate("dpo", "beta=1", PAIR(0, -50, 0, 0), 0);
    near(r.dlogp[0] / -exp(-50), 1, 1e-12, "slope at 50");
}

/* The verdict's objective is DPO with beta 1 whose references are 0; what both letters gain together does not
 * count. */
static void test_verdict(void **state) {
    (void)state;
    const double logps[][3] = {{-0.1, -2.4, 0}, {-7, -0.2, 0.3}, {-300, -1, 0.1}, {-5, -5, 0.5}};
    for (size_t i = 0; i < sizeof logps / sizeof *logps; i++) {
        double dlogp[EXAMPLE_PATHS], metrics[OBJECTIVE_METRICS], alpha = logps[i][2];
        path_score scores[] = {{logps[i][0], 9, 1}, {logps[i][1], 9, 1}},
                   together[] = {{logps[i][0] - 4, 0, 1}, {logps[i][1] - 4, 0, 1}};
        example e = {.alpha = alpha};
        result dpo = evaluate("dpo", "beta=1", PAIR(logps[i][0], logps[i][1], 0, 0), alpha);
        double value = objective_verdict.value(NULL, &e, scores, dlogp, metrics);
        near(value, dpo.value, 1e-12, "value");
        near(dlogp[0], dpo.dlogp[0], 1e-12, "the verdict's slope");
        near(dlogp[1], dpo.dlogp[1], 1e-12, "the other's slope");
        near(metrics[0], logps[i][0] - logps[i][1], 1e-12, "margin");
        near(metrics[1], logps[i][0] > logps[i][1], 0, "accuracy");
        near(objective_verdict.value(NULL, &e, together, dlogp, metrics), value, 1e-12, "shifted");
        near(dlogp[0] + dlogp[1], 0, 0, "the sum of the slopes");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_finite_differences),
        cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_by_hand),
        cmocka_unit_test(test_likelihood),
        cmocka_unit_test(test_simpo),
        cmocka_unit_test(test_orpo),
        cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_extremes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
