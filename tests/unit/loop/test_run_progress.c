/* How long the rest of a run will take, by what its phases took: the sum over the phases that follow, not
 * known while one of them never was done. */
#include "support.h"

#include "loop/run_progress.h"
#include "loop/phase_order.h"

#include <math.h>

static double after(const recipe *r, int phases, store_phase phase, int64_t iteration, phase_seconds took) {
    store_position at = {.phase = phase, .iteration = iteration};
    return run_progress_seconds_after(r, phases, &at, &took);
}

static void phases_that_follow_are_summed(void **state) {
    (void)state;
    recipe r = {.run = {.iterations = 3, .eval_every = 1}};
    phase_seconds known = {
        .sft = 1000, .search = 10, .learn = 5, .evaluate_ends = 100, .evaluate_between = 2};
    assert_true(after(&r, RUN_ALL, STORE_PHASE_EVALUATE, 3, known) == 0);
    assert_true(after(&r, RUN_ALL, STORE_PHASE_LEARN, 3, known) == 100);
    assert_true(after(&r, RUN_ALL, STORE_PHASE_SEARCH, 3, known) == 5 + 100);
    assert_true(after(&r, RUN_ALL, STORE_PHASE_SEARCH, 2, known) == 5 + 2 + 10 + 5 + 100);
    assert_true(after(&r, RUN_ALL, STORE_PHASE_EVALUATE, 0, known) == 15 + 2 + 15 + 2 + 15 + 100);
    assert_true(after(&r, RUN_ALL, STORE_PHASE_SFT, 0, known) == 100 + 15 + 2 + 15 + 2 + 15 + 100);
    r.run.eval_every = 0;
    assert_true(after(&r, RUN_ALL, STORE_PHASE_EVALUATE, 0, known) == 3 * 15 + 100);
    assert_true(after(&r, RUN_SEARCH, STORE_PHASE_SEARCH, 1, known) == 20);
}

static void what_was_never_done_is_not_known(void **state) {
    (void)state;
    recipe r = {.run = {.iterations = 2, .eval_every = 1}};
    phase_seconds known = {
        .sft = NAN, .search = 10, .learn = NAN, .evaluate_ends = 7, .evaluate_between = NAN};
    assert_true(isnan(after(&r, RUN_ALL, STORE_PHASE_SEARCH, 1, known)));
    known.learn = 5; /* one kind of evaluation is used for the other */
    assert_true(after(&r, RUN_ALL, STORE_PHASE_SEARCH, 1, known) == 5 + 7 + 15 + 7);
    known.search = NAN;
    assert_true(after(&r, RUN_ALL, STORE_PHASE_LEARN, 2, known) == 7);
    assert_true(isnan(after(&r, RUN_ALL, STORE_PHASE_LEARN, 1, known)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phases_that_follow_are_summed),
        cmocka_unit_test(what_was_never_done_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
