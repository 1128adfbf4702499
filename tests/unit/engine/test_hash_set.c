/* The set that different tokens are counted with. */
#include "base/random.h"
#include "engine/hash_set.h"
#include "support.h"

static void each_hash_is_added_once(void **state) {
    (void)state;
    enum { N = 5000 };
    hash_set s = {0};
    for (int round = 0; round < 2; round++)
        for (uint64_t i = 0; i < N; i++)
            assert_int_equal(hash_set_add(&s, rng_bits(rng_key(1), i)), round == 0);
    assert_int_equal(s.count, N);
    assert_true(s.slots >= 2 * N && s.slots < 8 * N);
    assert_true(hash_set_add(&s, 0)); /* 0 marks an empty slot, and is a hash like others all the same */
    assert_false(hash_set_add(&s, 0));
    hash_set_free(&s);
    assert_int_equal(s.count, 0);
}

/* Hashes that fall on one slot, and on the table's last. */
static void collisions_are_told_apart(void **state) {
    (void)state;
    hash_set s = {0};
    for (uint64_t i = 1; i <= 300; i++) assert_true(hash_set_add(&s, (i << 32) | 1023));
    for (uint64_t i = 1; i <= 300; i++) assert_false(hash_set_add(&s, (i << 32) | 1023));
    assert_int_equal(s.count, 300);
    hash_set_free(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_hash_is_added_once),
        cmocka_unit_test(collisions_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
