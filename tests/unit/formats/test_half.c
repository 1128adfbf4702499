/* 16-bit floats: exact where they must be, nearest elsewhere, against arithmetic in double. */
#include "base/half.h"
#include "base/random.h"
#include "support.h"

#include <math.h>

static void every_f16_survives(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000u; h++) {
        float x = f16_to_f32((uint16_t)h);
        if (isnan(x)) {
            assert_true((h & 0x7c00u) == 0x7c00u && (h & 0x3ffu) != 0);
            assert_true(isnan(f16_to_f32(f16_from_f32(x))));
            continue;
        }
        int exponent = (int)(h >> 10 & 31), mantissa = (int)(h & 1023);
        double magnitude = exponent == 31 ? (double)INFINITY
                           : exponent     ? ldexp(1.0 + mantissa / 1024.0, exponent - 15)
                                          : ldexp(mantissa, -24);
        assert_true((double)x == (h & 0x8000u ? -magnitude : magnitude));
        assert_int_equal(f16_from_f32(x), h);
    }
}

static void every_bf16_survives(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 0x10000u; h++) {
        float x = bf16_to_f32((uint16_t)h);
        if (isnan(x))
            assert_true(isnan(bf16_to_f32(bf16_from_f32(x))));
        else
            assert_int_equal(bf16_from_f32(x), h);
    }
}

/* The result must be at least as near as both neighbours, and even where two are equally near. */
static void assert_nearest(float x, uint16_t h, float (*widen)(uint16_t)) {
    double got = fabs((double)x - (double)widen(h));
    for (int step = -1; step <= 1; step += 2) {
        uint16_t other = (uint16_t)(h + step);
        if ((h & 0x7fff) == 0 && step < 0) continue;
        double there = fabs((double)x - (double)widen(other));
        if (isnan(there) || isinf(there)) continue;
        assert_true(got < there || (got == there && (h & 1) == 0));
    }
}

static void rounding_is_to_nearest_even(void **state) {
    (void)state;
    rng_key_t key = rng_key(3);
    for (uint64_t i = 0; i < 200000; i++) {
        uint32_t sign = (uint32_t)(rng_bits(key, 3 * i) & 1) << 31;
        /* f16: exponents from below the least subnormal to the greatest; every other case an exact half way
         */
        uint32_t exponent = 101u + (uint32_t)rng_below(key, 3 * i + 1, 42),
                 mantissa = (uint32_t)rng_bits(key, 3 * i + 2) & 0x7fffffu;
        float x = f32_from_bits(sign | exponent << 23 | (i % 2 ? mantissa : (mantissa & ~0x1fffu) | 0x1000u));
        if (fabsf(x) < 65520.0f) assert_nearest(x, f16_from_f32(x), f16_to_f32);
        exponent = (uint32_t)rng_below(key, 3 * i + 1, 254);
        x = f32_from_bits(sign | exponent << 23 | (i % 2 ? mantissa : (mantissa & ~0xffffu) | 0x8000u));
        assert_nearest(x, bf16_from_f32(x), bf16_to_f32);
    }
}

static void the_ends_of_the_range(void **state) {
    (void)state;
    assert_int_equal(f16_from_f32(65504.0f), 0x7bff);
    assert_int_equal(f16_from_f32(65519.996f), 0x7bff);
    assert_int_equal(f16_from_f32(65520.0f), 0x7c00);
    assert_int_equal(f16_from_f32(-INFINITY), 0xfc00);
    assert_int_equal(f16_from_f32(0x1p-25f), 0);
    assert_int_equal(f16_from_f32(nextafterf(0x1p-25f, 1.0f)), 1);
    assert_int_equal(f16_from_f32(-0.0f), 0x8000);
    assert_int_equal(bf16_from_f32(f32_from_bits(0x7f7fffffu)), 0x7f80);
    assert_int_equal(bf16_from_f32(INFINITY), 0x7f80);
    assert_int_equal(bf16_from_f32(f32_from_bits(0xff800001u)) & 0xffc0,
                     0xffc0); /* its payload would round away */
    assert_true(isnan(f16_to_f32(f16_from_f32(f32_from_bits(0x7f800001u)))));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_f16_survives),
        cmocka_unit_test(every_bf16_survives),
        cmocka_unit_test(rounding_is_to_nearest_even),
        cmocka_unit_test(the_ends_of_the_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
