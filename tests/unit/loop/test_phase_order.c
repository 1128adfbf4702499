/* The order of a run's phases, written out for several recipes. */
#include "support.h"

#include "loop/phase_order.h"

#include <stdio.h>
#include <string.h>

/* All phases from the start on, "sft0 evaluate0 search1 ...". */
static void expect(const recipe *r, int phases, const char *wanted) {
    char text[512] = "";
    store_position at = {.phase = STORE_PHASE_SFT, .wave = 3, .update = 4, .checkpoint = "old"};
    for (int i = 0; i < 20; i++) {
        size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%s%lld", n ? " " : "", store_phase_name(at.phase),
                 (long long)at.iteration);
        if (at.phase == STORE_PHASE_DONE) break;
        at = phase_after(r, phases, &at, "new");
        assert_int_equal(at.wave, 0);
        assert_int_equal(at.update, 0);
        assert_string_equal(at.checkpoint, "new");
    }
    assert_string_equal(text, wanted);
}

static void all_phases(void **state) {
    (void)state;
    recipe r = {.run = {.iterations = 2, .eval_every = 1}};
    expect(&r, RUN_ALL, "sft0 evaluate0 search1 learn1 evaluate1 search2 learn2 evaluate2 done2");
    r.run.iterations = 0;
    expect(&r, RUN_ALL, "sft0 evaluate0 done0");
}

static void evaluations_between_are_as_the_recipe_says(void **state) {
    (void)state;
    recipe r = {.run = {.iterations = 3, .eval_every = 2}};
    expect(&r, RUN_ALL,
           "sft0 evaluate0 search1 learn1 search2 learn2 evaluate2 search3 learn3 evaluate3 done3");
    r.run.eval_every = 0;
    expect(&r, RUN_ALL, "sft0 evaluate0 search1 learn1 search2 learn2 search3 learn3 evaluate3 done3");
}

static void some_phases(void **state) {
    (void)state;
    recipe r = {.run = {.iterations = 2, .eval_every = 1}};
    expect(&r, RUN_SFT, "sft0 done2");
    expect(&r, RUN_SEARCH, "sft0 search1 search2 done2");
    expect(&r, RUN_EVALUATE, "sft0 evaluate0 evaluate1 evaluate2 done2");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_phases),
        cmocka_unit_test(evaluations_between_are_as_the_recipe_says),
        cmocka_unit_test(some_phases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
