/* Schedules at their corners, by hand. */
#include "support.h"

#include "learn/schedule.h"

#include <math.h>
#include <string.h>

static void near(double got, double want) {
    if (!(fabs(got - want) <= 1e-15)) fail_msg("got %.17g, want %.17g", got, want);
}

static void test_warmup(void **state) {
    (void)state;
    for (int kind = SCHEDULE_CONSTANT; kind <= SCHEDULE_COSINE; kind++) {
        schedule s = {(schedule_kind)kind, 0.8, 4, 20, 0.1};
        for (int i = 0; i < 4; i++) near(schedule_rate(&s, i), 0.2 * (i + 1));
        near(schedule_rate(&s, 4), 0.8);
    }
}

static void test_shapes(void **state) {
    (void)state;
    schedule s = {SCHEDULE_CONSTANT, 0.8, 4, 20, 0.1};
    near(schedule_rate(&s, 12), 0.8);
    near(schedule_rate(&s, 1000), 0.8);
    s.kind = SCHEDULE_LINEAR; /* half way: 0.8 (1 - 0.9 / 2) */
    near(schedule_rate(&s, 12), 0.44);
    near(schedule_rate(&s, 20), 0.08);
    near(schedule_rate(&s, 1000), 0.08);
    s.kind = SCHEDULE_COSINE; /* a quarter: 0.8 (0.1 + 0.9 (1 + sqrt(1/2)) / 2); half way as linear */
    near(schedule_rate(&s, 8), 0.8 * (0.1 + 0.9 * (1 + sqrt(0.5)) / 2));
    near(schedule_rate(&s, 12), 0.44);
    near(schedule_rate(&s, 20), 0.08);
    for (int i = 5; i <= 20; i++) assert_true(schedule_rate(&s, i) < schedule_rate(&s, i - 1));
}

static void test_no_warmup(void **state) {
    (void)state;
    schedule s = {SCHEDULE_COSINE, 1, 0, 1, 0};
    near(schedule_rate(&s, 0), 1);
    near(schedule_rate(&s, 1), 0);
    schedule all = {SCHEDULE_LINEAR, 1, 5, 5, 0.5}; /* nothing but warm-up */
    near(schedule_rate(&all, 4), 1);
    near(schedule_rate(&all, 5), 0.5);
    assert_int_equal(schedule_warmup(0.03, 100), 3);
    assert_int_equal(schedule_warmup(0.2, 11), 2);
    assert_int_equal(schedule_warmup(0, 11), 0);
}

static void test_errors(void **state) {
    (void)state;
    static const struct {
        schedule s;
        const char *says;
    } bad[] = {
        {{SCHEDULE_COSINE, 0, 0, 1, 0}, "learning rate 0"},
        {{SCHEDULE_COSINE, NAN, 0, 1, 0}, "learning rate nan"},
        {{SCHEDULE_COSINE, 1, 0, 0, 0}, "over 0 steps"},
        {{SCHEDULE_COSINE, 1, 6, 5, 0}, "warm-up of 6"},
        {{SCHEDULE_COSINE, 1, -1, 5, 0}, "warm-up of -1"},
        {{SCHEDULE_COSINE, 1, 1, 5, 1.5}, "floor 1.5"},
        {{SCHEDULE_COSINE, 1, 1, 5, NAN}, "floor nan"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        esp_error error = {0};
        assert_int_equal(schedule_check(&bad[i].s, &error), ESP_FAILED);
        if (!strstr(error.message, bad[i].says)) fail_msg("\"%s\" lacks \"%s\"", error.message, bad[i].says);
        assert_true(error.hint[0] != 0);
    }
    esp_error error = {0};
    schedule fine = {SCHEDULE_LINEAR, 1e-6, 3, 100, 0};
    assert_int_equal(schedule_check(&fine, &error), ESP_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warmup),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_no_warmup),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
