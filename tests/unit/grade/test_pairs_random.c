/* The fuzz target of grading for a few seconds, with random bytes: tests/fuzz/grade_pairs.h says what must
 * hold. */
#include "support.h"

#include "base/random.h"
#include "fuzz/grade_pairs.h"

enum { INPUTS = 4000, MOST_BYTES = 200 };

static void test_random_pairs(void **state) {
    (void)state;
    for (uint64_t input = 0; input < INPUTS; input++) {
        rng_key_t key = rng_mix(rng_key(1), input);
        uint8_t bytes[MOST_BYTES];
        for (size_t i = 0; i < MOST_BYTES; i++) bytes[i] = (uint8_t)rng_below(key, i, 256);
        fuzz_pair(bytes, 1 + rng_below(key, MOST_BYTES, MOST_BYTES));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_pairs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
