/* The stopwatch over the operations: counts what runs while it runs, replicas too, and changes no number. */
#include "compute/clock.h"

#include "support.h"

#include <math.h>
#include <string.h>

enum { ROWS = 64, WIDTH = 96 };

static const compute_operation_time *find(const compute_times *t, const char *name) {
    for (int i = 0; i < t->operations; i++)
        if (strcmp(t->operation[i].name, name) == 0) return &t->operation[i];
    return NULL;
}

static double work(compute *c, float *y) {
    static float x[ROWS * WIDTH], gain[WIDTH], rstd[ROWS];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i % 17) - 8;
    for (int i = 0; i < WIDTH; i++) gain[i] = 1 + (float)i;
    c->ops->rmsnorm(c, ROWS, WIDTH, x, gain, 1e-5f, y, rstd);
    double sum;
    c->ops->sum_squares(c, ROWS * WIDTH, y, &sum);
    return sum;
}

static void check(const char *kind) {
    static float with[ROWS * WIDTH], without[ROWS * WIDTH];
    esp_error error = {0};
    compute *plain, *c, *replica;
    assert_int_equal(compute_new(&plain, kind, DTYPE_F32, 2, &error), ESP_OK);
    assert_int_equal(compute_new(&c, kind, DTYPE_F32, 2, &error), ESP_OK);
    compute_clock *k = compute_clock_new(c);
    assert_int_equal(compute_replica_new(&replica, c, 1, &error), ESP_OK);
    double wanted = work(plain, without);

    assert_true(work(c, with) == wanted); /* it does not run yet */
    assert_int_equal(compute_clock_read(k).operations, 0);
    compute_clock_start(k);
    for (int i = 0; i < 3; i++) assert_true(work(c, with) == wanted);
    assert_memory_equal(with, without, sizeof with);
    compute_times t = compute_clock_read(k);
    assert_int_equal(t.operations, 2);
    assert_int_equal(find(&t, "rmsnorm")->calls, 3);
    assert_int_equal(find(&t, "sum_squares")->calls, 3);
    assert_true(t.seconds[COMPUTE_OTHER] > 0 && t.seconds[COMPUTE_PRODUCTS] == 0);
    assert_true(fabs(t.core_seconds[COMPUTE_OTHER] - 2 * t.seconds[COMPUTE_OTHER]) < 1e-12);

    compute_clock_start(k); /* from zero; a replica counts on its one thread */
    work(replica, with);
    compute_clock_stop(k);
    work(c, with);
    t = compute_clock_read(k);
    assert_int_equal(find(&t, "rmsnorm")->calls, 1);
    assert_true(fabs(t.core_seconds[COMPUTE_OTHER] - t.seconds[COMPUTE_OTHER]) < 1e-12);
    compute_free(replica);
    compute_free(c);
    compute_free(plain);
    compute_clock_free(k);
}

static void clocks_the_plain_loops(void **state) {
    (void)state;
    check("ref");
}

static void clocks_the_kernels(void **state) {
    (void)state;
    check("cpu");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(clocks_the_plain_loops),
                                       cmocka_unit_test(clocks_the_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
